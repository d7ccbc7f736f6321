"""The facts an explanation rests on: events of one stretch of the journal as flat arrays, in (event time, journal) order."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.columns import Columns
from tocsin.correlate.predicates import View, evaluate
from tocsin.correlate.series.keys import links
from tocsin.correlate.series.sample import Sample
from tocsin.model.explanation import Seen
from tocsin.model.predicate import Selector, covers

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
RADIUS: Final = 6_371_008.8
_LOWEST: Final = -sys.float_info.max


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one schema. `values`: canonical, -inf where there is none. `ingest`: µs per row."""

    batch: pa.RecordBatch
    values: NDArray[np.float64]


@dataclass(slots=True)
class Facts:
    """n events. `columns`: as the engine reads them (`extras` give links and areas), `bits` empty. `ingest`: when each was learnt, µs.
    `live`: it came in time for the live engine. `ended`: seq of a fact that was taken back -> event time of what took it back.
    `names`: source code -> (feed, source). `kinds`: kind code -> (kind, dimension). `order`: place of each row in the parts put
    one after the other."""

    columns: Columns
    ingest: NDArray[np.int64]
    live: Mask
    ended: Mapping[int, int]
    names: Sequence[tuple[str, str | None]]
    kinds: Sequence[tuple[str, str | None]]
    parts: Sequence[Part]
    order: Rows
    _masks: dict[tuple[Selector, bool], Mask] = field(default_factory=dict)
    _truths: dict[Any, Mask] = field(default_factory=dict)
    _vectors: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.columns.seq)

    @property
    def time(self) -> NDArray[np.int64]:
        """Event times as matched by, µs."""
        return self.columns.time

    @property
    def seq(self) -> NDArray[np.int64]:
        """Journal positions."""
        return self.columns.seq

    def of_kind(self, prefix: str) -> Mask:
        """Rows of a kind, whatever they say."""
        return self._by_kind(lambda kind, _dimension: covers(prefix, kind))

    def _by_kind(self, test: Any) -> Mask:
        table = np.array([test(kind, dimension) for kind, dimension in self.kinds], np.bool_)
        return table[self.columns.kind] if len(table) else np.zeros(len(self), np.bool_)

    def passing(self, of: Selector, valued: bool = False) -> Mask:
        """Rows that pass a selector, as the engine decides it."""
        known = self._masks.get((of, valued))
        if known is None:
            known = self._by_kind(lambda kind, dimension: covers(of.kind, kind) and of.dimension in (None, dimension))
            at_least = (_LOWEST if valued else -math.inf) if of.at_least is None else of.at_least
            known = known & (self.columns.value >= at_least)
            if of.where is not None and known.any():
                known = known & self.truth(of.where)
            self._masks[of, valued] = known
        return known

    def truth(self, where: Any) -> Mask:
        """Rows for which a condition certainly holds."""
        known = self._truths.get(where)
        if known is None:
            parts = [evaluate(where, View(part.batch, part.values)) for part in self.parts]
            known = np.concatenate(parts)[self.order] if parts else np.zeros(0, np.bool_)
            self._truths[where] = known
        return known

    @property
    def placed(self) -> Mask:
        """Rows with usable coordinates."""
        return ~np.isnan(self.columns.lon)

    def vectors(self) -> NDArray[np.float64]:
        """float64[n, 3], unit vectors; NaN without a place."""
        if self._vectors is None:
            lon, lat = np.radians(self.columns.lon), np.radians(self.columns.lat)
            across = np.cos(lat)
            self._vectors = np.stack([across * np.cos(lon), across * np.sin(lon), np.sin(lat)], axis=1)
        return self._vectors

    def chords(self, lon: float, lat: float, rows: Rows) -> NDArray[np.float64]:
        """Squared chords from a place to rows; NaN without a place."""
        across = math.cos(math.radians(lat))
        here = np.array([across * math.cos(math.radians(lon)), across * math.sin(math.radians(lon)), math.sin(math.radians(lat))])
        chords: NDArray[np.float64] = ((self.vectors()[rows] - here) ** 2).sum(axis=1)
        return chords

    def metres(self, lon: float, lat: float, rows: Rows) -> NDArray[np.float64]:
        """Great-circle distances from a place to rows."""
        away: NDArray[np.float64] = 2 * RADIUS * np.arcsin(np.minimum(1.0, np.sqrt(self.chords(lon, lat, rows)) / 2))
        return away

    def samples(self, rows: Rows, flags: NDArray[np.int64] | None = None, fields: tuple[str, ...] = ()) -> list[Sample]:
        """Rows as the histories see them."""
        columns = self.columns
        taken = (columns.time, columns.seq, columns.source, columns.value, columns.lon, columns.lat)
        parts = [column[rows].tolist() for column in taken]
        parts.append([0] * len(rows) if flags is None else flags.tolist())
        if not fields:
            return list(map(Sample, *parts))
        return list(map(Sample, *parts, links(columns, fields, rows.tolist())))

    def flags(self, rows: Rows, asks: Sequence[tuple[Selector, bool]]) -> NDArray[np.int64]:
        """Bit i: the row passes asks[i] (selector, whether it needs a value)."""
        out = np.zeros(len(rows), np.int64)
        for i, (of, valued) in enumerate(asks):
            out |= self.passing(of, valued)[rows].astype(np.int64) << i
        return out

    def row_of(self, seq: int) -> int | None:
        """Where a journal position is, None when it is not among the facts."""
        found = np.flatnonzero(self.columns.seq == seq)
        return int(found[0]) if len(found) else None

    def seen(self, row: int, away: float | None = None, gap: int | None = None) -> Seen:
        """A row as people see it."""
        at = int(self.order[row])
        for part in self.parts:
            if at < part.batch.num_rows:
                return _seen(part.batch, at, int(self.columns.seq[row]), int(self.columns.time[row]), away, gap)
            at -= part.batch.num_rows
        raise IndexError(row)

    def attribute(self, row: int, name: str) -> Any:
        """The value of a field (`severity`, `attrs.x`) of a row; None where it has none."""
        at = int(self.order[row])
        for part in self.parts:
            if at < part.batch.num_rows:
                return _field(part.batch, at, name)
            at -= part.batch.num_rows
        raise IndexError(row)

    def source(self, row: int) -> str:
        """`sensors/S-31`; the feed alone for an event that names no source."""
        return source_words(self.names, int(self.columns.source[row]))


def source_words(names: Sequence[tuple[str, str | None]], code: int) -> str:
    """The name of a source's code."""
    feed, source = names[code]
    return feed if source is None else f"{feed}/{source}"


def _field(batch: pa.RecordBatch, row: int, name: str) -> Any:
    column, _, rest = name.partition(".")
    if column not in batch.schema.names:
        return None
    value = batch.column(column)[row].as_py()
    return value.get(rest) if rest and isinstance(value, dict) else value


def _seen(batch: pa.RecordBatch, row: int, seq: int, time: int, away: float | None, gap: int | None) -> Seen:
    one = {name: batch.column(name)[row].as_py() for name in ("feed", "id", "kind", "source", "lon", "lat", "value", "unit", "text")}
    for name in ("lon", "lat", "value"):
        if one[name] is not None and not math.isfinite(one[name]):
            one[name] = None
    if away is not None and not math.isfinite(away):
        away = None
    return Seen(
        seq,
        one["feed"],
        one["id"],
        one["kind"],
        one["source"],
        time,
        one["lon"],
        one["lat"],
        one["value"],
        one["unit"],
        one["text"],
        None if away is None else round(away, 1),
        gap,
    )
