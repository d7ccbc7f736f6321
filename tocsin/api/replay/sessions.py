"""All replays of a node: few at a time, and those that nobody looks at any more end by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from .session import Session

#: Replays at once: each keeps up to 64 MB of events and reads the journal.
MOST: Final = 8
#: Seconds without a viewer or a question after which a replay ends.
IDLE: Final = 600.0
_SWEEP: Final = 15.0


class Sessions:
    """By id. `now`: seconds."""

    def __init__(self, most: int = MOST, idle: float = IDLE, now: Callable[[], float] = time.monotonic) -> None:
        self.most, self.idle = most, idle
        self._now = now
        self._by_id: dict[str, Session] = {}

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def make(self, begin: Callable[[], Session]) -> Session:
        """A new one; where there are too many, one that nobody watches goes first. Raises OverflowError when all are watched."""
        self.sweep()
        if len(self._by_id) >= self.most:
            unwatched = [one for one in self._by_id.values() if not one.watched]
            if not unwatched:
                raise OverflowError(f"{len(self._by_id)} replays are being watched, which is the limit")
            self.end(min(unwatched, key=lambda one: one.touched).id)
        made = begin()
        self._by_id[made.id] = made
        return made

    def find(self, name: str) -> Session | None:
        found = self._by_id.get(name)
        if found is not None:
            found.touch()
        return found

    def end(self, name: str) -> bool:
        """Whether there was one."""
        found = self._by_id.pop(name, None)
        if found is not None:
            found.close()
        return found is not None

    def sweep(self) -> None:
        """Ends those that are idle."""
        for one in list(self._by_id.values()):
            if one.watched:
                one.touch()
            elif self._now() - one.touched > self.idle:
                self.end(one.id)

    async def run(self) -> None:
        """Sweeps until cancelled, then ends all."""
        try:
            while True:
                await asyncio.sleep(_SWEEP)
                self.sweep()
        finally:
            for one in list(self._by_id.values()):
                self.end(one.id)
