"""A small place, or one source, read straight from the row groups that can hold it: first what tells whether a row can matter, then the rest of those that do.

Whoever asks gets rows that may be more than asked for, never fewer: the statement that is run over them decides. An engine that is given whole files pays for
each column of each of their row groups, wanted or not; this pays for those that are read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tocsin.model.archive import CLASSES, ID_FORM, ROW, Box, StoredFile
from tocsin.model.asking import Filter, Patience, Stopped, TooSlow
from tocsin.model.event import INSTANT
from tocsin.model.outline import Outline
from tocsin.model.rowids import full_ids

from .footers import Footer, Footers, Told
from .grid import fine_ranges

#: Rows of the row groups that are read like this at most, and rows of them that may matter; beyond, the engine reads the files.
ROWS_MOST: Final = 4_000_000
KEPT_MOST: Final = 500_000
#: ... of events, whose texts cost ten times as much to decode; the engine leaves out those of rows that do not matter.
RICH_MOST: Final = 262_144
_RICH: Final = CLASSES[0]
#: Pieces of work for each thread, about.
_PIECES: Final = 4
#: Columns as they travel: names as texts, and how ids are made.
FIELDS: Final = {one.name: pa.field(one.name, pa.string() if pa.types.is_dictionary(one.type) else one.type) for one in (*ROW, ID_FORM)}
_NAMES: Final = [one.name for one in ROW if pa.types.is_dictionary(one.type)]
_MAKING: Final = (ID_FORM.name, "source", "event_time")  # what an id is made of where it is not stored


@dataclass(frozen=True, slots=True)
class Near:
    """Where rows of an answer can lie. `start`, `stop`: event time, µs, `stop` exclusive. `ranges`: of `cell`, both ends inclusive; `bare`: or none at all.
    `box`: rows outside do not matter. `sources`: nor do those of others; empty: all do."""

    ranges: tuple[tuple[int, int], ...]
    start: int | None = None
    stop: int | None = None
    bare: bool = False
    box: Box | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Row groups of one file."""

    file: StoredFile
    outline: Outline
    groups: NDArray[np.int64]

    @property
    def rows(self) -> int:
        return int(self.outline.rows[self.groups].sum())


def near_of(wanted: Filter) -> Near | None:
    """None when a filter names no place."""
    box = wanted.box
    if box is None:
        return None
    halves = [box] if box.west <= box.east else [box._replace(east=180.0), box._replace(west=-180.0)]
    found = tuple(one for half in halves for one in fine_ranges(half))
    return Near(found, wanted.start, wanted.stop, box=box, sources=wanted.sources)


class _Enough(Exception):
    """More rows matter than are worth reading like this."""


