"""Recordings that are behind catch up in the order of their records, and the city's clock waits for them.

What a recording has from before an exercise began, or from while the node was starting, was not late in the city: it was heard
when it happened. So while a recording is behind, the time of receipt is that of the earliest record that is still to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


class Turns:
    """`names`: feeds that play recordings; until each has said when its first record is due, nobody begins."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._next: dict[str, int | None] = dict.fromkeys(names)
        self._moved = asyncio.Event()

    @property
    def opening(self) -> bool:
        """Whether a recording has not been read yet, so that nobody knows what time it is."""
        return None in self._next.values()

    def held(self, now: int) -> int:
        """The time of receipt, when the city's clock says `now`: both µs."""
        return min([now, *(due for due in self._next.values() if due is not None)])

    @asynccontextmanager
    async def playing(self, name: str) -> AsyncIterator[None]:
        """Whatever ends it, the others go on."""
        try:
            yield
        finally:
            self.done(name)

    async def mine(self, name: str, due: int) -> None:
        """Waits until no other recording has something earlier to play than this one's record due at `due`, µs."""
        self._set(name, due)
        while self.opening or (due, name) > min((at, other) for other, at in self._next.items() if at is not None):
            self._moved.clear()
            await self._moved.wait()

    def until(self, name: str, due: int) -> None:
        """This recording's records up to `due` are being taken in now."""
        self._set(name, due)

    def done(self, name: str) -> None:
        """Nothing of this recording is due now."""
        self._next.pop(name, None)
        self._moved.set()

    def _set(self, name: str, due: int) -> None:
        self._next[name] = due
        self._moved.set()
