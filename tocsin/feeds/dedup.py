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
from .idtable import IdTable, Keys, Slots, Values

FRESH, DUPLICATE, CONFLICT = 0, 1, 2
#: In the table in place of a content (those are odd): the id is on its way to the journal.
_FLYING: Final = np.uint32(2)

#: At least this many of a feed's newest ids are remembered (at most twice as many) ...
LIMIT: Final = 1_000_000
#: ... unless they have not been heard for this long (at most twice as long), in city time. Longer than any lateness.
HORIZON: Final = DAY


@dataclass(slots=True, eq=False)
class Claim:
    """The rows of one batch, sorted into fresh and known. Must be ended by `keep` (they are durable) or `forget`."""

    prints: Prints
    status: NDArray[np.int8]  # FRESH, DUPLICATE or CONFLICT, one per row
    memory: Dedup
    table: IdTable  # where its fresh rows are entered
    array: Keys  # of the table, for which `slots` holds
    slots: Slots  # one per row
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def all_fresh(self) -> bool:
        return not self.status.any()

    def keep(self, now: int) -> None:
        """The fresh rows are durable."""
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
        slots, known = self._look(found.keys)
        self._young.enter(found.keys, slots, np.where(known == 0, found.contents, known))
        self._age(now)

    async def claim(self, events: pa.RecordBatch) -> Claim:
        """Sorts the rows into fresh, duplicate and conflict; waits while any of their ids is on its way."""
        found = prints(events)
        slots, known = self._look(found.keys)
        while (flying := known == _FLYING).any():
            await self._holder(found.keys[flying]).settled.wait()  # nothing is held while waiting: no two can wait for each other
            slots, known = self._look(found.keys)
        young = self._young
        slots, twice = young.enter(found.keys, slots, np.where(known == 0, _FLYING, known))  # what is known was heard again
        if twice:
            known = _with_earlier_rows(found, known)
        status = np.zeros(known.size, np.int8)
        if known.any():
            status[known != 0] = CONFLICT
            status[known == found.contents] = DUPLICATE
        claim = Claim(found, status, self, young, young.array, slots)
        self._flying.add(claim)
        return claim

    def _look(self, keys: Keys) -> tuple[Slots, Values]:
        slots, known = self._young.look(keys)
        if self._old.count:
            known = np.where(known == 0, self._old.find(keys), known)
        return slots, known

    def _holder(self, keys: Keys) -> Claim:
        """A claim that has one of these keys on its way."""
        return next(claim for claim in self._flying if np.isin(keys, claim.prints.keys).any())

    def settle(self, claim: Claim, now: int) -> None:
        self._write(claim, claim.prints.contents)
        self._age(now)
        self._end(claim)

    def release(self, claim: Claim) -> None:
        self._write(claim, np.zeros(claim.status.size, np.uint32))
        self._end(claim)

    def _end(self, claim: Claim) -> None:
        self._flying.remove(claim)
        claim.settled.set()

    def _write(self, claim: Claim, contents: Values) -> None:
        """Sets the values of the claim's fresh rows where they are now."""
        fresh = np.flatnonzero(claim.status == FRESH)
        table = claim.table if claim.table in (self._young, self._old) else self._young
        if table is claim.table and table.array is claim.array:
            table.write(claim.slots[fresh], contents[fresh])
        else:
            table.put(claim.prints.keys[fresh], contents[fresh])

    def _age(self, now: int) -> None:
        if self._born is None:
            self._born = now
        full = self._young.count >= self.limit
        if full or (self._young.count and now - self._born >= self.horizon):
            empty = IdTable.instead(self._old) if full and self._old.count else IdTable()
            self._old, self._young, self._born = self._young, empty, now


def _with_earlier_rows(found: Prints, known: Values) -> Values:
    """An id that stands twice in one batch: the later rows are compared with the first one."""
    _, first, which = np.unique(found.keys, return_index=True, return_inverse=True)
    first_of_row = first[which]
    later = first_of_row != np.arange(found.keys.size)
    return np.where((known == 0) & later, found.contents[first_of_row], known)
