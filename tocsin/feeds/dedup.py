"""Idempotence by feed + id: the same record delivered twice becomes one event.

Same id and same content is a duplicate. Same id and other content is a conflict: ignored, counted and shown (SEMANTICS 7).
An id counts as known only once its event is durable. While it is on its way, a second delivery of it waits: told
"duplicate" earlier, a sender could forget a record that is lost when the append then fails.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.time import DAY

from .fingerprint import Prints, prints
from .idtable import IdTable, Values

FRESH, DUPLICATE, CONFLICT = 0, 1, 2

#: At least this many of a feed's newest ids are remembered (at most twice as many) ...
LIMIT: Final = 1_000_000
#: ... unless they have not been heard for this long (at most twice as long), in city time. Longer than any lateness.
HORIZON: Final = DAY


@dataclass(slots=True, eq=False)
class Claim:
    """The rows of one batch, sorted into fresh and known. Must be ended by `keep` (they are durable) or `forget`."""

    prints: Prints
    status: NDArray[np.int8]  # FRESH, DUPLICATE or CONFLICT, one per row
    known: Values  # content already known, 0 where fresh
    memory: Dedup
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def all_fresh(self) -> bool:
        return not self.status.any()

    def keep(self, now: int) -> None:
        """The fresh rows are durable; the ids of the known ones were heard again."""
        self.memory.settle(self, now)

    def forget(self) -> None:
        """The fresh rows were not written; the next delivery of their ids counts again."""
        self.memory.release(self)


class Dedup:
    """The memory of one feed. Times in microseconds of city time."""

    def __init__(self, limit: int = LIMIT, horizon: int = HORIZON) -> None:
        self.limit = limit
        self.horizon = horizon
        self._young, self._old = IdTable(), IdTable()
        self._born: int | None = None
        self._flying: set[Claim] = set()

    def __len__(self) -> int:
        return self._young.count + self._old.count

    def remember(self, events: pa.RecordBatch, now: int) -> None:
        """Rebuilds the memory at start: events of this feed that are already in the journal, oldest batch first."""
        found = prints(events)
        self._learn(found, found.contents, now)

    async def claim(self, events: pa.RecordBatch) -> Claim:
        """Sorts the rows into fresh, duplicate and conflict; waits while any of their ids is on its way."""
        found = prints(events)
        while (earlier := self._on_its_way(found)) is not None:
            await earlier.settled.wait()  # nothing is held while waiting, so two deliveries can never wait for each other
        known = self._young.find(found.keys)
        if self._old.count:
            known = np.where(known == 0, self._old.find(found.keys), known)
        if len(found.distinct) < len(found.ids):
            known = _with_earlier_rows(found, known)
        status = np.zeros(known.size, np.int8)
        if known.any():
            status[known != 0] = CONFLICT
            status[known == found.contents] = DUPLICATE
        claim = Claim(found, status, known, self)
        self._flying.add(claim)
        return claim

    def _on_its_way(self, found: Prints) -> Claim | None:
        return next((claim for claim in self._flying if not claim.prints.distinct.isdisjoint(found.distinct)), None)

    def settle(self, claim: Claim, now: int) -> None:
        contents = claim.prints.contents if claim.all_fresh else np.where(claim.known == 0, claim.prints.contents, claim.known)
        self._learn(claim.prints, contents, now)
        self.release(claim)

    def release(self, claim: Claim) -> None:
        self._flying.remove(claim)
        claim.settled.set()

    def _learn(self, found: Prints, contents: Values, now: int) -> None:
        if self._born is None:
            self._born = now
        if self._young.count >= self.limit or (self._young.count and now - self._born >= self.horizon):
            self._old, self._young, self._born = self._young, IdTable(), now
        keys = found.keys
        if len(found.distinct) < keys.size:
            keys, first = np.unique(keys, return_index=True)
            contents = contents[first]
        self._young.put(keys, contents)


def _with_earlier_rows(found: Prints, known: Values) -> Values:
    """An id that stands twice in one batch: the later rows are compared with the first one."""
    _, first, which = np.unique(found.keys, return_index=True, return_inverse=True)
    first_of_row = first[which]
    later = first_of_row != np.arange(found.keys.size)
    return np.where((known == 0) & later, found.contents[first_of_row], known)
