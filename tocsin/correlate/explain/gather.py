"""From journal entries to facts: pruned by kind and time as they are read, turned into arrays all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.codebook import CodeBook
from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Corrections
from tocsin.correlate.extras import BatchExtras, Link, Picked
from tocsin.correlate.recent import Entry
from tocsin.correlate.units_columns import microseconds
from tocsin.kernel.fault import Skippable
from tocsin.model.ids import MAX_ROWS, event_seq
from tocsin.model.plan import Plan
from tocsin.model.predicate import Expr, covers
from tocsin.model.time import LATEST

from .facts import Facts, Mask, Part

#: Facts one explanation may hold in memory (about 150 bytes each).
FACTS_MAX: Final = 4_000_000
#: Rows that are turned into arrays together; one batch can number no more.
_TOGETHER: Final = MAX_ROWS


@dataclass(slots=True)
class Codes:
    """Gives kinds and sources their codes (`codebook.Coder`)."""

    predicates: tuple[Expr, ...] = ()
    words: int = 0
    kinds: dict[tuple[str, str | None], int] = field(default_factory=dict)
    sources: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def kind_code(self, kind: str, dimension: str | None) -> int:
        """The code of (kind, dimension)."""
        return self.kinds.setdefault((kind, dimension), len(self.kinds))

    def source_code(self, feed: str, source: str | None) -> int:
        """The code of (feed, source)."""
        return self.sources.setdefault((feed, source), len(self.sources))

    def hears(self, _kind: str) -> bool:
        """Every source has its code."""
        return True


@dataclass(frozen=True, slots=True)
class Scope:
    """What is gathered: events of these kinds (dotted prefixes) with event times in [start, stop]; known at journal clock `known`."""

    kinds: frozenset[str]
    start: int
    stop: int
    known: int


@dataclass(frozen=True, slots=True)
class Knowing:
    """What the journal must be read with: as `setting.Setting` has it."""

    plan: Plan
    corrects: frozenset[str] | None = None
    skews: Mapping[str, int] = field(default_factory=dict)
    lateness: Mapping[str, int] = field(default_factory=dict)

    def late(self, feed: str) -> int:
        """The lateness of a feed, µs."""
        return self.lateness.get(feed, self.plan.lateness)


class Many:
    """What the rows of several large batches, one after the other, say besides (`columns.Extras`): looked up batch by batch."""

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._parts = [BatchExtras(batch) for batch in batches]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in batches)])

    def links(self, field: str, rows: Sequence[int]) -> list[Link]:
        """Values of a field."""
        return self._of(rows, lambda part, own: part.links(field, own))

    def areas(self, rows: Sequence[int]) -> list[bytes | None]:
        """Areas as WKB."""
        return self._of(rows, lambda part, own: part.areas(own))

    def _of(self, rows: Sequence[int], look: Callable[[BatchExtras, list[int]], list[Any]]) -> list[Any]:
        wanted = np.asarray(rows, np.int64)
        places = np.searchsorted(self._starts, wanted, "right") - 1
        out: list[Any] = [None] * len(wanted)
        for number in np.unique(places).tolist():
            there = np.flatnonzero(places == number)
            own = (wanted[there] - self._starts[number]).tolist()
            for place, value in zip(there.tolist(), look(self._parts[number], own), strict=True):
                out[place] = value
        return out


class Gatherer:
    """Takes the entries of the journal in their order, from the first that can hold a fact of the scope on.

    `unknown`: facts of the scope that were learnt after `known`, and are left out. `beyond`: facts that came too late for the live engine.
    `clock`: the journal clock; `known`: the last one that the scope knows of. `newest`: event time of the newest event of a feed among those asked for.
    """

    def __init__(self, scope: Scope, knowing: Knowing) -> None:
        self.unknown = self.beyond = self.entries = 0
        self.newest: dict[str, int] = {}
        self.clock = self.known = 0
        self._scope = scope
        self._knowing = knowing
        self._corrections = Corrections(knowing.plan, knowing.corrects, lateness=knowing.late)
        self._wanted: dict[str, bool] = {}
        self._groups: dict[str, list[list[_Taken]]] = {}
        self._ended: dict[int, int] = {}
        self._size = 0

    def take(self, entry: Entry) -> None:
        """One more entry. Raises Skippable when there is more than can be held."""
        self.clock = max(self.clock, entry.ingest)
        self.entries += 1
        batch = entry.batch
        known = self.clock <= self._scope.known
        self.known = self.clock if known else self.known
        if batch is None:
            return
        kinds = batch.column("kind")
        asked = [self._asks(kind) for kind in kinds.dictionary.to_pylist()]
        if not known:
            if any(asked):
                self.unknown += len(self._rows(batch, asked))
            return
        runs = self._corrections.runs(batch, self.clock, entry.seq)
        if runs is None and not any(asked):
            return
        rows = self._rows(batch, asked)
        if runs is not None:
            facts = np.zeros(batch.num_rows, np.bool_)
            times = microseconds(batch.column("event_time"))
            for run in runs:
                facts[run.start : run.stop] = True
                self._ended.update(dict.fromkeys(run.withdrawn, int(times[run.row])))
            rows = rows[facts[rows]]
        if len(rows):
            self._keep(batch, rows, entry)

    def _asks(self, kind: str) -> bool:
        known = self._wanted.get(kind)
        if known is None:
            known = self._wanted[kind] = any(covers(prefix, kind) for prefix in self._scope.kinds)
        return known

    def _rows(self, batch: pa.RecordBatch, asked: list[bool]) -> NDArray[np.intp]:
        """Rows of the scope, by kind and time; a time too far ahead is clamped later and is kept here."""
        times = microseconds(batch.column("event_time"))
        good = times >= self._scope.start
        good &= times <= self._scope.stop if self._scope.stop < self.clock else True
        if not all(asked):
            codes = batch.column("kind").indices.to_numpy(zero_copy_only=False)
            good &= np.array(asked, np.bool_)[codes]
        return np.flatnonzero(good)

    def _keep(self, batch: pa.RecordBatch, rows: NDArray[np.intp], entry: Entry) -> None:
        part = batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))
        seqs = rows.astype(np.int64) + event_seq(entry.seq, 0)
        groups = self._groups.setdefault(entry.subject, [])  # of one feed: nearly always of one schema
        if not groups or not groups[-1][0].batch.schema.equals(batch.schema):
            groups.append([])
        groups[-1].append(_Taken(part, seqs, self.clock, entry.ingest))
        self._size += len(rows)
        if self._size > FACTS_MAX:
            raise Skippable(f"more than {FACTS_MAX:,} events of its kinds lie within reach of the rule; ask for a shorter span")

    def facts(self, extra: Iterable[pa.RecordBatch] = ()) -> Facts:
        """Everything taken, in order. `extra`: further events with their position in a column `seq` (alerts as facts)."""
        codes = Codes()
        book = CodeBook(codes, self._knowing.plan, self._knowing.skews)
        pieces = [_piece(book, some) for some in self._together()] + [_extra(book, batch) for batch in extra]
        columns, ingest, clocks, parts = _joined(pieces)
        names, kinds = list(codes.sources), list(codes.kinds)
        live = self._live(columns, clocks, names)
        order = np.lexsort((columns.seq, columns.time))
        order = order[self._inside(columns, live)[order]]
        self._note_newest(columns, names)
        return Facts(_taken(columns, order), ingest[order], live[order], self._ended, names, kinds, parts, order)

    def _inside(self, columns: Columns, live: Mask) -> Mask:
        """Within the scope now that times are clamped."""
        inside: Mask = (columns.time >= self._scope.start) & (columns.time <= self._scope.stop)
        self.beyond = int(np.count_nonzero(inside & ~live))
        return inside

    def _live(self, columns: Columns, clocks: NDArray[np.int64], names: list[tuple[str, str | None]]) -> Mask:
        """Whether the live engine took a fact in: it was no later than its feed may be."""
        limits = np.array([self._knowing.late(feed) for feed, _ in names], np.int64)
        late = np.full(len(clocks), self._knowing.plan.lateness, np.int64)
        if len(limits):
            late = limits[columns.source]
        in_time: Mask = columns.time >= clocks - late
        return in_time

    def _note_newest(self, columns: Columns, names: list[tuple[str, str | None]]) -> None:
        feeds = sorted({feed for feed, _ in names})
        place = np.array([feeds.index(feed) for feed, _ in names], np.intp)
        if not len(columns.seq):
            return
        newest = np.full(len(feeds), -(1 << 62), np.int64)
        np.maximum.at(newest, place[columns.source], columns.time)
        self.newest = {feed: int(time) for feed, time in zip(feeds, newest, strict=True) if time > -(1 << 62)}

    def _together(self) -> Iterator[list[_Taken]]:
        """Batches of one schema that become one."""
        for group in (group for groups in self._groups.values() for group in groups):
            some: list[_Taken] = []
            size = 0
            for one in group:
                if size + len(one.seqs) > _TOGETHER:
                    yield some
                    some, size = [], 0
                some.append(one)
                size += len(one.seqs)
            yield some


class _Taken(NamedTuple):
    """Rows of one entry that are wanted, their positions, the journal clock and the entry's ingest time."""

    batch: pa.RecordBatch
    seqs: NDArray[np.int64]
    clock: int
    ingest: int


