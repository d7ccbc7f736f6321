"""Compaction: the small files of a day become one, the days of a month become one file for each feed (several where it has much), rollups of a month become one.

Nothing is read from it but files that the catalogue names, and nothing changes for readers but which files hold the rows: new files are published
first, then one transaction exchanges them for the old ones, then the old ones are removed when nobody looks at them any more.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.kernel.fault import Fatal

from .catalog import Catalog, Filed, enter, leave
from .disk import room
from .filing import Shelf, file_rollup
from .locks import held
from .merge import Damaged, Source, feed_rows, merged
from .order import order, taken
from .outlines import fill
from .parquet import Summary, Writer, read
from .rollup import STEPS, spans
from .steps import step
from .sweep import retired

log = logging.getLogger(__name__)

CLOSED_HOURS: Final = 2  # a day is over when the journal's clock is so far beyond it
KEEP_DAYS: Final = 35  # a month is over when the clock is so far beyond it
MANY: Final = 8  # files of an open day, or of a rollup, that are joined early
PIECES: Final = 3  # small files of one feed and month that are joined again
#: Rows of a month file, about: the next one goes on where it ends. Rows lie in order of place, so whoever asks about one opens one or two short files.
FULL: Final = 2_000_000
FEW_ROWS: Final = 100_000  # feeds with fewer rows in a month share a file
SHARED: Final = ""  # ... of no feed's name
LARGE: Final = 8_000_000  # a day file that is not joined with others any more

Say = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Job:
    """`tier`: of the files to make. `inputs`: what they are made of."""

    tier: str
    stream: str
    period: str
    inputs: tuple[Filed, ...]

    @property
    def rows(self) -> int:
        return sum(one.file.rows for one in self.inputs)

    def __str__(self) -> str:
        return f"{self.stream} {self.period}: {len(self.inputs)} files to {self.tier}, {self.rows:,} rows"


def jobs(catalog: Catalog, now: int) -> list[Job]:
    """What is worth doing at city time `now` (µs)."""
    shelves: dict[tuple[str, str, str], list[Filed]] = defaultdict(list)
    for one in catalog.files("gone IS NULL AND damaged IS NULL"):
        shelves[one.file.tier, one.file.stream, one.period].append(one)
    return [*_months(shelves, now), *_days(shelves, now), *_again(shelves), *_rollups(shelves, now)]


def _days(shelves: dict[tuple[str, str, str], list[Filed]], now: int) -> Iterator[Job]:
    for (tier, stream, period), files in sorted(shelves.items()):
        small = [one for one in files if one.file.rows < LARGE]
        if tier == "day" and len(small) > 1 and not _month_over(period[:7], now) and (_day_over(period, now) or len(small) >= MANY):
            yield Job("day", stream, period, tuple(small))


def _months(shelves: dict[tuple[str, str, str], list[Filed]], now: int) -> Iterator[Job]:
    found: dict[tuple[str, str], list[Filed]] = defaultdict(list)
    for (tier, stream, period), files in shelves.items():
        if tier == "day" and _month_over(period[:7], now):
            found[stream, period[:7]] += files
    for (stream, month), files in sorted(found.items()):
        yield Job("month", stream, month, tuple(sorted(files, key=lambda one: (one.period, one.id))))


def _again(shelves: dict[tuple[str, str, str], list[Filed]]) -> Iterator[Job]:
    for (tier, stream, month), files in sorted(shelves.items()):
        if tier != "month":
            continue
        pieces: dict[str, list[Filed]] = defaultdict(list)
        for one in files:
            if one.file.rows < FULL:
                pieces[one.file.path.parent.name].append(one)
        if any(len(some) >= PIECES for some in pieces.values()):
            yield Job("month", stream, month, tuple(files))


def _rollups(shelves: dict[tuple[str, str, str], list[Filed]], now: int) -> Iterator[Job]:
    for (tier, stream, month), files in sorted(shelves.items()):
        if tier in STEPS and (len(files) >= MANY or (len(files) > 1 and _month_over(month, now))):
            yield Job(tier, stream, month, tuple(files))


def _day_over(day: str, now: int) -> bool:
    return _instant(f"{day}") + timedelta(days=1, hours=CLOSED_HOURS) <= _moment(now)


def _month_over(month: str, now: int) -> bool:
    begin = _instant(f"{month}-01")
    end = (begin + timedelta(days=32)).replace(day=1)
    return end + timedelta(days=KEEP_DAYS) <= _moment(now)


def _instant(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def clock_of(catalog: Catalog) -> int:
    """City time, µs: the newest the journal has told, or the wall clock where no journal was ever kept."""
    return catalog.get("clock") or time.time_ns() // 1000


def compact(catalog: Catalog, now: int, say: Say | None = None, stop: Callable[[], bool] = lambda: False) -> int:
    """Does all there is to do. Returns the number of rows written. `say`: (what, share done). Raises Retriable when another process is at it,
    OSError, sqlite3.Error when the disk does not take it; then the job in hand has not happened."""
    written = 0
    with held(catalog.folder, "mend"):
        while not stop() and (todo := jobs(catalog, now)):
            total = sum(job.rows for job in todo) or 1
            done = 0
            for job in todo:
                if stop():
                    break
                if say is not None:
                    say(str(job), done / total)
                written += do(catalog, job)
                done += job.rows
        fill(catalog, partial(mark, catalog), stop)
        retired(catalog)
    return written


def do(catalog: Catalog, job: Job) -> int:
    """One job. Rows written; 0 when a file turned out to be damaged: it is marked, and the next plan is without it."""
    room(catalog.folder)
    with held(catalog.folder, "publish", shared=True, wait=True):
        shelf = Shelf(catalog.folder)
        try:
            rows = _rollup(shelf, job) if job.tier in STEPS else _join(shelf, job)
            files = shelf.publish()
            step("compact.published")
            with catalog.change() as connection:
                leave(connection, job.inputs)
                enter(connection, catalog.folder, files)
                step("compact.entered")
        except Damaged as fault:
            shelf.abandon()
            mark(catalog, job.inputs[fault.place], str(fault))
            return 0
        except Exception:
            shelf.abandon()
            raise
    step("compact.done")
    retired(catalog)
    return rows


def mark(catalog: Catalog, one: Filed, why: str) -> None:
    """Nobody reads a damaged file; looks say that it is missing."""
    log.error("archive: %s is damaged: %s", one.file.path, why)
    with catalog.change() as connection:
        connection.execute("UPDATE file SET damaged = ? WHERE id = ?", (why, one.id))


def _rollup(shelf: Shelf, job: Job) -> int:
    parts = []
    for place, one in enumerate(job.inputs):
        try:
            parts.append(read(one.file.path))
        except (OSError, pa.ArrowException) as fault:
            raise Damaged(place, str(fault)) from None
    file_rollup(shelf, spans(parts, job.tier), job.tier, job.stream)
    return sum(filed.file.rows for _, filed in shelf.waiting)


def _join(shelf: Shelf, job: Job) -> int:
    sources: list[Source] = []
    try:
        for place, one in enumerate(job.inputs):
            sources.append(Source(one.file.path, place))
        made = Outputs(shelf, job, _sharing(sources) if job.tier == "month" else {})
        with made:
            total = Control()
            for table in merged(sources):
                total.add(table)
                made.add(table)
                del table  # before the next one is read
        total.compare(job, made.rows)
    finally:
        for source in sources:
            source.close()
    return job.rows


def _sharing(sources: Sequence[Source]) -> dict[str, str]:
    """Feed -> the name of its file: its own, or the one that feeds with few rows share."""
    counts = feed_rows(sources)
    few = [name for name, rows in counts.items() if rows < FEW_ROWS]
    return {name: SHARED if name in few and len(few) > 1 else name for name in counts}


class Control:
    """What goes in must come out: counted, and summed up by sequence number."""

    def __init__(self) -> None:
        self.rows = 0
        self.seqs = 0

    def add(self, table: pa.Table) -> None:
        self.rows += len(table)
        self.seqs += int(table.column("seq").to_numpy().view(np.uint64).sum(dtype=np.uint64))

    def compare(self, job: Job, rows: int) -> None:
        """Raises Fatal: the inputs stay as they are."""
        if not self.rows == rows == job.rows:
            raise Fatal(f"joining {job}: read {self.rows:,} rows and wrote {rows:,}; nothing was changed")


class Outputs:
    """The files of one job: one for a day; of a month one for each feed, or several where it has much."""

    def __init__(self, shelf: Shelf, job: Job, sharing: dict[str, str]) -> None:
        self.rows = 0
        self._shelf, self._job, self._sharing = shelf, job, sharing
        self._open: dict[str, tuple[Writer, Summary]] = {}

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for writer, _summary in self._open.values():
                with contextlib.suppress(OSError, pa.ArrowException):
                    writer.abandon()
            return
        for name in sorted(self._open):
            self._close(name)

    def _close(self, name: str) -> None:
        """A file is full, or there is nothing more for it."""
        writer, summary = self._open[name]
        writer.close()
        del self._open[name]
        feed = None if self._job.tier == "day" else name or "_few"
        self._shelf.add(writer, self._job.tier, self._job.stream, self._job.period, summary, feed)

    def add(self, table: pa.Table) -> None:
        """A slice of schema STORED, in any order."""
        if self._job.tier == "day":
            self._write(SHARED, taken(table, order(table, by_day=False)))
            return
        column = table.column("feed").combine_chunks()
        files = [self._sharing.get(name, SHARED) for name in column.dictionary.to_pylist()]
        names = sorted(set(files))
        codes = np.array([names.index(name) for name in files])[column.indices.to_numpy()]
        rows = order(table, by_day=True, groups=codes)
        bounds = np.searchsorted(codes[rows], np.arange(len(names) + 1))
        whole = taken(table, rows)
        for number, name in enumerate(names):
            self._write(name, whole.slice(bounds[number], bounds[number + 1] - bounds[number]))

    def _write(self, name: str, table: pa.Table) -> None:
        if not len(table):
            return
        if name not in self._open:
            self._open[name] = (Writer(self._shelf.aside(), self._job.tier), Summary())
        writer, summary = self._open[name]
        summary.add(table)
        writer.add(table)
        self.rows += len(table)
        if self._job.tier == "month" and summary.rows >= FULL:
            self._close(name)
