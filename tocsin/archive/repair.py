"""Damaged files made again from what has their rows still: the journal, files they were imported from (`refetch.py`), another copy of the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tocsin.model.archive import Want
from tocsin.model.ids import split_seq

from . import hot
from .catalog import Catalog, Filed, enter, leave
from .classes import row_classes
from .doubles import Imported, keys_of, there, twice
from .filing import Shelf, file_rollup, streams_of, write_day_rows
from .locks import held
from .merge import Source
from .retention import Retention
from .rollup import ROLLED, STEPS, roll, spans
from .rows import encoded, instants, journal_rows

AT_ONCE: Final = 16  # row groups that are rolled up together


@dataclass(frozen=True, slots=True)
class Loss:
    """What is needed of the journal for one class: entries `first` to `last`; `rows`: how many rows are missing, `imported` of them may never have
    been in the journal."""

    stream: str
    files: tuple[Filed, ...]
    first: int
    last: int
    rows: int
    imported: bool


def losses(catalog: Catalog) -> list[Loss]:
    """Damaged files of the event tiers, class by class."""
    found: dict[str, list[Filed]] = {}
    for one in catalog.files("gone IS NULL AND damaged IS NOT NULL AND tier IN ('day', 'month')"):
        found.setdefault(one.file.stream, []).append(one)
    return [
        Loss(
            stream,
            tuple(files),
            max(1, split_seq(max(0, min(one.file.first for one in files)))[0]),
            split_seq(max(0, *(one.file.last for one in files)))[0],
            sum(one.file.rows for one in files),
            any(one.file.first < 0 for one in files),
        )
        for stream, files in sorted(found.items())
    ]


class Repair:
    """Rows of one loss, gathered entry by entry."""

    def __init__(self, catalog: Catalog, loss: Loss, classes: Mapping[str, int], lapsed: Retention) -> None:
        """`lapsed`: what retention has removed meanwhile must not come back."""
        self._catalog, self._loss, self._classes, self._lapsed = catalog, loss, classes, lapsed
        self._found: list[pa.Table] = []

    def take(self, entries: Sequence[tuple[int, pa.RecordBatch]]) -> None:
        """Journal entries within the loss's bounds, in order."""
        self.take_rows(encoded(journal_rows(entries)))

    def take_rows(self, table: pa.Table) -> None:
        """Rows of schema ROW, in any order; those that are not lost are left alone."""
        if not len(table):
            return
        for stream, some in streams_of(table, row_classes(table, self._classes)):
            if stream == self._loss.stream:
                self._found.append(some.filter(pa.array(self._within(some))))

    def _within(self, table: pa.Table) -> np.ndarray:
        seq, time = table.column("seq").to_numpy(), instants(table.column("event_time"))
        feed = table.column("feed").cast(pa.string())
        inside = np.zeros(len(table), bool)
        for one in self._loss.files:
            file = one.file
            mine = (seq >= file.first) & (seq <= file.last) & (time >= file.start) & (time <= file.stop)
            inside |= mine & pc.is_in(feed, pa.array(file.feeds)).to_numpy()
        return inside

    def finish(self) -> int:
        """Puts what was found in the place of the damaged files. Returns its rows; the loss's rows less these are lost. Nothing is changed when nothing
        was found. Raises as `compact`."""
        with held(self._catalog.folder, "mend"), held(self._catalog.folder, "publish", shared=True, wait=True):
            whole = self._missing()
            if not len(whole):
                return 0
            shelf = Shelf(self._catalog.folder)
            try:
                write_day_rows(shelf, whole, self._loss.stream)
                files = shelf.publish()
                with self._catalog.change() as connection:
                    leave(connection, self._loss.files)
                    enter(connection, self._catalog.folder, files)
            except Exception:
                shelf.abandon()
                raise
        return len(whole)

    def _missing(self) -> pa.Table:
        """What was found and is nowhere else."""
        if not self._found:
            return encoded(journal_rows([]))
        whole = pa.concat_tables(self._found).unify_dictionaries().combine_chunks()
        seq = whole.column("seq").to_numpy()
        here = np.isin(seq, self._present(int(seq.min()), int(seq.max()))) if len(seq) else np.zeros(0, bool)
        whole = whole.filter(pa.array(~here))
        with self._catalog.change() as connection:  # what an import had brought before was never taken in
            whole = whole.filter(pa.array((whole.column("seq").to_numpy() < 0) | ~Imported(self._catalog).holds(connection, whole)))
        whole = self._once(whole)
        return whole.filter(pa.array(~self._lapsed.lapsed(whole)))

    def _once(self, whole: pa.Table) -> pa.Table:
        """Each event once: a file that was imported also has those that were left out then."""
        whole = whole.take(pc.sort_indices(whole.column("seq"))).unify_dictionaries().combine_chunks()
        seq = whole.column("seq").to_numpy()
        keys = keys_of(whole)
        mask = twice(whole, keys) | there(self._catalog, whole, keys)
        mask[1:] |= seq[1:] == seq[:-1]
        return whole.filter(pa.array(~mask))

    def _present(self, first: int, last: int) -> np.ndarray:
        """Sequence numbers that sound files and the hot tail hold."""
        parts = [np.zeros(0, np.int64)]
        for one in self._catalog.find(Want(first=first, last=last), ("day", "month")):
            if one.damaged is None:
                source = Source(one.file.path, 0)
                parts.append(source.column("seq").to_numpy())
                source.close()
        with self._catalog.moment() as connection:
            parts += [one.table().column("seq").to_numpy() for one in hot.batches(connection, Want(first=first, last=last))]
        return np.concatenate(parts)