_Piece = tuple[Columns, NDArray[np.int64], NDArray[np.int64], Part]


def _piece(book: CodeBook, some: Sequence[_Taken]) -> _Piece:
    """Arrays of many small batches: event times clamped by each row's own ingest time (SEMANTICS 2)."""
    sizes = [len(one.seqs) for one in some]
    batch = some[0].batch
    if len(some) > 1:
        batch = pa.Table.from_batches([one.batch for one in some]).unify_dictionaries().combine_chunks().to_batches()[0]
    seqs = np.concatenate([one.seqs for one in some])
    clocks = np.repeat(np.array([one.clock for one in some], np.int64), sizes)
    ingest = np.repeat(np.array([one.ingest for one in some], np.int64), sizes)
    feeds = batch.column("feed")
    skews = np.array([book.skew(str(feed)) for feed in feeds.dictionary.to_pylist()] or [0], np.int64)
    latest = ingest + skews[feeds.indices.to_numpy(zero_copy_only=False)]
    columns = book.columns(batch, LATEST, 0)
    columns = columns._replace(seq=seqs, time=np.minimum(columns.time, latest))
    return columns, ingest, clocks, Part(batch, columns.value)


def _extra(book: CodeBook, batch: pa.RecordBatch) -> _Piece:
    seqs = np.asarray(batch.column("seq").to_numpy(zero_copy_only=False), np.int64)
    ingest = microseconds(batch.column("ingest_time"))
    columns = book.columns(batch, LATEST, 0)._replace(seq=seqs)
    return columns, ingest, columns.time, Part(batch, columns.value)


