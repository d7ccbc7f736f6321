"""From the journal's record batches to the kernels' flat arrays, with work proportional to what is distinct in a batch.

Names (kinds with their unit's dimension, sources of a feed) become the engine's dense codes: each distinct value of a
dictionary is looked up once per batch and spread over the rows by numpy. No per-event Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model import reading
from tocsin.model.ids import MAX_ROWS, event_seq
from tocsin.model.plan import Plan, RulePlan
from tocsin.model.predicate import Expr, Selector, covers

from .columns import Columns
from .extras import BatchExtras
from .names import Names, PlainNames, names_for
from .predicates import View, evaluate
from .units_columns import UNKNOWN_DIMENSION, canonical_values, clamped_times, coordinates, dimension, microseconds

_STRING: Final = pa.string().id


class Coder(Protocol):
    """The part of the engine a code book needs."""

    predicates: tuple[Expr, ...]
    words: int

    def kind_code(self, kind: str, dimension: str | None) -> int: ...
    def source_code(self, feed: str, source: str | None) -> int: ...
    def hears(self, _kind: str) -> bool: ...


@dataclass(slots=True)
class Repairs:
    """What was not as it should be, since start."""

    clamped_times: Counter[str] = field(default_factory=Counter)  # by feed
    bad_coordinates: int = 0
    unknown_units: int = 0


class CodeBook:
    """Encodes batches for one engine. `skews`: feed -> µs an event time may be ahead of its ingest; the plan's when absent."""

    def __init__(self, engine: Coder, plan: Plan, skews: Mapping[str, int] | None = None) -> None:
        self.repairs = Repairs()
        self._engine = engine
        self._skew = plan.skew
        self._skews = dict(skews or {})
        self._kinds: dict[tuple[str, str | None], int] = {}
        self._sources: dict[str, Names | PlainNames] = {}
        self._asked = _prefixes(engine.predicates, plan)
        self._relevant: dict[str, frozenset[int]] = {}
        self._hears: dict[str | None, bool] = {}

    def skew(self, feed: str) -> int:
        """How far ahead of its ingest time an event time of this feed may be, µs."""
        return self._skews.get(feed, self._skew)

    def columns(self, batch: pa.RecordBatch, ingest: int, message_seq: int) -> Columns:
        """Encodes one journal entry, rows in order. Raises ValueError when it has more rows than a `seq` can number."""
        rows, first = batch.num_rows, event_seq(message_seq, 0)
        if rows > MAX_ROWS:
            raise ValueError(f"journal message {message_seq} has {rows} events; a seq numbers at most {MAX_ROWS}")
        return self.encode(batch, ingest, np.arange(first, first + rows, dtype=np.int64))

    def encode(self, batch: pa.RecordBatch, ingest: int | NDArray[np.int64], seq: NDArray[np.int64]) -> Columns:
        """Encodes events of any number of entries. `ingest`: when they were learnt, µs, one for all or one per row; `seq`: per row."""
        rows = batch.num_rows
        feeds, ends = _values(batch.column("feed")), batch.column("valid_until")
        kinds, kind_codes = _coded(batch.column("kind"))
        units, unit_codes = _coded(batch.column("unit"))
        values = canonical_values(batch.column("value"), unit_codes, units)
        pairs = kind_codes * len(units) + unit_codes
        present, where = _distinct(pairs, len(kinds) * len(units))
        codes = np.array([self._kind_code(kinds[pair // len(units)], units[pair % len(units)]) for pair in present], np.int32)
        self._count_unknown(units, unit_codes)
        time, clamped = clamped_times(batch.column("event_time"), self._latest(batch, feeds, ingest))
        lon, lat, off = coordinates(batch.column("lon"), batch.column("lat"))
        if clamped:
            names, at = _coded(batch.column("feed"))
            ahead = np.bincount(at[time < microseconds(batch.column("event_time"))], minlength=len(names))
            self.repairs.clamped_times.update({str(name): int(n) for name, n in zip(names, ahead, strict=True) if n})
        self.repairs.bad_coordinates += off
        return Columns(
            seq=seq,
            time=time,
            kind=codes[where],
            source=self._source_codes(batch, feeds) if any(map(self._heard, kinds)) else np.full(rows, -1, np.int32),
            lon=lon,
            lat=lat,
            value=values,
            bits=self._bits(View(batch, values), {str(kinds[pair // len(units)]) for pair in present}),
            valid_until=None if ends.null_count == rows else microseconds(ends, null=-1),
            extras=BatchExtras(batch),
        )

    def _latest(self, batch: pa.RecordBatch, feeds: Sequence[str], ingest: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        """The latest event time believed: one for the batch, or per row when feeds are mixed."""
        if len(feeds) <= 1:
            return ingest + (self.skew(feeds[0]) if feeds else 0)
        names, codes = _coded(batch.column("feed"))
        return np.array([self.skew(str(name)) for name in names], np.int64)[codes] + ingest

    def reset(self) -> None:
        """Forgets the engine's codes, after the engine was restored to another state."""
        self._kinds.clear()
        self._sources.clear()

    def _kind_code(self, kind: str | None, unit: str | None) -> int:
        key = (str(kind), unit)
        code = self._kinds.get(key)
        if code is None:
            code = self._kinds[key] = self._engine.kind_code(str(kind), dimension(unit))
        return code

    def _heard(self, kind: str | None) -> bool:
        known = self._hears.get(kind)
        if known is None:
            known = self._hears[kind] = kind is not None and self._engine.hears(kind)
        return known

    def _count_unknown(self, units: Sequence[str | None], codes: NDArray[np.intp]) -> None:
        for i, unit in enumerate(units):
            if unit is not None and dimension(unit) == UNKNOWN_DIMENSION:
                self.repairs.unknown_units += int(np.count_nonzero(codes == i))

    def _source_codes(self, batch: pa.RecordBatch, feeds: Sequence[str]) -> NDArray[np.int32]:
        column = batch.column("source")
        if len(feeds) == 1:
            return self._of_feed(feeds[0], column)
        out = np.full(batch.num_rows, -1, np.int32)
        for feed in feeds:
            rows = np.flatnonzero(evaluate_feed(batch, feed))
            out[rows] = self._of_feed(feed, column.take(pa.array(rows)))
        return out

    def _of_feed(self, feed: str, column: pa.DictionaryArray) -> NDArray[np.int32]:
        book = self._sources.get(feed)
        if book is None:
            book = self._sources[feed] = names_for(partial(self._engine.source_code, feed))
        names, rows = column.dictionary, column.indices
        if not len(rows):
            return np.empty(0, np.int32)
        if names.type.id != _STRING:
            names = names.cast(pa.string())
        missing = rows.null_count > 0
        at = (rows.cast(pa.int32()).fill_null(len(names)) if missing else rows).to_numpy(zero_copy_only=False)
        if len(names) + missing > 2 * len(at) + 16:  # a long dictionary of which this batch uses little
            present, at = _distinct(at.astype(np.intp), len(names) + 1)
            names = names.take(pa.array(present[: len(present) - missing], pa.int64()))
        codes = book.codes(names)
        if missing:
            codes = np.append(codes, np.int32(book.nobody))
        spread: NDArray[np.int32] = codes[at]
        return spread

    def _bits(self, view: View, kinds: set[str]) -> NDArray[np.uint64]:
        bits = np.zeros((view.rows, self._engine.words), np.uint64)
        for i in sorted(frozenset[int]().union(*(self._of_kind(kind) for kind in kinds))):
            held = evaluate(self._engine.predicates[i], view)
            bits[:, i // 64] |= held.astype(np.uint64) << np.uint64(i % 64)
        return bits

    def _of_kind(self, kind: str) -> frozenset[int]:
        """Predicates that some rule asks of this kind; the others would be decided for nothing."""
        known = self._relevant.get(kind)
        if known is None:
            known = frozenset(i for i, prefixes in enumerate(self._asked) if any(covers(prefix, kind) for prefix in prefixes))
            self._relevant[kind] = known
        return known


def selectors(rule: RulePlan) -> tuple[Selector, ...]:
    """Every selector a rule looks through, its exceptions included."""
    return reading.selectors(rule)


def evaluate_feed(batch: pa.RecordBatch, feed: str) -> NDArray[np.bool_]:
    """Which rows of a batch of several feeds are of this one."""
    names, codes = _coded(batch.column("feed"))
    return np.asarray(np.array([name == feed for name in names])[codes], np.bool_)


def _prefixes(predicates: Sequence[Expr], plan: Plan) -> list[frozenset[str]]:
    """Per predicate the kinds it is asked of; of every kind (the empty prefix cannot say that) when no selector names it whole."""
    asked: dict[Expr, set[str]] = {}
    rules = {rule.name: rule for rule in plan.rules}
    for rule in plan.rules:
        for selector in selectors(rule):
            if selector.where is not None:
                name = reading.alert_of(selector.kind)
                kinds = {selector.kind} if name is None else {one.kind for one in reading.behind(rules, name)}
                asked.setdefault(selector.where, set()).update(kinds)
    everything = {selector.kind for rule in plan.rules for selector in selectors(rule)}
    return [frozenset(asked.get(predicate, everything)) for predicate in predicates]


def _values(column: pa.DictionaryArray) -> list[str]:
    """Distinct values that really occur."""
    names, codes = _coded(column)
    if len(names) == 1:
        return [str(names[0])] if len(codes) else []
    present, _ = _distinct(codes, len(names))
    return [str(names[i]) for i in present]


def _coded(column: pa.DictionaryArray) -> tuple[list[str | None], NDArray[np.intp]]:
    """Distinct values (None last, when the column has nulls or no values at all) and per row the index into them."""
    names: list[str | None] = column.dictionary.to_pylist()
    indices = column.indices
    if indices.null_count or not names:
        indices = indices.cast(pa.int32()).fill_null(len(names))
        names.append(None)
    return names, indices.to_numpy(zero_copy_only=False).astype(np.intp)


def _distinct(codes: NDArray[np.intp], size: int) -> tuple[list[int], NDArray[np.intp]]:
    """Codes that occur, ascending, and per row the index into them. `size`: one more than the largest possible code."""
    if size > 4 * len(codes) + 4096:
        present, where = np.unique(codes, return_inverse=True)
        return present.tolist(), where
    present = np.flatnonzero(np.bincount(codes, minlength=size))
    table = np.zeros(size, np.intp)
    table[present] = np.arange(len(present))
    return present.tolist(), table[codes]
