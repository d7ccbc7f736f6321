"""Numbers of events in the order of time: the engine takes numbers for places in a journal, and those of the archive follow another order there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.model.ids import ROW_BITS

#: Events whose numbers are known in any case; beyond, those that are old enough are forgotten. 8 bytes each.
KEPT: Final = 16_000_000


class Numbering:
    """Numbers rows as they come, from the first of a journal on, and knows their numbers in the archive. `keep`: µs for which they may be asked for;
    those that are pinned are known for ever."""

    def __init__(self, keep: int, kept: int = KEPT) -> None:
        self._keep, self._kept = keep, kept
        self._next = 1 << ROW_BITS
        self._parts: deque[tuple[int, int, NDArray[np.int64]]] = deque()  # first number, clock of the last, numbers in the archive
        self._size = 0
        self._pinned: dict[int, int] = {}

    def take(self, seq: NDArray[np.int64], clock: int) -> NDArray[np.int64]:
        """Numbers for more rows, the last of which is known at `clock`."""
        first = self._next
        self._next += len(seq)
        self._parts.append((first, clock, np.array(seq)))
        self._size += len(seq)
        while self._size > self._kept and self._parts[0][1] < clock - self._keep:
            self._size -= len(self._parts.popleft()[2])
        return np.arange(first, self._next, dtype=np.int64)

    def pin(self, numbers: Iterable[int]) -> None:
        """An alert rests on these."""
        for number in numbers:
            found = self.real(number)
            if found is not None:
                self._pinned[number] = found

    def real(self, number: int) -> int | None:
        """The number in the archive; None when it is not known any more."""
        if number in self._pinned:
            return self._pinned[number]
        low, high = 0, len(self._parts)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._parts[middle][0] <= number else (low, middle)
        if low == 0:
            return None
        first, _, seqs = self._parts[low - 1]
        return int(seqs[number - first]) if number - first < len(seqs) else None
