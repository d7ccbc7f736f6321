"""Where a moment lies in the journal: the first entry that was written at a journal clock or later."""

from __future__ import annotations

from tocsin.kernel.fault import Skippable

from .connection import Journal
from .encode import Entry
from .reader import next_of
from .streams import EVENTS


async def first_seq_at(journal: Journal, moment: int) -> tuple[int, bool]:
    """Sequence of the first entry of EVENTS with an ingest time of `moment` (µs) or later, by halving; one more than the last when there is none.
    The second: whether what came before `moment` is still kept, so that nothing is missing from there on. Raises Retriable."""
    state = await journal.state(EVENTS)
    low, high = max(state.first, 1), state.last + 1
    first = low
    while low < high:
        middle = (low + high) // 2
        found = await next_readable(journal, middle, high)
        if found is None or found.ingest >= moment:
            high = middle
        else:
            low = found.seq + 1
    whole = first == 1 and not state.lapsed
    return low, whole or low > max(first, state.lapsed)


async def next_readable(journal: Journal, seq: int, end: int) -> Entry | None:
    """The entry `seq`, or the next one before `end` that is neither lost nor damaged and knows a time (a configuration does not)."""
    while seq < end:
        try:
            entry = await next_of(journal, ">", seq)
        except Skippable:  # counted by the reader
            seq += 1
            continue
        if entry is None or entry.seq >= end:
            return None
        if entry.ingest > 0:
            return entry
        seq = entry.seq + 1
    return None
