"""Retention: what a feed's declaration no longer allows to be kept is removed, its bytes with it, and a signed entry says so.

A row lapses when the earlier of its event time and its ingest time is older than its feed's retention, by whole UTC hours, or whole days where the
retention is a week or more; so nothing is removed early, and nothing is kept more than an hour, or a day, too long. Rollups lapse with their rows.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.time import format_span, to_iso

from . import hot
from .catalog import Catalog, Filed, enter, leave
from .compact import mark
from .filing import Shelf, as_feed, write
from .holds import Hold, holds
from .locks import held
from .merge import Damaged, Source, merged
from .order import order, taken
from .parquet import STORED, Summary, distinct, read
from .rollup import STEPS
from .rows import instants
from .steps import step
from .sweep import retired
from .tombstones import Signer

log = logging.getLogger(__name__)

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
ROUGH: Final = 7 * DAY  # from this retention on it goes by days
BEYOND: Final = DAY  # event times so far in the future are looked at row by row
STATE: Final = "retention:"  # in table `state`: what each feed last declared, also when it is declared no more


@dataclass(slots=True)
class Removed:
    """What one run removed of one feed."""

    rows: int = 0
    start: int | None = None
    stop: int | None = None
    held: int = 0
    files: list[str] = field(default_factory=list)

    def add(self, time_: NDArray[np.int64]) -> None:
        if len(time_):
            low, high = int(time_.min()), int(time_.max())
            self.rows += len(time_)
            self.start = low if self.start is None else min(self.start, low)
            self.stop = high if self.stop is None else max(self.stop, high)


def cutoff(now: int, retention: int) -> int:
    """What is older has lapsed. µs."""
    grain = DAY if retention >= ROUGH else HOUR
    return (now - retention) // grain * grain


def declare(catalog: Catalog, retentions: Mapping[str, int]) -> None:
    """Remembers what feeds declare (µs)."""
    with catalog.change() as connection:
        connection.executemany(
            "INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(STATE + name, span) for name, span in retentions.items()],
        )


def declared(catalog: Catalog) -> dict[str, int]:
    found = catalog.connection.execute("SELECT name, value FROM state WHERE name LIKE ?", (STATE + "%",))
    return {name.removeprefix(STATE): value for name, value in found}


class Retention:
    """One run of it."""

    def __init__(self, catalog: Catalog, signer: Signer, now: int) -> None:
        """`now`: city time, µs."""
        self.catalog, self._signer, self._now = catalog, signer, now
        self._spans = declared(catalog)
        self._limits = {name: cutoff(now, span) for name, span in self._spans.items()}
        self._holds = holds(catalog)
        self.removed: dict[str, Removed] = {}

    def run(self, stop: Callable[[], bool] = lambda: False) -> dict[str, Removed]:
        """Removes what has lapsed. By feed what was removed, and how many lapsed rows are held. Raises Retriable when another process changes files,
        OSError, sqlite3.Error when the disk does not take it; each file has lapsed whole or not at all then."""
        with held(self.catalog.folder, "mend"):
            for one in self.catalog.files("gone IS NULL AND damaged IS NULL"):
                if stop():
                    break
                if self._may_lapse(one):
                    self._file(one)
            self._tail()
            retired(self.catalog)
        return self.removed

    def lapsed(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows (columns of ROW) must be gone by now."""
        return self._lapsed(table, {})

    def _may_lapse(self, one: Filed) -> bool:
        limits = [self._limits[name] for name in one.file.feeds if name in self._limits]
        return bool(limits) and (one.file.start < max(limits) or one.file.stop > self._now + BEYOND)

    def _file(self, one: Filed) -> None:
        run: dict[str, Removed] = {}
        with held(self.catalog.folder, "publish", shared=True, wait=True):
            shelf = Shelf(self.catalog.folder)
            try:
                changed = self._rollup(shelf, one) if one.file.tier in STEPS else self._rows(shelf, one, run)
                if not changed:
                    return
                files = shelf.publish()
                step("retention.published")
                for removed in run.values():
                    removed.files.append(str(one.file.path.relative_to(self.catalog.folder)))
                with self.catalog.change() as connection:
                    leave(connection, [one])
                    enter(connection, self.catalog.folder, files)
                    self._say(connection, run)
                    step("retention.entered")
            except Damaged as fault:
                shelf.abandon()
                mark(self.catalog, one, str(fault))
                return
            except Exception:
                shelf.abandon()
                raise
        step("retention.done")
        self._count(run)

    def _rows(self, shelf: Shelf, one: Filed, run: dict[str, Removed]) -> bool:
        """Writes what stays. False when all of it does."""
        source = Source(one.file.path, 0)
        kept, lost = [], 0
        try:
            for table in merged([source]):
                gone = self._lapsed(table, run)
                lost += int(gone.sum())
                if not gone.all():
                    rest = table if not gone.any() else table.filter(pa.array(~gone))
                    kept.append(taken(rest, order(rest, by_day=one.file.tier == "month")))
        finally:
            source.close()
        if not lost:
            self._count(run)
            return False
        if kept:
            summary = Summary()
            for table in kept:
                summary.add(table)
            write(shelf, kept, STORED, one.file.tier, one.file.stream, one.period, summary, as_feed(one.file))
        return True

    def _rollup(self, shelf: Shelf, one: Filed) -> bool:
        try:
            table = read(one.file.path)
        except (OSError, pa.ArrowException) as fault:
            raise Damaged(0, str(fault)) from None
        start, width = instants(table.column("start")), STEPS[one.file.tier]
        gone = (start + width <= self._limit(table)) & ~self._covered_rollups(table, start, width)
        if not gone.any():
            return False
        if not gone.all():
            rest = table.filter(pa.array(~gone))
            kinds, feeds = set(distinct(rest.column("kind"))), set(distinct(rest.column("feed")))
            begin = instants(rest.column("start"))
            summary = Summary(len(rest), int(begin.min()), int(begin.max()) + width - 1, 0, 0, None, feeds, kinds)
            write(shelf, [rest], rest.schema, one.file.tier, one.file.stream, one.period, summary)
        return True

    def _limit(self, table: pa.Table) -> NDArray[np.int64]:
        column = table.column("feed").combine_chunks()
        column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        limits = np.array([self._limits.get(name, -(2**62)) for name in column.dictionary.to_pylist()], np.int64)
        found: NDArray[np.int64] = limits[column.indices.to_numpy()]
        return found

    def _lapsed(self, table: pa.Table, run: dict[str, Removed]) -> NDArray[np.bool_]:
        """Which rows go; adds them up by feed."""
        time_ = instants(table.column("event_time"))
        due = np.minimum(time_, instants(table.column("ingest_time"))) < self._limit(table)
        kept = np.zeros(len(table), bool)
        for hold in self._holds:
            kept |= hold.covers(table)
        gone: NDArray[np.bool_] = due & ~kept
        names = table.column("feed").cast(pa.string()).to_numpy()[due]
        for name in np.unique(names):
            mine = names == name
            one = run.setdefault(str(name), Removed())
            one.held += int((mine & kept[due]).sum())
            one.add(time_[due][mine & ~kept[due]])
        return gone

    def _covered_rollups(self, table: pa.Table, start: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
        """A bucket stays where a hold may have kept some of its rows."""
        kept: NDArray[np.bool_] = np.zeros(len(table), bool)
        for hold in self._holds:
            kept |= _touches(hold, table, start, width)
        return kept

    def _tail(self) -> None:
        """The hot tail, rewritten without what has lapsed; then the write-ahead log is cut, so that its bytes go too."""
        run: dict[str, Removed] = {}
        with self.catalog.change() as connection:
            changed = [(one, self._rest(one.table(), run)) for one in hot.batches(connection)]
            changed = [(one, rest) for one, rest in changed if rest is not None]
            hot.drop(connection, [one for one, _ in changed])
            for one, rest in changed:
                if rest is not None and len(rest):
                    hot.put(connection, one, rest)
            self._say(connection, run)
        step("retention.tail")
        self.catalog.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._count(run)

    def _rest(self, table: pa.Table, run: dict[str, Removed]) -> pa.Table | None:
        """None when all of it stays."""
        gone = self._lapsed(table, run)
        return table.filter(pa.array(~gone)) if gone.any() else None

    def _say(self, connection: sqlite3.Connection, run: Mapping[str, Removed]) -> None:
        """One signed entry for each feed that something was removed of."""
        for name, one in sorted(run.items()):
            if one.rows and one.start is not None and one.stop is not None:
                entry = {
                    "what": "removed",
                    "feed": name,
                    "rows": one.rows,
                    "from": to_iso(one.start),
                    "to": to_iso(one.stop),
                    "why": f"the feed declares a retention of {format_span(self._spans[name])}",
                    "before": to_iso(self._limits[name]),
                    "at": to_iso(time.time_ns() // 1000),
                    "city_time": to_iso(self._now),
                    "files": one.files,
                }
                self._signer.write(connection, entry)

    def _count(self, run: Mapping[str, Removed]) -> None:
        for name, one in run.items():
            whole = self.removed.setdefault(name, Removed())
            whole.rows, whole.held = whole.rows + one.rows, whole.held + one.held
            whole.files += one.files


def _touches(hold: Hold, table: pa.Table, start: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """By time and feed alone: a rollup knows tiles, not places."""
    kept: NDArray[np.bool_] = np.ones(len(table), bool)
    if hold.start is not None:
        kept &= start + width > hold.start
    if hold.stop is not None:
        kept &= start < hold.stop
    if hold.feeds:
        names = table.column("feed").cast(pa.string()).to_pylist()
        kept &= np.array([name in hold.feeds for name in names], bool)
    return kept


def totals(removed: Mapping[str, Removed]) -> Counter[str]:
    """Rows removed, by feed."""
    return Counter({name: one.rows for name, one in removed.items() if one.rows})


def paths(entries: Iterable[Mapping[str, object]]) -> Sequence[str]:
    """Files that entries of the record say are gone."""
    return [str(path) for entry in entries if entry.get("what") == "removed" for path in entry.get("files", ())]  # type: ignore[attr-defined]
