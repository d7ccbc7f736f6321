"""A compact map from 64-bit keys to 32-bit values in flat arrays: a million ids in 25 MB instead of 150 MB of Python objects.

Open addressing with linear probing, at most half full. Nothing is ever removed: `dedup.py` drops whole tables instead. A table that
grows moves a few slots with every call, so that no caller waits for all of them, into memory that a thread has touched before: the
first touch of 24 MB held up ingest for 70 ms.
"""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import scan_doors

Keys = NDArray[np.uint64]
Values = NDArray[np.uint32]
Slots = NDArray[np.int64]

#: Slots of the smaller table moved for every key of a call, and at least so many: done long before the larger one is half full.
_STEP: Final = 16
_LEAST: Final = 16_384
#: Slots up to which a table grows to four times its size, beyond that to twice.
_SMALL: Final = 1 << 16


class _Larger:
    """An empty table of so many slots, made beside the work that fills the smaller one."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._made: tuple[Keys, Values] | None = None
        self._thread = threading.Thread(target=self._make, name="larger id table", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        keys, values = np.empty(self.slots, np.uint64), np.empty(self.slots, np.uint32)
        keys.fill(0)  # numpy lets other threads run meanwhile
        values.fill(0)
        self._made = keys, values

    def take(self) -> tuple[Keys, Values]:
        """Waits until it is there."""
        self._thread.join()
        assert self._made is not None
        return self._made


class IdTable:
    """Keys must not be 0 (an empty slot). A value of 0 says that the key is not known."""

    def __init__(self, slots: int = 1024) -> None:
        self.count = 0
        self._keys: Keys = np.zeros(slots, np.uint64)
        self._values: Values = np.zeros(slots, np.uint32)
        self._smaller: tuple[Keys, Values] | None = None  # what is still being moved from
        self._moved = 0  # slots of it that were
        self._coming: _Larger | None = None  # begun in good time

    @classmethod
    def instead(cls, used: IdTable) -> IdTable:
        """An empty table in the memory of one that is not needed any more: memory that was never touched is slow."""
        table = cls(0)
        table._keys, table._values = used._keys, used._values
        table._keys.fill(0)
        table._values.fill(0)
        return table

    @property
    def array(self) -> Keys:
        """Where slots belong: they hold for as long as this is the same object."""
        return self._keys

    def find(self, keys: Keys) -> Values:
        """One value per key, 0 where the key is unknown."""
        return self._look(keys)[1]

    def look(self, keys: Keys) -> tuple[Slots, Values]:
        """For each key the slot that is its own or would be, and its value. Makes room for all of them first."""
        self._reserve(keys.size)
        return self._look(keys)

    def enter(self, keys: Keys, slots: Slots, values: Values) -> tuple[Slots, bool]:
        """Sets `values[i]` for `keys[i]`, where `look` has just found `slots`; of several equal keys the first counts. Gives the keys'
        slots, and whether some key stands there more than once."""
        new = np.flatnonzero(self._keys[slots] != keys)
        slots = self._settle(keys, slots, new)
        numbers = np.arange(keys.size, dtype=np.uint32)
        self._values[slots] = numbers
        twice = not np.array_equal(self._values[slots], numbers)  # equal keys share a slot: only the last finds its own number
        self._values[slots] = values
        if twice:
            once, first = np.unique(slots, return_index=True)
            self._values[once] = values[first]
        self.count += self._added(keys[new], twice)
        return slots, twice

    def put(self, keys: Keys, values: Values) -> None:
        """Sets `values[i]` for `keys[i]`."""
        self.enter(keys, self.look(keys)[0], values)

    def write(self, slots: Slots, values: Values) -> None:
        """Sets the values of keys that were entered. The slots must be of this `array`."""
        self._values[slots] = values

    def _settle(self, keys: Keys, slots: Slots, new: Slots) -> Slots:
        """Writes the new keys into empty slots; gives the slots of all."""
        slots = slots.copy()
        while new.size:
            wanted = slots[new]
            self._keys[wanted] = keys[new]  # several new keys may want one empty slot: the last one written gets it
            new = new[self._keys[wanted] != keys[new]]
            slots[new] = self._seek(keys[new])
        return slots

    def _added(self, keys: Keys, twice: bool) -> int:
        """How many different ones these new keys are; those that are still to be moved have been counted."""
        if self._smaller is not None and keys.size:
            keys = keys[~_holds(self._smaller[0], keys)]
        return int(np.unique(keys).size) if twice else keys.size

    def _look(self, keys: Keys) -> tuple[Slots, Values]:
        slots = self._seek(keys)
        found = np.flatnonzero(self._keys[slots] == keys)
        values = np.zeros(keys.size, np.uint32)
        values[found] = self._values[slots[found]]  # most keys are new: their values are not even looked at
        if self._smaller is not None and found.size < keys.size:
            away = np.flatnonzero(self._keys[slots] != keys)
            values[away] = _found(*self._smaller, keys[away])
        return slots, values

    def _seek(self, keys: Keys) -> Slots:
        """For each key its own slot, or the empty slot where it belongs."""
        return _seek(self._keys, keys)

    def _reserve(self, more: int) -> None:
        if self._smaller is not None:
            self._move(max(_LEAST, _STEP * more))
        size, needed = self._keys.size, 2 * (self.count + more)
        if needed <= size:
            if size >= _SMALL and self._coming is None and 4 * needed > 3 * size:
                self._coming = _Larger(self._slots_for(size + 1))
            return
        if self._smaller is not None:
            self._move(self._smaller[0].size)
        slots = self._slots_for(needed)
        self._smaller, self._moved = (self._keys, self._values), 0
        if self._coming is not None and self._coming.slots == slots:
            self._keys, self._values = self._coming.take()
        else:
            self._keys, self._values = np.zeros(slots, np.uint64), np.zeros(slots, np.uint32)
        self._coming = None
        self._move(_LEAST)

    def _slots_for(self, needed: int) -> int:
        slots = self._keys.size
        while slots < needed:
            slots *= 4 if slots <= _SMALL else 2
        return slots

    def _move(self, slots: int) -> None:
        """Moves the next so many slots of the smaller table. A key that was entered anew meanwhile stays as it is."""
        assert self._smaller is not None
        keys, values = self._smaller
        keys, values = keys[self._moved : self._moved + slots], values[self._moved : self._moved + slots]
        self._moved += slots
        used = np.flatnonzero(keys)
        keys, values = keys[used], values[used]
        places = self._seek(keys)
        absent = np.flatnonzero(self._keys[places] != keys)
        self.enter(keys[absent], places[absent], values[absent])
        if self._moved >= self._smaller[0].size:
            self._smaller = None


def _seek(table: Keys, keys: Keys) -> Slots:
    """For each key its slot in the table, or the empty slot where it belongs."""
    if not scan_doors.LIBRARY.loaded:
        return _seek_slowly(table, keys)
    slots = np.empty(keys.size, np.int64)
    scan_doors.seek(table, np.ascontiguousarray(keys), slots)
    return slots


def _seek_slowly(table: Keys, keys: Keys) -> Slots:
    """The same before the compiled code is loaded, which a node with little to read never does."""
    mask = table.size - 1
    slots = (keys & np.uint64(mask)).view(np.int64)
    other = np.flatnonzero(table[slots] != keys)
    moving = other[table[slots[other]] != 0]
    while moving.size:
        slots[moving] = step = (slots[moving] + 1) & mask
        held = table[step]
        moving = moving[(held != keys[moving]) & (held != 0)]
    return slots


def _found(table: Keys, values: Values, keys: Keys) -> Values:
    slots = _seek(table, keys)
    return np.where(table[slots] == keys, values[slots], 0).astype(np.uint32)


def _holds(table: Keys, keys: Keys) -> NDArray[np.bool_]:
    return np.asarray(table[_seek(table, keys)] == keys, np.bool_)