def mend_rollups(catalog: Catalog) -> int:
    """Damaged rollups, made again from the events of their month. Returns how many files were replaced. Raises Damaged when those cannot be read either."""
    found: dict[tuple[str, str, str], list[Filed]] = {}
    for one in catalog.files("gone IS NULL AND damaged IS NOT NULL AND tier IN ('hourly', 'daily')"):
        found.setdefault((one.file.tier, one.file.stream, one.period), []).append(one)
    replaced = 0
    with held(catalog.folder, "mend"), held(catalog.folder, "publish", shared=True, wait=True):
        for (tier, stream, month), damaged in found.items():
            every = catalog.files("gone IS NULL AND tier = ? AND class = ? AND period = ?", (tier, stream, month))
            _again(catalog, tier, stream, month, every)
            replaced += len(damaged)
    return replaced


def _again(catalog: Catalog, tier: str, stream: str, month: str, every: Sequence[Filed]) -> None:
    shelf = Shelf(catalog.folder)
    try:
        roll_month(shelf, catalog, (tier,), stream, month, min(one.file.start for one in every), max(one.file.stop for one in every))
        files = shelf.publish()
        with catalog.change() as connection:
            leave(connection, every)
            enter(connection, catalog.folder, files)
    except Exception:
        shelf.abandon()
        raise


def roll_month(shelf: Shelf, catalog: Catalog, tiers: Iterable[str], stream: str, month: str, start: int, stop: int) -> None:
    """Rollups of a month, from the events of [start, stop] in files."""
    hourly = list(spans([roll(table, "hourly") for table in _events(catalog, stream, start, stop)], "hourly"))
    mine = [table.filter(pa.array(_month(table) == np.datetime64(month))) for table in hourly]
    mine = [table for table in mine if len(table)]
    for tier in tiers:
        file_rollup(shelf, mine if tier == "hourly" else spans(mine, tier), tier, stream)


def _month(rollup: pa.Table) -> np.ndarray:
    return instants(rollup.column("start")).astype("datetime64[us]").astype("datetime64[M]")


def _events(catalog: Catalog, stream: str, start: int, stop: int) -> Iterator[pa.Table]:
    """Of files alone, as the hot tail has no rollup yet: what rollups are made of, some row groups at a time."""
    want = Want(start=start, stop=stop + 1, classes=(stream,))
    for one in catalog.find(want, ("day", "month")):
        if one.damaged is None:
            with pq.ParquetFile(one.file.path) as found:
                for first in range(0, found.num_row_groups, AT_ONCE):
                    groups = range(first, min(first + AT_ONCE, found.num_row_groups))
                    yield found.read_row_groups(groups, columns=list(ROLLED), use_threads=False)


def damaged_rollups(catalog: Catalog) -> bool:
    return any(one.file.tier in STEPS for one in catalog.files("gone IS NULL AND damaged IS NOT NULL"))
