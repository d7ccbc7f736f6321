"""Which samples came after a newer one of their series, a whole batch at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.model.predicate import covers

_NEVER: Final = int(np.iinfo(np.int64).min)


class Prefixes:
    """Kinds to the number of the prefix they are counted under: the first in alphabetical order that covers them, as for the kernels."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._prefixes = sorted(prefixes)
        self._numbers: dict[str, int] = {}

    def number(self, kind: str) -> int:
        """-1 for a kind that none covers."""
        known = self._numbers.get(kind)
        if known is None:
            known = next((i for i, prefix in enumerate(self._prefixes) if covers(prefix, kind)), -1)
            self._numbers[kind] = known
        return known


class Newest:
    """The newest time of every series so far."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}

    def take(self, series: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples in the order they came, series (any number) and time (µs) of each. Gives for those older than one of their series before them
        when that was, and 0 for all others."""
        names, which = np.unique(series, return_inverse=True)
        keys = names.tolist()
        known = np.array([self._times.get(key, _NEVER) for key in keys], np.int64)
        owner = np.concatenate([np.arange(len(keys)), which])  # what is known comes first in each series
        order = np.argsort(owner, kind="stable")
        ranks, rank = np.unique(np.concatenate([known, times])[order], return_inverse=True)
        owner = owner[order]
        newest = np.maximum.accumulate(owner * len(ranks) + rank) - owner * len(ranks)
        before = np.concatenate([newest[:1], newest[:-1]])
        after = np.zeros(len(order), np.int64)
        after[order] = np.where(rank < before, ranks[before], 0)
        ends = np.append(np.flatnonzero(np.diff(owner)), len(owner) - 1)
        self._times.update(zip(keys, ranks[newest[ends]].tolist(), strict=True))
        return after[len(keys) :]
