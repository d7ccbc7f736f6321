"""The events view: recent journal entries, kept in memory within bounds and searched newest first.

Storing an entry costs microseconds, because nothing is looked into until enough entries wait or somebody asks; then they
are settled into blocks (`api/block.py`). What falls out at the old end is said in the replies (`complete_from`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np

from tocsin.model.exercise import is_exercise
from tocsin.model.predicate import covers

from .block import Block, Box, Entry, Mask, Names, join
from .eventjson import Json

#: A block is full at this many rows; an open one is joined again with what comes next.
BLOCK_ROWS: Final = 4096
#: Entries or rows that may wait before they are settled: bounds the work of one settling to a millisecond or two.
WAITING_ENTRIES: Final = 64
#: What an entry costs beside its data while it waits: Arrow and Python objects, measured.
ENTRY_BYTES: Final = 16_384
#: Seconds of the rate figure, and places in its ring of seconds.
RATE_SECONDS: Final = 60
_RING: Final = 64


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`start` inclusive, `end` exclusive: event time, µs. `kinds`: dotted prefixes, any of them; `feeds`: any of them."""

    box: Box | None = None
    start: int | None = None
    end: int | None = None
    kinds: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """`next`: the cursor of the next page, None on the last one."""

    items: list[Json]
    next: int | None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest events after a sequence number, oldest first; `skipped`: how many older ones there were."""

    items: list[Json]
    skipped: int


class RecentEvents:
    """Written by one thread, read by any. At most about `max_rows` rows and `max_bytes` bytes; the oldest go first, a block
    of about `block_rows` at a time."""

    def __init__(self, max_rows: int = 500_000, max_bytes: int = 256 << 20, block_rows: int = BLOCK_ROWS) -> None:
        self.max_rows, self.max_bytes, self.block_rows = max_rows, max_bytes, block_rows
        self.total = 0  # events ever added
        self.last_seq = 0  # of the newest event
        self.last_entry = 0  # of the newest journal entry, ticks too
        self.clock = 0  # journal clock, µs
        self.rows = 0
        self.complete_from: int | None = None  # ingest time from which nothing is missing; None: from the beginning
        self._lock = Lock()
        self._names = Names()
        self._blocks: tuple[Block, ...] = ()
        self._waiting: list[Entry] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._settled_bytes = 0
        self._second_counts = [0] * _RING
        self._second_stamps = [0] * _RING

    @property
    def nbytes(self) -> int:
        """Memory held, about: Arrow buffers, search arrays and what waiting entries cost."""
        return self._settled_bytes + self._waiting_bytes

    def add(self, entry: Entry) -> None:
        """The next journal entry, in journal order."""
        self.clock = max(self.clock, entry.ingest)
        self.last_entry = entry.seq
        batch = entry.batch
        if batch is None or not batch.num_rows:
            return
        with self._lock:
            rows = batch.num_rows
            self._waiting.append(entry)
            self._waiting_rows += rows
            self._waiting_bytes += batch.get_total_buffer_size() + ENTRY_BYTES
            self.rows += rows
            self.last_seq = (entry.seq << 20) + rows - 1
            if not is_exercise(entry.subject):
                self._count(rows, entry.wall)
            if len(self._waiting) >= WAITING_ENTRIES or self._waiting_rows >= self.block_rows:
                self._settle()

    def _count(self, rows: int, wall: int) -> None:
        self.total += rows
        second = wall // 1_000_000_000
        place = second % _RING
        if self._second_stamps[place] != second:
            self._second_stamps[place], self._second_counts[place] = second, 0
        self._second_counts[place] += rows

    def starts_at(self, ingest: int) -> None:
        """The reader did not begin at the first entry of the journal: only what was known from `ingest` on is complete."""
        self.complete_from = max(ingest, self.complete_from or ingest)

    def per_minute(self, now: float | None = None) -> int:
        """Events received in the last minute on the wall clock (by `T-Wall`, so that reading old entries does not count)."""
        current = int(time.time() if now is None else now)
        pairs = zip(self._second_stamps, self._second_counts, strict=True)
        return sum(count for stamp, count in pairs if current - RATE_SECONDS < stamp <= current)

    def find(self, query: EventQuery, limit: int, before: int | None = None) -> Found:
        """At most `limit` (>= 1) events, newest in the journal first, older than the cursor `before` (an event's `seq`)."""
        items: list[Json] = []
        last = 0
        for block, mask in self._matching(query, before):
            rows = np.flatnonzero(mask)[::-1]
            if len(items) == limit and len(rows):
                return Found(items, last)
            taken = rows[: limit - len(items)].tolist()
            items += block.json(taken)
            if taken:
                last = int(block.seq[taken[-1]])
            if len(taken) < len(rows):
                return Found(items, last)
        return Found(items, None)

    def get(self, seq: int) -> Json | None:
        """One event by its `seq`, None when it is unknown or no longer kept."""
        for block in reversed(self._snapshot()):
            if block.seq[0] <= seq:
                row = int(np.searchsorted(block.seq, seq))
                return block.json([row])[0] if row < len(block) and block.seq[row] == seq else None
        return None

    def newest(self, after: int, limit: int, until: int | None = None) -> Newest:
        """The newest `limit` events with a `seq` beyond `after`, and not beyond `until` when that is given."""
        chunks: list[list[Json]] = []
        wanted, total = limit, 0
        for block in reversed(self._snapshot()):
            if block.seq[-1] <= after:
                break
            first = int(np.searchsorted(block.seq, after, side="right"))
            end = len(block) if until is None else int(np.searchsorted(block.seq, until, side="right"))
            total += max(0, end - first)
            start = max(first, end - wanted)
            if start < end:
                chunks.append(block.json(range(start, end)))
                wanted -= end - start
        items = [event for chunk in reversed(chunks) for event in chunk]
        return Newest(items, total - len(items))

    def timeline(self, start: int, end: int, buckets: int) -> dict[str, list[int]]:
        """Events per kind group (the kind's first word) and bucket of equal length in [start, end) of event time. What an exercise injected is
        not counted."""
        counts: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        for block, found in self._matching(EventQuery(start=start, end=end), None):
            feeds = block.feed  # gives new names their codes
            mask = found & self._names.where(lambda name: not is_exercise(name))[feeds]
            place = (block.time[mask] - start) * buckets // (end - start)
            kinds = block.kind[mask]
            names = self._names.names()
            for code in np.unique(kinds).tolist():
                group = names[code].partition(".")[0]
                added = np.bincount(place[kinds == code], minlength=buckets)
                counts[group] = counts[group] + added if group in counts else added
        return {group: counts[group].tolist() for group in sorted(counts)}

    def _matching(self, query: EventQuery, before: int | None) -> Iterator[tuple[Block, Mask]]:
        """Blocks with something in them, newest first, and which of their rows pass."""
        blocks = self._snapshot()
        kinds = self._names.where(lambda name: any(covers(prefix, name) for prefix in query.kinds)) if query.kinds else None
        feeds = self._names.where(lambda name: name in query.feeds) if query.feeds else None
        for block in reversed(blocks):
            if before is not None and block.seq[0] >= before:
                continue
            if (query.start is not None and block.span[1] < query.start) or (query.end is not None and block.span[0] >= query.end):
                continue
            mask = block.seq < before if before is not None else np.ones(len(block), np.bool_)
            if query.start is not None:
                mask &= block.time >= query.start
            if query.end is not None:
                mask &= block.time < query.end
            if kinds is not None:
                mask &= kinds[block.kind]
            if feeds is not None:
                mask &= feeds[block.feed]
            if query.box is not None and mask.any():
                mask &= block.inside(query.box)
            if mask.any():
                yield block, mask

    def _snapshot(self) -> Sequence[Block]:
        """All blocks, after settling what waits. The tuple is never changed, so a reader may take its time."""
        with self._lock:
            self._settle()
            return self._blocks

    def _settle(self) -> None:
        if not self._waiting:
            return
        blocks = list(self._blocks)
        open_block = blocks.pop() if blocks and len(blocks[-1]) < self.block_rows else None
        if open_block is not None:
            self._settled_bytes -= open_block.nbytes
        block = join(self._waiting, self._names, open_block)
        self._settled_bytes += block.nbytes
        blocks.append(block)
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0
        while len(blocks) > 1 and (self.rows > self.max_rows or self._settled_bytes > self.max_bytes):
            lost = blocks.pop(0)
            self.rows -= len(lost)
            self._settled_bytes -= lost.nbytes
            self.starts_at(int(blocks[0].ingest[0]))
        self._blocks = tuple(blocks)
