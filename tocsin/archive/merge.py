"""Several files into few, without holding them in memory: slice by slice of the map (and of time, where a place is crowded)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .order import DAY, taken, tiles
from .parquet import GROUPS, STORED, concat
from .rows import instants

SLICE: Final = 64 << 20  # bytes of rows in memory at once, about; while they are put in order and written, some times as much
EVERYWHERE: Final = 2**40  # beyond any tile
FOREVER: Final = 2**40  # beyond any day


class Damaged(Exception):
    """A file that cannot be read. `place`: which of them."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(why)
        self.place = place


@dataclass(frozen=True, slots=True)
class Slice:
    """Tiles `low` <= tile < `high` and days `begin` <= day < `end` (since 1970). Tile -1: rows without a place."""

    low: int
    high: int
    begin: int = -FOREVER
    end: int = FOREVER

    def holds(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows lie in it."""
        tile = tiles(table.column("cell"))
        inside: NDArray[np.bool_] = (tile >= self.low) & (tile < self.high)
        if self.end != FOREVER or self.begin != -FOREVER:
            day = instants(table.column("event_time")) // DAY
            inside &= (day >= self.begin) & (day < self.end)
        return inside


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: the tiles and days it spans, inclusive."""

    number: int
    rows: int
    low: int
    high: int
    begin: int
    end: int

    def reaches(self, wanted: Slice) -> bool:
        """Whether rows of it may lie there."""
        return self.low < wanted.high and self.high >= wanted.low and self.begin < wanted.end and self.end >= wanted.begin


class Source:
    """One file of schema STORED, sorted by tile. Slice by slice no row group is read twice, and of one that reaches beyond a slice only the rows are held that
    are still to come."""

    def __init__(self, path: Path, place: int) -> None:
        """Raises Damaged."""
        self.place = place
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=["feed", "kind", "source", "unit"])
            found = [self._file.metadata.row_group(number) for number in range(self._file.metadata.num_row_groups)]
            self.groups = [_group(one, number) for number, one in enumerate(found)]
            self._unread, self._rest = list(self.groups), STORED.empty_table()
            self._held = 0  # rows in memory for the sake of `_rest`
            self._columns = [name for name in STORED.names if not _empty(found, STORED.get_field_index(name))]
        except (OSError, pa.ArrowException) as fault:
            raise Damaged(place, str(fault)) from None

    def width(self) -> float:
        """Bytes of a row in memory, by those of the first row group, which is held from then on. Raises Damaged."""
        if self._unread:
            self._rest = self._group(self._unread.pop(0))
            self._held = len(self._rest)
        return max(1.0, float(self._rest.nbytes) / max(1, len(self._rest)))

    def read(self, wanted: Slice) -> pa.Table:
        """Its rows there. Slices are to be asked for in their order, and all of them. Raises Damaged."""
        mine = [one for one in self._unread if one.reaches(wanted)]
        self._unread = [one for one in self._unread if not one.reaches(wanted)]
        whole = pa.concat_tables([self._rest, *map(self._group, mine)]) if mine else self._rest
        self._held += len(whole) - len(self._rest)
        inside = wanted.holds(whole)
        count = int(np.count_nonzero(inside))
        if inside[:count].all():  # as in whatever is sorted by tile
            found, self._rest = whole.slice(0, count), whole.slice(count)
        else:
            found, self._rest = taken(whole, np.flatnonzero(inside)), taken(whole, np.flatnonzero(~inside))
        if 2 * len(self._rest) < self._held:  # or the others would be held for the few that are still to come
            self._rest, self._held = taken(self._rest, np.arange(len(self._rest))), len(self._rest)
        return found

    def column(self, name: str) -> pa.ChunkedArray:
        """Of all rows. Raises Damaged."""
        try:
            return self._file.read(columns=[name], use_threads=False).column(name)
        except (OSError, pa.ArrowException) as fault:
            raise Damaged(self.place, str(fault)) from None

    def _group(self, group: Group) -> pa.Table:
        try:
            return _whole(self._file.read_row_group(group.number, columns=self._columns, use_threads=False))
        except (OSError, pa.ArrowException) as fault:
            raise Damaged(self.place, str(fault)) from None

    def close(self) -> None:
        self._file.close()


