"""The one who keeps: takes in the journal exactly once, and turns the hot tail into day files."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from tocsin.model.archive import CLASSES

from . import hot
from .catalog import Catalog, enter, set_state
from .classes import row_classes
from .disk import make_folder, room
from .doubles import Imported
from .filing import Shelf, file_day, streams_of
from .locks import held
from .rows import encoded, journal_rows
from .steps import step
from .sweep import sweep

log = logging.getLogger(__name__)

FLUSH_ROWS: Final = 200_000
FLUSH_SECONDS: Final = 3_600.0
#: So many rows at once go into day files without passing the hot tail, which would write each of them four times.
DIRECT_ROWS: Final = 50_000


class _ImportedMeanwhile(Exception):
    """An import ended since live events were held against what was imported."""


class Keeper:
    """One for each archive at a time. `classes`: feed -> index into CLASSES, as declared."""

    def __init__(self, folder: Path, classes: Mapping[str, int] | None = None) -> None:
        """Raises Retriable when another process keeps this archive, Fatal when it is of a newer version, DamagedStore when its catalogue is."""
        make_folder(folder)
        self.folder = folder
        self.classes = dict(classes or {})
        self.doubles = 0
        with contextlib.ExitStack() as closing:
            closing.enter_context(held(folder, "keep"))
            self.catalog = Catalog(folder, write=True)
            closing.callback(self.catalog.close)
            self.catalog.check(quick=True)
            self._imported = Imported(self.catalog)
            sweep(self.catalog)
            self._closing = closing.pop_all()

    def close(self) -> None:
        self._closing.close()

    @property
    def position(self) -> int:
        """The journal entry up to which everything is in the archive."""
        return self.catalog.get(hot.POSITION)

    def append(self, entries: Sequence[tuple[int, pa.RecordBatch]], position: int, clock: int = 0) -> int:
        """Journal entries with events, in order, and the entry everything was read up to; `clock`: the largest of all that was read, ticks too. What the archive has already is left out, by number, or
        because an import has brought it (`doubles` counts those). Durable when it returns the number of rows. Raises OSError, sqlite3.Error when the disk does not take it; then nothing has happened."""
        known = self.position
        table = journal_rows([(seq, batch) for seq, batch in entries if seq > known])
        if position <= known:
            return 0
        room(self.folder)
        step("append.begin")
        while (kept := self._take(table, hot.Reached(position, clock))) is None:
            pass  # an import ended while files were written
        step("append.done")
        self.doubles += len(table) - kept
        return kept

    def _take(self, table: pa.Table, until: hot.Reached) -> int | None:
        """Rows of PLAIN that no import has brought. Returns how many there were; None: it has not happened, and is to be tried again."""
        rest = table
        if len(table) >= DIRECT_ROWS:
            with self.catalog.change() as connection:
                rest = self._new(connection, table)
        if len(rest) >= DIRECT_ROWS:
            try:
                self._file(dict(streams_of(rest, row_classes(rest, self.classes))), until)
            except _ImportedMeanwhile:
                return None
        else:
            with self.catalog.change() as connection:
                rest = self._new(connection, rest)
                hot.append(connection, rest, row_classes(rest, self.classes), until)
                step("append.written")
        return len(rest)

    def _new(self, connection: sqlite3.Connection, table: pa.Table) -> pa.Table:
        double = self._imported.holds(connection, table)
        return table.filter(pa.array(~double)) if double.any() else table

    def flush_due(self) -> bool:
        rows, born = hot.size(self.catalog.connection)
        return rows >= FLUSH_ROWS or (born is not None and time.time_ns() / 1e9 - born / 1e6 > FLUSH_SECONDS)

    def flush(self) -> int:
        """The hot tail into day files. Returns its rows. Raises OSError, sqlite3.Error when the disk does not take it; then nothing has happened."""
        rows = self._file({}, None)
        step("flush.done")
        return rows

    def _file(self, fresh: Mapping[str, pa.Table], until: hot.Reached | None) -> int:
        """The hot tail, and rows of PLAIN that were never in it, into day files. `until`: what the fresh rows reach to. Returns the rows."""
        found = hot.batches(self.catalog.connection)
        if not found and not fresh:
            return 0
        room(self.folder)
        with held(self.folder, "publish", shared=True, wait=True):
            shelf = Shelf(self.folder)
            try:
                for stream in CLASSES:
                    parts = [one.table() for one in found if one.stream == stream]
                    parts += [fresh[stream]] if stream in fresh else []
                    if parts:
                        file_day(shelf, encoded(pa.concat_tables(parts)), stream)
                files = shelf.publish()
                step("flush.published")
                with self.catalog.change() as connection:
                    if fresh and self._imported.newer(connection):
                        raise _ImportedMeanwhile
                    enter(connection, self.folder, files)
                    hot.drop(connection, found)
                    if until is not None:
                        hot.reached(connection, fresh.values(), until)
                    step("flush.entered")
            except Exception:
                shelf.abandon()
                raise
        return sum(one.rows for one in found) + sum(map(len, fresh.values()))

    def lost(self, first: int, last: int, kind: str, reason: str) -> None:
        """Journal entries that could not be read: remembered, so that `archive status` says it."""
        with self.catalog.change() as connection:
            connection.execute("INSERT OR REPLACE INTO hole VALUES (?, ?, ?, ?)", (first, last, kind, reason))

    def go_on_at(self, position: int) -> None:
        """Nothing but the position: entries without events."""
        if position > self.position:
            with self.catalog.change() as connection:
                set_state(connection, hot.POSITION, position)
