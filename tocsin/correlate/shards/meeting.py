"""Where what the shards found meets the journal: an entry is handed on once every shard has said what it found in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from tocsin.correlate.recent import Entry
from tocsin.kernel.fault import Fatal

from .desk import Desk
from .matches import Matches


class Meeting:
    """`shards`: how many there are. What a shard says a second time, after another process went on for it, is left out."""

    def __init__(self, desk: Desk, shards: int) -> None:
        self.desk = desk
        desk.start(shards)
        self.reached = [0] * shards  # the last entry of which all that a shard found is here
        self.repeated = 0
        self._waiting: list[deque[tuple[Matches, int]]] = [deque() for _ in range(shards)]
        self._newest = [0] * shards
        self._news = asyncio.Event()

    def found(self, shard: int, matches: Matches, message: int = 0) -> None:
        """A shard found something in an entry; in the order of entries. `message`: where it stands in the stream of matches."""
        if matches.entry <= self._newest[shard]:
            self.repeated += 1
            return
        self._newest[shard] = matches.entry
        self._waiting[shard].append((matches, message))
        self.passed(shard, matches.entry)

    def passed(self, shard: int, entry: int) -> None:
        """A shard has gone through all entries up to this one, and all that it found in them was handed over before."""
        if entry > self.reached[shard]:
            self.reached[shard] = entry
            self._news.set()

    def behind(self, entry: int) -> list[int]:
        """Shards that have not said what they found in an entry."""
        return [shard for shard, reached in enumerate(self.reached) if reached < entry]

    async def entries(self, journal: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
        """The journal's entries, each when its matches lie on the desk."""
        async for entry in journal:
            while self.behind(entry.seq):
                self._news.clear()
                await self._news.wait()
            self.desk.bring(entry.seq, [(shard, one) for shard in range(len(self._waiting)) if (one := self._take(shard, entry.seq))])
            yield entry

    def _take(self, shard: int, entry: int) -> Matches | None:
        """What one shard found in an entry. What belongs to entries before it was told by whoever was here before us."""
        waiting = self._waiting[shard]
        while waiting and waiting[0][0].entry < entry:
            old, self.desk.heard[shard] = waiting.popleft()
            if old.entry > self.desk.entry > 0:
                raise Fatal(f"shard {shard} found something in journal entry {old.entry}, which is not in the journal any more")
        if not waiting or waiting[0][0].entry > entry:
            return None
        found, self.desk.heard[shard] = waiting.popleft()
        return found
