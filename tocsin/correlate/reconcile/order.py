"""Facts numbered in the order they happened, for an engine that is shown them in that order: to it a higher number is what came later."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.columns import Columns
from tocsin.correlate.firing import Firings
from tocsin.correlate.series.alerted import Turn

_NOBODY = -1


class Order:
    """`columns`: facts in order, with the numbers instead of their seqs. A fact that is shown to matches and to guards has one number."""

    def __init__(self, columns: Columns) -> None:
        self._seqs, first, which = np.unique(columns.seq, return_index=True, return_inverse=True)
        self._numbers = first + 1
        self._back = np.zeros(len(columns.seq) + 1, np.int64)
        self._back[self._numbers] = self._seqs
        self.columns = columns._replace(seq=self._numbers[which].astype(np.int64))

    def numbers(self, seqs: Iterable[int]) -> tuple[int, ...]:
        """Of facts that are there."""
        return tuple(number for number in map(self._number, seqs) if number >= 0)

    def said(self, firings: Firings) -> Firings:
        """What the engine said, of the facts themselves."""
        if not len(firings):
            return firings
        rows, told = firings.rows.copy(), firings.told.copy()
        rows["anchor"], told["seq"] = self._facts(rows["anchor"]), self._facts(told["seq"])
        return Firings(rows, told, firings.labels)

    def turns(self, turns: Iterable[Turn]) -> list[Turn]:
        """What the engine is told of alerts."""
        return [turn._replace(anchor=self._number(turn.anchor)) for turn in turns]

    def _number(self, seq: int) -> int:
        at = int(np.searchsorted(self._seqs, seq))
        return int(self._numbers[at]) if at < len(self._seqs) and self._seqs[at] == seq else _NOBODY

    def _facts(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        known = (numbers > 0) & (numbers < len(self._back))
        return np.where(known, self._back[np.where(known, numbers, 0)], numbers)
