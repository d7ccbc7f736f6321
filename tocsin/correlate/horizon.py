"""Which facts come too late for the live engine: every feed has a lateness of its own (SEMANTICS 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.plan import Plan

from .columns import Columns
from .extras import Picked


class Horizon:
    """`lateness`: feed -> µs a fact may be later than its event time; the plan's for feeds that are not in it.

    `longest` is what windows and stores have to reach back. `beyond`: facts by feed that came later than that, since start.
    """

    def __init__(self, plan: Plan, lateness: Mapping[str, int] | None = None) -> None:
        self._of = dict(lateness or {})
        self._default = plan.lateness
        self.settings = f"{plan.lateness} {sorted(self._of.items())}"  # what a state that was saved depends on
        self.longest = max(plan.lateness, *self._of.values(), 0)
        self._shortest = min([plan.lateness, *self._of.values()])
        self.beyond: Counter[str] = Counter()

    def of(self, feed: str) -> int:
        """The lateness of a feed, µs."""
        return self._of.get(feed, self._default)

    def late(self, batch: pa.RecordBatch, times: NDArray[np.int64], clock: int) -> NDArray[np.bool_] | None:
        """Which rows happened earlier than their feed allows at a journal clock; None when none did (nearly always)."""
        if not len(times) or int(times.min()) >= clock - self._shortest:
            return None
        names, codes = _coded(batch.column("feed"))
        limits = np.array([clock - self.of(name) for name in names], np.int64)
        late = times < limits[codes]
        return late if late.any() else None

    def count(self, batch: pa.RecordBatch, late: NDArray[np.bool_]) -> None:
        """Counts facts that are left to reconcile."""
        names, codes = _coded(batch.column("feed"))
        for name, number in zip(names, np.bincount(codes[late], minlength=len(names)).tolist(), strict=True):
            if number:
                self.beyond[name] += number


def of_kinds(batch: pa.RecordBatch, prefixes: frozenset[str]) -> NDArray[np.bool_]:
    """Which rows of a batch are of one of these kinds."""
    names, codes = _coded(batch.column("kind"))
    return np.array([under(prefixes, name) for name in names], np.bool_)[codes]


def under(prefixes: frozenset[str], kind: str) -> bool:
    """Whether one of the prefixes covers a kind (`model.predicate.covers`): a step for each part of its name, not for each prefix."""
    while kind not in prefixes:
        kind, dot, _ = kind.rpartition(".")
        if not dot:
            return False
    return True


def present(batch: pa.RecordBatch, wanted: NDArray[np.bool_]) -> tuple[str, ...]:
    """The kinds of some rows."""
    names, codes = _coded(batch.column("kind"))
    return tuple(names[code] for code in np.unique(codes[wanted]).tolist())


def _coded(column: pa.DictionaryArray) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct values of a column without nulls, and per row the index into them."""
    return column.dictionary.to_pylist(), column.indices.to_numpy(zero_copy_only=False).astype(np.intp)


def rows(columns: Columns, wanted: NDArray[np.bool_] | NDArray[np.intp]) -> Columns:
    """Some rows of a batch, in order."""
    return Columns(
        columns.seq[wanted],
        columns.time[wanted],
        columns.kind[wanted],
        columns.source[wanted],
        columns.lon[wanted],
        columns.lat[wanted],
        columns.value[wanted],
        columns.bits[wanted],
        None if columns.valid_until is None else columns.valid_until[wanted],
        None if columns.extras is None else Picked(columns.extras, np.arange(len(columns.seq))[wanted] + columns.first),
    )
