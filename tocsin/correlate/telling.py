"""From what was decided to the journal: raises at once, amendments as time allows, revisions of one alert in order.

What a revision says is decided with the journal entry that caused it (`wording.Telling`). When it is put into words is not: a
storm amends hundreds of standing alerts, and none of them may hold up a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from tocsin.model.alert import Alert, Evidence

from .outbox import Outbox
from .wording import Telling, Wording

Lookup = Callable[[Iterable[int]], Awaitable[dict[int, Evidence]]]

#: Amendments that may wait; beyond, the oldest are told before the next entry is taken in.
WAITING_MAX: Final = 2000
#: Seconds that amendments are gathered before some are told together (one write to the journal's socket, one to every screen), the
#: longest such burst, and the rest after a burst as a multiple of the time it took - a much longer one while entries wait: they go first.
_GATHER: Final = 0.05
_BURST: Final = 0.004
_REST: Final = 2.0
_REST_BEHIND: Final = 25.0


class Teller:
    """`lookup`: events by seq. `counted`: called with each alert that is told. The first fault of telling in the background is
    raised by the next call."""

    def __init__(self, wording: Wording, lookup: Lookup, outbox: Outbox, counted: Callable[[Alert], None]) -> None:
        self._wording = wording
        self._lookup = lookup
        self._outbox = outbox
        self._counted = counted
        self._waiting: OrderedDict[str, list[tuple[Telling, int, int]]] = OrderedDict()  # by alert
        self._size = 0
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._fault: BaseException | None = None
        self.behind = False  # whether entries wait to be taken in
        self._task = asyncio.create_task(self._run(), name="amendments")

    @property
    def waiting(self) -> int:
        """Amendments that are decided but not yet in words."""
        return self._size

    @property
    def untold(self) -> int:
        """Revisions that are decided but not yet durable."""
        return self._size + self._turn.locked() + self._outbox.under_way

    async def tell(self, tellings: Sequence[Telling], wall: int, read: int) -> None:
        """Takes what one entry decided: what is urgent is on its way to the journal when this returns. `wall`, `read`: `outbox.Times`."""
        self._raise()
        fresh = [telling for telling in tellings if self._outbox.wants(telling.id, telling.revision)]
        for telling in fresh:
            if telling.urgent:
                async with self._turn:
                    await self._flush(telling.id)  # what was decided before about the same alert goes first
                    await self._say(telling, wall, read)
            else:
                self._waiting.setdefault(telling.id, []).append((telling, wall, read))
                self._size += 1
        if any(telling.urgent for telling in fresh):
            await self._outbox.leave()
        if self._size:
            self._news.set()
        while self._size > WAITING_MAX:
            await self._one()

    async def settled(self) -> None:
        """Returns when all that was told before this call is durable."""
        newest = [(name, items[-1][0].revision) for name, items in self._waiting.items()]
        while any(items[0][0].revision <= revision for name, revision in newest if (items := self._waiting.get(name))):
            self._raise()
            await asyncio.sleep(0.02)
        await self._outbox.settled()

    async def flush(self) -> None:
        """Puts everything into words now."""
        self._raise()
        for name in list(self._waiting):
            async with self._turn:
                await self._flush(name)
        self._raise()

    async def close(self) -> None:
        """Abandons what waits; after a restart it is told again."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                self._news.clear()
                while self._size:
                    took = await self._some()
                    await asyncio.sleep((_REST_BEHIND if self.behind else _REST) * took)
                await self._news.wait()
                await asyncio.sleep(_GATHER)
        except asyncio.CancelledError:
            raise
        except BaseException as fault:
            self._fault = fault

    async def _some(self) -> float:
        """As many as a burst may take. Returns its seconds."""
        began = time.perf_counter()
        while self._size and time.perf_counter() - began < _BURST:
            await self._one()
        return time.perf_counter() - began

    async def _one(self) -> None:
        """The alert that has waited longest."""
        async with self._turn:
            if self._waiting:
                await self._flush(next(iter(self._waiting)))

    async def _flush(self, name: str) -> None:
        """Everything that waits about one alert."""
        while items := self._waiting.get(name):
            await self._say(*items[0])
            self._size -= 1
            del items[0]
            if not items:
                del self._waiting[name]

    async def _say(self, telling: Telling, wall: int, read: int) -> None:
        needs = self._wording.needs(telling)
        alert = self._wording.alert(telling, await self._lookup(needs) if needs else {})
        self._counted(alert)
        await self._outbox.put(alert, wall, read)

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault
