"""Alerts on their way to the journal: several at once, revisions of one alert in order, nothing forgotten.

Publishing waits for the disk; the kernels do not wait for publishing. A snapshot does: its state is safe to go on from only
when everything told before it is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from tocsin.model.alert import Alert

Publish = Callable[[Alert], Awaitable[object]]

#: Turns of the event loop until what was put has reached the socket: our task, the client library's, the loop's own writing.
_TURNS = 3


class Times(NamedTuple):
    """Wall clocks of one revision, ns, for latency figures only. `wall`: receipt of what caused it, 0 when not known; `read`: its
    entry was taken in; `told`: it was handed to `publish`."""

    wall: int
    read: int
    told: int


class Outbox:
    """`published`: alert id -> newest revision that is durable already; up to it nothing is published again after a crash (`wants`).
    `done` is called after each publish. The first fault of `publish` is raised by the next `put` or `drain`."""

    def __init__(self, publish: Publish, published: Mapping[str, int], done: Callable[[Alert, int], None], at_once: int = 64) -> None:
        self.skipped = 0
        self._publish = publish
        self._published = dict(published)
        self._done = done
        self._slots = asyncio.Semaphore(at_once)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._times: dict[tuple[str, int], Times] = {}
        self._fault: BaseException | None = None

    def wants(self, name: str, revision: int) -> bool:
        """Whether this revision is still to be published; asked of revisions in order."""
        if revision <= self._published.get(name, 0):
            self.skipped += 1
            return False
        self._published.pop(name, None)
        return True

    async def put(self, alert: Alert, wall: int, read: int = 0) -> None:
        """Takes a revision; waits while too many are on their way. `wall`, `read`: as in `Times`."""
        self._raise()
        if not self.wants(alert.id, alert.revision):
            return
        await self._slots.acquire()
        lane = asyncio.create_task(self._send(alert, wall, read, self._lanes.get(alert.id)))
        self._lanes[alert.id] = lane
        lane.add_done_callback(lambda task: self._ended(alert.id, task))

    @property
    def under_way(self) -> int:
        """Revisions that were put and are not durable yet, those of one alert as one."""
        return len(self._lanes)

    async def leave(self) -> None:
        """Lets what was put reach the socket, which it would not do before the next entry has been taken in."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def times(self, alert: Alert) -> Times:
        """Of a revision that is being published."""
        return self._times[alert.id, alert.revision]

    async def drain(self) -> None:
        """Returns when all that was put is durable."""
        while self._lanes:
            await asyncio.wait(list(self._lanes.values()))
        self._raise()

    async def settled(self) -> None:
        """Returns when all that was put before this call is durable."""
        before = list(self._lanes.values())
        if before:
            await asyncio.wait(before)
        self._raise()

    async def close(self) -> None:
        """Abandons what is on its way; after a restart it is told again."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _send(self, alert: Alert, wall: int, read: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if self._fault is None:
            self._times[alert.id, alert.revision] = Times(wall, read, time.time_ns())
            try:
                await self._publish(alert)
            finally:
                del self._times[alert.id, alert.revision]
            self._done(alert, wall)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._slots.release()
        if self._lanes.get(name) is task:
            del self._lanes[name]
        if not task.cancelled() and task.exception() is not None and self._fault is None:
            self._fault = task.exception()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault
