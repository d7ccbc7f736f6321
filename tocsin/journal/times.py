"""Where a moment lies in the journal: the first entry that was written at a journal clock or later."""

from __future__ import annotations

import contextlib

from tocsin.kernel.fault import Skippable

from .connection import Journal
from .encode import Entry
from .reader import fetch
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
    return low, first == 1 or low > first


async def next_readable(journal: Journal, seq: int, end: int) -> Entry | None:
    """The entry `seq`, or the next one before `end` that is neither lost nor damaged and knows a time (a configuration does not)."""
    while seq < end:
        with contextlib.suppress(Skippable):  # counted by the reader
            entry = await fetch(journal, seq)
            if entry.ingest > 0:
                return entry
        seq += 1
    return None
