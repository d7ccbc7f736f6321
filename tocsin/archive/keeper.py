"""The one who keeps: takes in the journal exactly once, and turns the hot tail into day files."""

from __future__ import annotations

import contextlib
import logging
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
from .filing import Shelf, file_day
from .locks import held
from .rows import encoded, journal_rows
from .steps import step
from .sweep import sweep

log = logging.getLogger(__name__)

FLUSH_ROWS: Final = 200_000
FLUSH_SECONDS: Final = 3_600.0


class Keeper:
    """One for each archive at a time. `classes`: feed -> index into CLASSES, as declared."""

    def __init__(self, folder: Path, classes: Mapping[str, int] | None = None) -> None:
        """Raises Retriable when another process keeps this archive, Fatal when it is of a newer version."""
        make_folder(folder)
        self.folder = folder
        self.classes = dict(classes or {})
        self.doubles = 0
        with contextlib.ExitStack() as closing:
            closing.enter_context(held(folder, "keep"))
            self.catalog = Catalog(folder, write=True)
            closing.callback(self.catalog.close)
            self._imported = Imported(self.catalog)
            sweep(self.catalog)
            self._closing = closing.pop_all()

    def close(self) -> None:
        self._closing.close()

    @property
    def position(self) -> int:
        """The journal entry up to which everything is in the archive."""
        return self.catalog.get(hot.POSITION)

    def append(self, entries: Sequence[tuple[int, pa.RecordBatch]], position: int) -> int:
        """Journal entries with events, in order, and the entry everything was read up to. What the archive has already is left out, by number, or
        because an import has brought it (`doubles` counts those). Durable when it
        returns the number of rows. Raises OSError, sqlite3.Error when the disk does not take it; then nothing has happened."""
        known = self.position
        table = journal_rows([(seq, batch) for seq, batch in entries if seq > known])
        if position <= known:
            return 0
        room(self.folder)
        step("append.begin")
        with self.catalog.change() as connection:
            double = self._imported.holds(connection, table)
            if double.any():
                table = table.filter(pa.array(~double))
            classes = row_classes(table, self.classes)
            hot.append(connection, table, classes, position)
            step("append.written")
        step("append.done")
        self.doubles += int(double.sum())
        return len(table)

    def flush_due(self) -> bool:
        rows, born = hot.size(self.catalog.connection)
        return rows >= FLUSH_ROWS or (born is not None and time.time_ns() / 1e9 - born / 1e6 > FLUSH_SECONDS)

    def flush(self) -> int:
        """The hot tail into day files. Returns its rows. Raises OSError, sqlite3.Error when the disk does not take it; then nothing has happened."""
        found = hot.batches(self.catalog.connection)
        if not found:
            return 0
        room(self.folder)
        with held(self.folder, "publish", shared=True, wait=True):
            shelf = Shelf(self.folder)
            try:
                for stream in CLASSES:
                    if mine := [one for one in found if one.stream == stream]:
                        file_day(shelf, encoded(hot.rows_of(mine)), stream)
                files = shelf.publish()
                step("flush.published")
                with self.catalog.change() as connection:
                    enter(connection, self.folder, files)
                    hot.drop(connection, found)
                    step("flush.entered")
            except Exception:
                shelf.abandon()
                raise
        step("flush.done")
        return sum(one.rows for one in found)

    def lost(self, first: int, last: int, kind: str, reason: str) -> None:
        """Journal entries that could not be read: remembered, so that `archive status` says it."""
        with self.catalog.change() as connection:
            connection.execute("INSERT OR REPLACE INTO hole VALUES (?, ?, ?, ?)", (first, last, kind, reason))

    def go_on_at(self, position: int) -> None:
        """Nothing but the position: entries without events."""
        if position > self.position:
            with self.catalog.change() as connection:
                set_state(connection, hot.POSITION, position)
