"""Rows into files: written aside, published, entered in the catalogue."""

from __future__ import annotations

import contextlib
import itertools
import operator
import secrets
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.model.archive import CLASSES, ROLLUP, StoredFile

from .catalog import Filed
from .disk import make_folder, publish
from .order import DAY, order, taken
from .parquet import STORED, Summary, Writer, distinct, sha256_of, stored
from .rollup import STEPS, roll, spans
from .rows import instants
from .steps import step

KEYS: Final = ("event_time", "cell", "kind", "source")  # what the order hangs on
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEAR: Final = 100_000  # days that are counted in a table, not sorted
_FEW: Final = 1_000  # rows of an older day that get no file of their own


def day_name(day: int) -> str:
    """Days since 1970 -> `2026-01-05`."""
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def month_of(day: int) -> str:
    """Days since 1970 -> `2026-01`."""
    return day_name(day)[:7]


@dataclass(slots=True)
class Shelf:
    """Files on their way into the archive. Everything of one `with` is published together or not at all, as long as its catalogue entry is made
    in the end; what is not entered is removed by the next sweep."""

    folder: Path
    waiting: list[tuple[Path, Filed]] = field(default_factory=list)

    def aside(self) -> Path:
        folder = self.folder / "tmp"
        make_folder(folder)
        return folder / f"{secrets.token_hex(8)}.parquet"

    def add(self, written: Writer, tier: str, stream: str, period: str, made: Summary, feed: str | None = None) -> None:
        """A file that was written aside and closed, where it belongs."""
        aside, outline = written.path, None if written.outline is None else written.outline.to_bytes()
        where = self.folder / stream / tier / f"{'month' if len(period) == 7 else 'date'}={period}"
        if feed is not None:
            where /= f"feed={urllib.parse.quote(feed, safe='')}"
        final = where / f"{aside.stem}.parquet"
        file = StoredFile(
            final, tier, stream, tuple(sorted(made.feeds)), made.rows, aside.stat().st_size, made.start, made.stop, made.box, made.first, made.last,
            sha256_of(aside),
        )  # fmt: skip
        self.waiting.append((aside, Filed(file, period, tuple(sorted(made.kinds)), outline=outline)))
        step("shelf.written")

    def publish(self) -> list[Filed]:
        """Raises OSError."""
        publish((aside, filed.file.path) for aside, filed in self.waiting)
        return [filed for _, filed in self.waiting]

    def abandon(self) -> None:
        """Nothing of it is wanted any more; for when the catalogue entry could not be made."""
        for aside, filed in self.waiting:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
                filed.file.path.unlink(missing_ok=True)


def write_rows(shelf: Shelf, table: pa.Table, tier: str, stream: str, period: str, feed: str | None = None) -> None:
    """Rows of schema STORED, in the order they are to have, as one file."""
    summary = Summary()
    summary.add(table)
    write(shelf, [table], STORED, tier, stream, period, summary, feed)


def write(
    shelf: Shelf,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    tier: str,
    stream: str,
    period: str,
    summary: Summary,
    feed: str | None = None,
) -> None:
    """Tables of one schema, in order, as one file. `summary` is asked for after the last of them."""
    writer = Writer(shelf.aside(), tier, schema)
    try:
        for table in tables:
            writer.add(table)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    shelf.add(writer, tier, stream, period, summary, feed)


def file_classes(shelf: Shelf, table: pa.Table, classes: np.ndarray) -> None:
    """Rows (schema ROW, one dictionary a column) into day files and rollups of the class that each is of (`classes.row_classes`)."""
    short = stored(table)
    for number, stream in enumerate(CLASSES):
        rows = np.flatnonzero(classes == number)
        if len(rows):
            _file(shelf, short, rows, stream)


def file_day(shelf: Shelf, table: pa.Table, stream: str) -> None:
    """Rows of one class (schema ROW, one dictionary a column) into day files and rollups."""
    _file(shelf, stored(table), np.arange(len(table)), stream)


def _file(shelf: Shelf, short: pa.Table, rows: np.ndarray, stream: str) -> None:
    """Rows of schema STORED at these places. What is rolled up was just put in order, which makes it quicker."""
    parts = [roll(part, "hourly") for part in _write_days(shelf, short, rows, stream)]
    hourly = parts if len(parts) == 1 else list(spans(parts, "hourly"))
    del parts
    file_rollup(shelf, hourly, "hourly", stream)
    file_rollup(shelf, spans(hourly, "daily"), "daily", stream)


def write_day_rows(shelf: Shelf, table: pa.Table, stream: str) -> None:
    """The day files alone, of rows as `file_day` takes them."""
    for _part in _write_days(shelf, stored(table), np.arange(len(table)), stream):
        pass


def _write_days(shelf: Shelf, short: pa.Table, rows: np.ndarray, stream: str) -> Iterator[pa.Table]:
    """Each day file as it was written."""
    days = instants(short.column("event_time"))[rows] // DAY
    for period, some in periods(days):
        mine = rows if len(some) == len(rows) else rows[some]
        keys = short.select(KEYS)
        part = taken(short, mine[order(keys if len(mine) == len(short) else taken(keys, mine), by_day=False)])
        write_rows(shelf, part, "day", stream, period)
        yield part


def file_rollup(shelf: Shelf, tables: Iterable[pa.Table], name: str, stream: str) -> None:
    """One file for each month of a rollup, whose tables are in order of days."""
    for period, parts in itertools.groupby(_months(tables), key=operator.itemgetter(0)):
        summary = Summary(0, first=0, last=0)
        write(shelf, _counted((part for _, part in parts), STEPS[name], summary), ROLLUP, name, stream, period, summary)


def _months(tables: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    for table in tables:
        days, day = np.unique(instants(table.column("start")) // DAY, return_inverse=True)
        months = np.array([month_of(int(one)) for one in days])
        for period in np.unique(months):
            mine = (months == period)[day]
            yield str(period), table if mine.all() else table.filter(pa.array(mine))


def _counted(parts: Iterable[pa.Table], width: int, summary: Summary) -> Iterator[pa.Table]:
    """The same, summed up. `stop` is the last instant of the last bucket; a rollup knows no places and no sequence."""
    for part in parts:
        start = instants(part.column("start"))
        summary.rows += len(part)
        summary.start, summary.stop = min(summary.start, int(start.min())), max(summary.stop, int(start.max()) + width - 1)
        summary.kinds |= set(distinct(part.column("kind")))
        summary.feeds |= set(distinct(part.column("feed")))
        yield part


def periods(days: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(name of the day, rows); a few rows of older days of one month share a file under the first of its days."""
    low = int(days.min())
    if int(days.max()) - low < _NEAR:
        counts = np.bincount(days - low)
        found = np.flatnonzero(counts)
        first, counts, found = np.cumsum(counts > 0)[days - low] - 1, counts[found], found + low
    else:
        found, first, counts = np.unique(days, return_inverse=True, return_counts=True)
    newest = int(found[-1])
    shared: dict[str, list[int]] = {}
    for place, day in enumerate(found.tolist()):
        lonely = counts[place] < _FEW and day < newest - 1
        shared.setdefault(month_of(day) if lonely else day_name(day), []).append(place)
    if len(shared) == 1:
        yield day_name(int(found[0])), np.arange(len(days))
        return
    chosen = np.zeros(len(found), bool)
    for places in shared.values():
        chosen[:] = False
        chosen[places] = True
        yield day_name(int(found[places[0]])), np.flatnonzero(chosen[first])


def streams_of(table: pa.Table, classes: np.ndarray) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each class that has any."""
    for number, stream in enumerate(CLASSES):
        mine = classes == number
        if mine.any():
            yield stream, table if mine.all() else table.filter(pa.array(mine))


def as_feed(file: StoredFile) -> str | None:
    """The name in a month file's folder, as `Shelf.add` takes it; None for other files."""
    name = file.path.parent.name
    return urllib.parse.unquote(name.removeprefix("feed=")) if name.startswith("feed=") else None
