"""Bulk import: history from files straight into day files, past the hot tail. A file is taken in once, and goes on where it was stopped.

What is imported has negative sequence numbers, in the order of import: it was learnt before the journal began to speak of it, or beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.model.ids import FIRST_IMPORTED

from .catalog import Catalog, Filed, enter, next_number
from .classes import row_classes
from .disk import make_folder, room
from .filing import Shelf, file_day, streams_of
from .locks import held
from .parquet import sha256_of
from .rows import encoded
from .steps import step

CHUNK: Final = 3_000_000  # rows that become files together


@dataclass(slots=True)
class Taken:
    """How far a file has been taken in. `parts`: of it; `new`: rows this time. `done`: it is in the archive whole."""

    id: int
    feed: str
    parts: int
    rows: int
    refused: int
    began: int
    done: bool
    new: int = 0


class Importer:
    """Takes in one file after another; any number of importers and a keeper may be at work at once."""

    def __init__(self, folder: Path, classes: Mapping[str, int]) -> None:
        """Raises Fatal for an archive of a newer version, OSError."""
        make_folder(folder)
        self.catalog = Catalog(folder, write=True)
        self._folder, self._classes = folder, dict(classes)
        self._waiting: list[pa.Table] = []
        self._parts = self._refused = 0

    def close(self) -> None:
        self.catalog.close()

    def begin(self, feed: str, path: Path) -> Taken:
        """What is known of a file, by its content. Raises OSError."""
        digest = sha256_of(path)
        with self.catalog.change() as connection:
            connection.execute(
                "INSERT INTO import (feed, sha256, name, began, parts, rows, refused, done) VALUES (?, ?, ?, ?, 0, 0, 0, 0)"
                " ON CONFLICT (feed, sha256) DO NOTHING",
                (feed, digest, path.name, time.time_ns() // 1000),
            )
            row = connection.execute(
                "SELECT id, feed, parts, rows, refused, began, done FROM import WHERE feed = ? AND sha256 = ?", (feed, digest)
            ).fetchone()
        self._waiting, self._parts, self._refused = [], 0, 0
        number, name, parts, rows, refused, began, done = row
        return Taken(number, name, parts, rows, refused, began, bool(done))

    def add(self, taken: Taken, table: pa.Table, refused: int = 0) -> None:
        """The next part of the file: rows of schema PLAIN or ROW, of one of them always. Raises OSError, sqlite3.Error; the file then goes on from its last whole chunk."""
        self._parts += 1
        self._refused += refused
        if len(table):
            self._waiting.append(table)
        if sum(map(len, self._waiting)) >= CHUNK:
            self._commit(taken, done=False)

    def finish(self, taken: Taken) -> None:
        """The file is over. Raises as `add`."""
        self._commit(taken, done=True)

    def _commit(self, taken: Taken, *, done: bool) -> None:
        room(self._folder)
        whole = pa.concat_tables(self._waiting) if self._waiting else None
        count = 0 if whole is None else len(whole)
        with held(self._folder, "publish", shared=True, wait=True):
            shelf = Shelf(self._folder)
            try:
                first = self._numbers(count)
                if whole is not None:
                    self._file(shelf, whole, first)
                files = shelf.publish()
                step("import.published")
                self._enter(taken, files, count, done)
            except Exception:
                shelf.abandon()
                raise
        step("import.done")
        taken.parts, taken.rows, taken.refused = taken.parts + self._parts, taken.rows + count, taken.refused + self._refused
        taken.new, taken.done = taken.new + count, done
        self._waiting, self._parts, self._refused = [], 0, 0

    def _numbers(self, count: int) -> int:
        """Sequence numbers for so many rows; those of a chunk that never comes to be are left out."""
        with self.catalog.change() as connection:
            return FIRST_IMPORTED + next_number(connection, "imported", count) - count

    def _file(self, shelf: Shelf, whole: pa.Table, first: int) -> None:
        table = encoded(whole.set_column(0, "seq", pa.array(first + np.arange(len(whole), dtype=np.int64))))
        for stream, some in streams_of(table, row_classes(table, self._classes)):
            file_day(shelf, some, stream)

    def _enter(self, taken: Taken, files: list[Filed], count: int, done: bool) -> None:
        with self.catalog.change() as connection:
            enter(connection, self._folder, files)
            connection.execute(
                "UPDATE import SET parts = parts + ?, rows = rows + ?, refused = refused + ?, done = ? WHERE id = ?",
                (self._parts, count, self._refused, int(done), taken.id),
            )
            step("import.entered")