def _group(meta: Any, number: int) -> Group:
    """Statistics that are not there bound nothing."""
    found = {meta.column(i).path_in_schema: meta.column(i).statistics for i in range(meta.num_columns)}
    cell, time = found["cell"], found["event_time"]
    low, high, begin, end = -1, EVERYWHERE, -FOREVER, FOREVER
    if cell is not None and cell.has_null_count and (cell.has_min_max or cell.null_count == meta.num_rows):
        low = -1 if cell.null_count else cell.min >> 4
        high = cell.max >> 4 if cell.has_min_max else -1
    if time is not None and time.has_min_max:
        begin, end = (_days(one) for one in (time.min, time.max))
    return Group(number, meta.num_rows, low, high, begin, end)


def _empty(groups: Sequence[Any], column: int) -> bool:
    """Whether a column has nothing but nulls, so that it need not be read."""
    statistics = [one.column(column).statistics for one in groups]
    return all(
        one is not None and one.has_null_count and one.null_count == group.num_rows for one, group in zip(statistics, groups, strict=True)
    )


def _whole(table: pa.Table) -> pa.Table:
    """With the columns that were not read."""
    columns = [table.column(f.name).cast(f.type) if f.name in table.schema.names else pa.nulls(len(table), f.type) for f in STORED]
    return pa.table(columns, schema=STORED)


def _days(instant: Any) -> int:
    return int(np.datetime64(instant.replace(tzinfo=None), "D").astype(np.int64))


def slices(groups: Sequence[Group], most: int) -> Iterator[Slice]:
    """Cuts the map so that a slice holds about `most` rows, in the order of tiles; a tile that holds more is cut by days."""
    edges = sorted({edge for one in groups for edge in (one.low, min(one.high + 1, EVERYWHERE))} | {-1, EVERYWHERE})
    spans = [np.searchsorted(edges, (one.low, min(one.high + 1, EVERYWHERE))) for one in groups]
    weights = np.zeros(len(edges))
    for one, (first, last) in zip(groups, spans, strict=True):
        weights[first:last] += one.rows / max(1, last - first)  # as if its rows were spread evenly
    low, waiting = -1, 0.0
    for place, tile in enumerate(edges[:-1]):
        if waiting and waiting + weights[place] > most:
            yield from _parts(groups, low, tile, waiting, most)
            low, waiting = tile, 0.0
        waiting += weights[place]
    yield from _parts(groups, low, EVERYWHERE, waiting, most)


def _parts(groups: Sequence[Group], low: int, high: int, rows: float, most: int) -> Iterator[Slice]:
    """One stretch of tiles, halved until its share of the rows is small; a single tile by days."""
    if rows <= most:
        yield Slice(low, high)
    elif high - low > 1:
        middle = (low + high) // 2
        yield from _parts(groups, low, middle, rows / 2, most)
        yield from _parts(groups, middle, high, rows / 2, most)
    else:
        yield from _days_of(groups, low, most)


def _days_of(groups: Sequence[Group], tile: int, most: int) -> Iterator[Slice]:
    inside = [one for one in groups if one.low <= tile <= one.high]
    begin, waiting = -FOREVER, 0
    for day in sorted({one.begin for one in inside}):
        here = sum(one.rows for one in inside if one.begin == day)
        if waiting and waiting + here > most:
            yield Slice(tile, tile + 1, begin, day)
            begin, waiting = day, 0
        waiting += here
    yield Slice(tile, tile + 1, begin, FOREVER)


def merged(sources: Sequence[Source], most: int | None = None) -> Iterator[pa.Table]:
    """All rows, slice by slice; unsorted within a slice. Schema STORED. `most`: rows of a slice, about; else as many as SLICE says. Raises Damaged."""
    groups = [one for source in sources for one in source.groups]
    for wanted in slices(groups, _rows(sources) if most is None else most):
        parts = [part for source in sources if len(part := source.read(wanted))]
        if parts:
            whole = concat(parts)
            del parts  # or they would be held as long as whoever asked looks at the slice
            yield whole
            del whole


def _rows(sources: Sequence[Source]) -> int:
    """That a slice may have, by how wide they are. Raises Damaged."""
    rows = sum(one.rows for source in sources for one in source.groups)
    size = sum(source.width() * sum(one.rows for one in source.groups) for source in sources)
    return max(min(GROUPS.values()), int(SLICE * rows / max(1.0, size)))


def feed_rows(sources: Sequence[Source]) -> dict[str, int]:
    """How many rows each feed has. Raises Damaged."""
    counts: dict[str, int] = {}
    for source in sources:
        for one in pc.value_counts(source.column("feed").combine_chunks()).to_pylist():
            counts[one["values"]] = counts.get(one["values"], 0) + one["counts"]
    return counts