class Straight:
    """Reads with so many threads of its own; questions of several threads at a time."""

    def __init__(self, threads: int = 2) -> None:
        self.footers = Footers()
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads, "straight")

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def parts(self, files: Iterable[StoredFile], near: Near, told: Told | None = None) -> Iterator[Part]:
        """Of each file, in order, the row groups that can hold something, also when none can. `told`: gives what the archive knows of a file. Raises OSError,
        pa.ArrowException for a file that cannot be read."""
        for file in files:
            outline = self.footers.outline(file, told)
            yield Part(file, outline, outline.groups(near.start, near.stop, near.ranges, bare=near.bare))

    def worth(self, parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
        """Those to read like this, and those that the engine reads quicker: where there is much text or very much of all."""
        rich = [part for part in parts if part.file.stream == _RICH]
        plain = [part for part in parts if part.file.stream != _RICH]
        if sum(part.rows for part in rich) <= RICH_MOST:
            rich, plain = [], list(parts)
        return (plain, rich) if sum(part.rows for part in plain) <= ROWS_MOST else ([], list(parts))

    def rows(self, parts: Sequence[Part], near: Near, columns: Sequence[str], patience: Patience) -> pa.Table | None:
        """`columns` of the rows that may matter, names as texts; None when it is better to let the engine read the files. Raises TooSlow, Stopped; OSError,
        pa.ArrowException for a file that cannot be read."""
        names = list(dict.fromkeys((*columns, *_MAKING) if "id" in columns else columns))
        work = _Work(self.footers, near, names, patience)
        try:
            batches = [batch for found in self._pool.map(work.read, self._pieces(parts)) for batch in found]
        except _Enough:
            return None
        finally:
            work.over.set()  # of what is still waiting, nothing is read
        whole = pa.Table.from_batches(batches, pa.schema([FIELDS[name] for name in names]))
        if "id" in columns and len(whole):
            whole = whole.combine_chunks()
            whole = whole.set_column(whole.schema.get_field_index("id"), "id", full_ids(whole))
        return whole.select(list(columns))

    def _pieces(self, parts: Sequence[Part]) -> list[Part]:
        """Parts of few row groups, those with much text first, so that no thread waits long for another."""
        most = max(1, sum(len(part.groups) for part in parts) // (_PIECES * self._threads))
        ordered = sorted(parts, key=lambda part: part.file.stream != _RICH)
        return [
            Part(one.file, one.outline, one.groups[first : first + most]) for one in ordered for first in range(0, len(one.groups), most)
        ]


class _Work:
    """One question's reading."""

    def __init__(self, footers: Footers, near: Near, names: Sequence[str], patience: Patience) -> None:
        self.over = threading.Event()
        self._footers = footers
        self._near, self._names, self._patience = near, names, patience
        self._until = time.monotonic() + patience.seconds
        self._kept = 0

    def read(self, part: Part) -> list[pa.RecordBatch]:
        """Of one file."""
        found = []
        self._go_on()
        footer = self._footers.of(part.file)
        texts = [name for name in _NAMES if name in footer.names]
        # Opened here: a path would be looked up among file systems first. Not mapped: a bad sector would end the process, not the read.
        with pa.OSFile(str(part.file.path)) as opened, pq.ParquetFile(opened, metadata=footer.meta, read_dictionary=texts) as parquet:
            for group in part.groups.tolist():
                self._go_on()
                batch = self._group(parquet, footer, part.outline, group)
                if batch is not None:
                    found.append(batch)
                    self._kept += len(batch)
        return found

    def _go_on(self) -> None:
        """Raises what ends it."""
        if self._patience.given_up.is_set():
            raise Stopped("whoever asked has gone")
        if time.monotonic() > self._until:
            raise TooSlow(f"it ran longer than {self._patience.seconds:g} s; ask for less time, a smaller place or fewer kinds")
        if self.over.is_set() or self._kept > KEPT_MOST:
            raise _Enough

    def _group(self, parquet: pq.ParquetFile, footer: Footer, outline: Outline, group: int) -> pa.RecordBatch | None:
        """The rows of one row group that may matter; None: there are none."""
        known: dict[str, pa.Array] = {}
        there = footer.names

        def column(name: str) -> pa.Array:
            if name not in known:
                known[name] = _whole(parquet.read_row_group(group, columns=[name], use_threads=False).column(0))
            return known[name]

        mask = np.ones(int(outline.rows[group]), bool)
        for test in self._tests(outline.times(group), there):
            mask &= test(column)
            if not mask.any():
                return None
        rows = np.flatnonzero(mask)
        empty = int(outline.empty[group])
        wanted = [name for name in self._names if name in there and not empty >> there.index(name) & 1 and name not in known]
        if wanted:
            rest = _head(parquet, group, wanted, int(rows[-1]) + 1)
            known |= {name: _whole(rest.column(name)) for name in wanted}
        return pa.record_batch(
            [_taken(known.get(name), FIELDS[name], rows) for name in self._names],
            schema=pa.schema([FIELDS[name] for name in self._names]),
        )

    def _tests(self, times: tuple[int, int], there: Sequence[str]) -> Iterator[Any]:
        """What a row must pass, the cheapest first; each takes the way to a column and gives a mask. `times`: between which all rows lie."""
        near = self._near
        if near.sources and "source" in there:
            yield lambda column: _is_one_of(column("source"), near.sources)
        if near.box is not None and {"lon", "lat"} <= set(there):
            box = near.box
            yield lambda column: _between(_floats(column("lon")), box.west, box.east)
            yield lambda column: _between(_floats(column("lat")), box.south, box.north)
        start, stop = near.start, near.stop
        if "event_time" in there and start is not None and times[0] < start:
            yield lambda column: _instants(column("event_time")) >= start
        if "event_time" in there and stop is not None and times[1] >= stop:
            yield lambda column: _instants(column("event_time")) < stop


def _head(parquet: pq.ParquetFile, group: int, columns: Sequence[str], stop: int) -> pa.Table:
    """The first `stop` rows of a row group, or some more: what follows them is not decoded."""
    batches: list[pa.RecordBatch] = []
    for batch in parquet.iter_batches(stop, [group], columns, use_threads=False):
        batches.append(batch)
        if sum(map(len, batches)) >= stop:  # the first, but where a column comes in pieces
            break
    return pa.Table.from_batches(batches)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Without a copy where there is nothing to join."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _taken(column: pa.Array | None, field: pa.Field, rows: NDArray[np.int64]) -> pa.Array:
    """`rows`: ascending, at least one."""
    if column is None:
        return pa.nulls(len(rows), field.type)
    first, stop = int(rows[0]), int(rows[-1]) + 1
    some = column.slice(first, len(rows)) if stop - first == len(rows) else column.take(pa.array(rows))
    return some if some.type == field.type else some.cast(field.type)


def _is_one_of(names: pa.Array, wanted: Sequence[str]) -> NDArray[np.bool_]:
    listed = pc.is_in(names.dictionary, pa.array(wanted, names.dictionary.type)).to_numpy(zero_copy_only=False)
    indices = names.indices
    if indices.null_count:
        listed, indices = np.append(listed, False), indices.fill_null(len(names.dictionary))
    found: NDArray[np.bool_] = listed[indices.to_numpy()]
    return found


def _floats(column: pa.Array) -> NDArray[np.float64]:
    """Null as NaN, which is in no box."""
    found: NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return found


def _between(numbers: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    """`low` > `high`: round the back of the Earth."""
    found: NDArray[np.bool_] = (numbers >= low) & (numbers <= high) if low <= high else (numbers >= low) | (numbers <= high)
    return found


def _instants(column: pa.Array) -> NDArray[np.int64]:
    same = column if column.type == INSTANT else column.cast(INSTANT)
    found: NDArray[np.int64] = same.view(pa.int64()).to_numpy(zero_copy_only=False)
    return found
