"""Rollups: what every kind of every feed said in a tile in an hour or a day, small enough to be added up for any dashboard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.archive import ROLLUP, Want
from tocsin.model.event import INSTANT

from .order import DAY, codes, present
from .parquet import concat
from .rows import instants, wanted

HOUR: Final = 3_600_000_000
STEPS: Final = {"hourly": HOUR, "daily": 24 * HOUR}
#: Rows of rollups that are joined at once: days of few rows together.
AT_ONCE: Final = 524_288
#: Columns of ROW that a rollup is made of.
ROLLED: Final = ("event_time", "cell", "feed", "kind", "value", "severity")
Numbers = NDArray[np.int64]
#: Of the columns of ROLLUP that are no key: how two rows become one.
_HOW: Final = {"rows": "sum", "values": "sum", "total": "sum", "low": "min", "high": "max", "severity": "max"}
_RUNS: Final = {"sum": (np.add, 0), "min": (np.fmin, math.inf), "max": (np.fmax, -math.inf)}  # how, and what changes nothing
_BITS: Final = 62  # of the number that stands for a row's key


def roll(table: pa.Table, step: str) -> pa.Table:
    """Rows (with the columns ROLLED) -> ROLLUP, sorted by day, tile, feed, kind, start: who asks for some days opens no other row group."""
    cell, value = table.column("cell").combine_chunks(), table.column("value")
    said = {
        "rows": pa.array(np.ones(len(table), np.int64)),
        "values": pc.is_valid(value).cast(pa.int64()),
        "total": value,
        "low": value,
        "high": value,
        "severity": table.column("severity"),
    }
    return _grouped(instants(table.column("event_time")), _tiles(cell, 4), table.column("feed"), table.column("kind"), said, STEPS[step])


def joined(parts: Sequence[pa.Table], step: str) -> pa.Table:
    """Rollups of different rows as one of all of them; `step` may be coarser than theirs."""
    found = list(spans(parts, step))
    return found[0] if len(found) == 1 else concat(found)


def spans(parts: Sequence[pa.Table], step: str) -> Iterator[pa.Table]:
    """As `joined`, some days at a time, the oldest first: none but one without rows where there are none."""
    tables = [_by_day(part.cast(ROLLUP)) for part in parts]
    days = [instants(table.column("start")) // DAY for table in tables]
    for low, high in _cuts(days):
        places = [np.searchsorted(day, (low, high)) for day in days]
        whole = concat(table.slice(start, stop - start) for table, (start, stop) in zip(tables, places, strict=True) if start < stop)
        tile, said = _tiles(whole.column("cell").combine_chunks(), 0), {name: whole.column(name) for name in _HOW}
        yield _grouped(instants(whole.column("start")), tile, whole.column("feed"), whole.column("kind"), said, STEPS[step])
    if not any(map(len, days)):
        yield ROLLUP.empty_table()


def _by_day(table: pa.Table) -> pa.Table:
    day = instants(table.column("start")) // DAY
    return table if not (day[1:] < day[:-1]).any() else table.take(pa.array(np.argsort(day, kind="stable")))


def _cuts(days: Sequence[Numbers]) -> Iterator[tuple[int, int]]:
    """From which day to before which: spans of AT_ONCE rows, about, or of one day."""
    found, counts = np.unique(np.concatenate([np.zeros(0, np.int64), *days]), return_counts=True)
    rows, low = 0, 0
    for place, (day, count) in enumerate(zip(found.tolist(), counts.tolist(), strict=True)):
        if rows and rows + count > AT_ONCE:
            yield int(found[low]), day
            rows, low = 0, place
        rows += count
    if rows:
        yield int(found[low]), int(found[-1]) + 1


def _tiles(cell: pa.Array, shift: int) -> Numbers:
    """-1 where there is no place."""
    numbers = (cell.fill_null(0) if cell.null_count else cell).to_numpy() >> shift
    return np.where(present(cell), numbers, -1) if cell.null_count else numbers


def _grouped(time: Numbers, tile: Numbers, feed: pa.ChunkedArray, kind: pa.ChunkedArray, said: dict[str, Any], width: int) -> pa.Table:
    """One row for each key, sorted."""
    if not len(time):
        return ROLLUP.empty_table()
    day = time // DAY
    where, what, hour = _Pair(day, tile), _Pair(codes(feed), codes(kind)), (time - day * DAY) // width
    hours = DAY // width
    if where.span * what.span * hours >> _BITS:
        where.rank()
        what.rank()
    number = (where.numbers * what.span + what.numbers) * hours + hour
    starts = np.flatnonzero(np.concatenate([[True], number[1:] != number[:-1]]))
    shorter = {name: _of_runs(column, _HOW[name], starts) for name, column in said.items()}
    found = pa.table({"key": number[starts], **shorter}).group_by("key", use_threads=False).aggregate(list(_HOW.items()))
    number = found.column("key").to_numpy()
    order = np.argsort(number)
    number, hour = np.divmod(number[order], hours)
    number, names = np.divmod(number, what.span)
    (day, tile), (feeds, kinds) = where.back(number), what.back(names)
    columns = [pa.array(day * DAY + hour * width, INSTANT), pa.array(tile, mask=tile < 0), _named(feed, feeds), _named(kind, kinds)]
    columns += [found.column(f"{name}_{how}").take(pa.array(order)) for name, how in _HOW.items()]
    return pa.table(columns, names=ROLLUP.names).cast(ROLLUP)


def _of_runs(column: pa.ChunkedArray | pa.Array, how: str, starts: NDArray[np.int64]) -> pa.Array:
    """What rows of one key that follow each other say together: sorted rows become a tenth before they are grouped."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    function, nothing = _RUNS[how]
    if not array.null_count:
        return pa.array(function.reduceat(array.to_numpy(), starts), array.type)
    known = present(array)
    numbers = array.fill_null(nothing if pa.types.is_floating(array.type) else max(nothing, -128)).to_numpy()
    return pa.array(function.reduceat(numbers, starts), array.type, mask=np.add.reduceat(known, starts, dtype=np.int64) == 0)


class _Pair:
    """Two whole numbers a row as one that sorts like them: `numbers`, from 0 to below `span`."""

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self._low = int(first.min()), int(second.min())
        self._width = int(second.max()) - self._low[1] + 1
        self.span = (int(first.max()) - self._low[0] + 1) * self._width
        self.numbers: Numbers = (first.astype(np.int64) - self._low[0]) * self._width + (second - self._low[1])
        self._known: Numbers | None = None

    def rank(self) -> None:
        """No more numbers than there are rows."""
        self._known, self.numbers = np.unique(self.numbers, return_inverse=True)
        self.span = len(self._known)

    def back(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        first, second = np.divmod(numbers if self._known is None else self._known[numbers], self._width)
        return first + self._low[0], second + self._low[1]


def _named(column: pa.ChunkedArray, numbers: Numbers) -> pa.DictionaryArray:
    """Names by their numbers in `codes` of the column."""
    whole = column.combine_chunks()
    names = (whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()).dictionary
    return pa.DictionaryArray.from_arrays(pa.array(pc.sort_indices(names).to_numpy()[numbers].astype(np.int32)), names)


def wanted_rollups(table: pa.Table, want: Want) -> pa.Table:
    """Buckets that begin within the span asked for. A rollup knows tiles, not places: a box is for whoever asked to cut."""
    like = table.rename_columns(["event_time", *table.schema.names[1:]])
    kept = wanted(like, Want(want.start, want.stop, None, want.feeds, want.kinds))
    return kept.rename_columns(ROLLUP.names)