def _joined(pieces: list[_Piece]) -> tuple[Columns, NDArray[np.int64], NDArray[np.int64], list[Part]]:
    if not pieces:
        i8, f8 = np.empty(0, np.int64), np.empty(0)
        none = Columns(i8, i8, i8.astype(np.int32), i8.astype(np.int32), f8, f8, f8, np.empty((0, 0), np.uint64))
        return none, i8, i8, []
    every = [piece[0] for piece in pieces]
    ends = [np.full(len(one.seq), -1, np.int64) if one.valid_until is None else one.valid_until for one in every]
    extras = Many([piece[3].batch for piece in pieces])
    columns = Columns(
        np.concatenate([one.seq for one in every]),
        np.concatenate([one.time for one in every]),
        np.concatenate([one.kind for one in every]),
        np.concatenate([one.source for one in every]),
        np.concatenate([one.lon for one in every]),
        np.concatenate([one.lat for one in every]),
        np.concatenate([one.value for one in every]),
        np.concatenate([one.bits for one in every]),
        np.concatenate(ends),
        extras,
    )
    return columns, np.concatenate([p[1] for p in pieces]), np.concatenate([p[2] for p in pieces]), [p[3] for p in pieces]


def _taken(columns: Columns, order: NDArray[np.intp]) -> Columns:
    ends, extras = columns.valid_until, columns.extras
    return Columns(
        columns.seq[order],
        columns.time[order],
        columns.kind[order],
        columns.source[order],
        columns.lon[order],
        columns.lat[order],
        columns.value[order],
        columns.bits[order],
        None if ends is None else ends[order],
        None if extras is None else Picked(extras, order),
    )
