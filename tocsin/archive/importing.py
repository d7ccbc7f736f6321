"""Bulk import: history from files straight into day files, past the hot tail. A file is taken in once, and goes on where it was stopped.

What is imported has negative sequence numbers, in the order of import: it was learnt before the journal began to speak of it, or beside it. An event
that is in the archive already (`doubles.py`) is left out.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tocsin.kernel.texthash import Words
from tocsin.model.archive import ROW
from tocsin.model.ids import FIRST_IMPORTED, event_seq

from .catalog import Catalog, Filed, enter, next_number
from .classes import row_classes
from .disk import make_folder, room
from .doubles import DAY, Own, imports, keys_of, there, twice
from .filing import Shelf, file_classes
from .hot import POSITION
from .locks import held
from .parquet import sha256_of
from .rows import encoded, instants
from .steps import step

_COUNTED: Final = 1_000_000  # days of feeds that are counted in a table, not sorted
#: Rows that become files together, or bytes of them where they are wide. More of them take in no quicker and need more memory.
CHUNK: Final = 1_000_000
CHUNK_BYTES: Final = 256 << 20


@dataclass(slots=True)
class Taken:
    """How far a file has been taken in. `parts`: of it; `new`: rows this time; `doubles`: events of it that were in the archive already. `done`: it is in
    the archive whole."""

    id: int
    feed: str
    parts: int
    rows: int
    refused: int
    began: int
    done: bool
    new: int = 0
    doubles: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A moment of the archive: its files, how many chunks were imported, and the journal entry that it reached to."""

    files: frozenset[str]
    imports: int
    position: int


@dataclass(slots=True)
class _Chunk:
    """Rows that become files together: numbered, and without those that are there already. `inorder`: their keys, sorted. `seen`: what of the archive
    that was looked up in."""

    table: pa.Table
    keys: Words
    inorder: Words
    first: int
    last: int
    doubles: int
    seen: _Seen


class Importer:
    """Takes in one file after another; any number of importers and a keeper may be at work at once."""

    def __init__(self, folder: Path, classes: Mapping[str, int]) -> None:
        """Raises Fatal for an archive of a newer version, OSError."""
        make_folder(folder)
        self.catalog = Catalog(folder, write=True)
        self._folder, self._classes = folder, dict(classes)
        self._waiting: list[pa.Table] = []
        self._parts = self._refused = 0
        self._own = Own()

    def close(self) -> None:
        self.catalog.close()
        self._waiting, self._own = [], Own()  # hundreds of megabytes, perhaps
        pa.default_memory_pool().release_unused()

    def begin(self, feed: str, path: Path) -> Taken:
        """What is known of a file, by its content. Raises OSError."""
        digest = sha256_of(path)
        with self.catalog.change() as connection:
            connection.execute(
                "INSERT INTO import (feed, sha256, name, began, parts, rows, refused, done) VALUES (?, ?, ?, ?, 0, 0, 0, 0)"
                " ON CONFLICT (feed, sha256) DO NOTHING",
                (feed, digest, str(path.absolute()), time.time_ns() // 1000),
            )
            row = connection.execute(
                "SELECT id, feed, parts, rows, refused, began, done, doubles FROM import WHERE feed = ? AND sha256 = ?", (feed, digest)
            ).fetchone()
        self._waiting, self._parts, self._refused = [], 0, 0
        number, name, parts, rows, refused, began, done, doubles = row
        return Taken(number, name, parts, rows, refused, began, bool(done), doubles=doubles)

    def add(self, taken: Taken, table: pa.Table, refused: int = 0) -> None:
        """The next part of the file: rows of schema PLAIN or ROW, of one of them always. Raises OSError, sqlite3.Error; the file then goes on from its last whole chunk."""
        self._parts += 1
        self._refused += refused
        if len(table):
            self._waiting.append(table)
        if sum(map(len, self._waiting)) >= CHUNK or sum(one.nbytes for one in self._waiting) >= CHUNK_BYTES:
            self._commit(taken, done=False)

    def finish(self, taken: Taken) -> None:
        """The file is over. Raises as `add`."""
        self._commit(taken, done=True)

    def _commit(self, taken: Taken, *, done: bool) -> None:
        room(self._folder)
        numbered = self._numbered()
        with held(self._folder, "publish", shared=True, wait=True):
            while (chunk := self._file(taken, numbered, done)) is None:
                pass  # somebody has brought some of these events meanwhile
        step("import.done")
        count = len(chunk.table)
        taken.parts, taken.rows, taken.refused = taken.parts + self._parts, taken.rows + count, taken.refused + self._refused
        taken.new, taken.doubles, taken.done = taken.new + count, taken.doubles + chunk.doubles, done
        self._waiting, self._parts, self._refused = [], 0, 0

    def _numbered(self) -> pa.Table:
        """All that waits, as schema ROW. Numbers of a chunk that never comes to be are left out."""
        if not self._waiting:
            return ROW.empty_table()
        whole = pa.concat_tables(self._waiting)
        with self.catalog.change() as connection:
            first = FIRST_IMPORTED + next_number(connection, "imported", len(whole)) - len(whole)
        return encoded(whole.set_column(0, "seq", pa.array(first + np.arange(len(whole), dtype=np.int64))))

    def _new(self, numbered: pa.Table) -> _Chunk:
        """Without what is there already."""
        seq, keys = numbered.column("seq").to_numpy(), keys_of(numbered)
        first, last = (int(seq[0]), int(seq[-1])) if len(seq) else (0, 0)
        inorder, seen = np.sort(keys), self._seen()
        without = self._own.without(numbered, inorder)
        double = twice(numbered, keys, inorder) | there(self.catalog, numbered, keys, lambda one: str(one.file.path) not in without)
        if not double.any():
            return _Chunk(numbered, keys, inorder, first, last, 0, seen)
        return _Chunk(numbered.filter(pa.array(~double)), keys[~double], np.sort(keys[~double]), first, last, int(double.sum()), seen)

    def _file(self, taken: Taken, numbered: pa.Table, done: bool) -> _Chunk | None:
        """None: it has not happened, and is to be tried again."""
        shelf, chunk = Shelf(self._folder), self._new(numbered)
        try:
            file_classes(shelf, chunk.table, row_classes(chunk.table, self._classes))
            files = shelf.publish()
            step("import.published")
            with self.catalog.change() as connection:
                again = self._brought(chunk)
                if not again:
                    self._enter(connection, taken, chunk, files, done)
        except Exception:
            shelf.abandon()
            raise
        if again:
            shelf.abandon()
            return None
        self._own.add(chunk.table, chunk.inorder, files)
        return chunk

    def _brought(self, chunk: _Chunk) -> bool:
        """Whether anybody has brought any of it since that was looked up. Within a transaction."""
        now, seen = self._seen(), chunk.seen
        if (now.imports, now.position) == (seen.imports, seen.position):
            return False
        after = event_seq(seen.position + 1, 0) - 1
        return bool(there(self.catalog, chunk.table, chunk.keys, lambda one: str(one.file.path) not in seen.files, after).any())

    def _seen(self) -> _Seen:
        files = frozenset(str(one.file.path) for one in self.catalog.files())
        return _Seen(files, imports(self.catalog.connection), self.catalog.get(POSITION))

    def _enter(self, connection: sqlite3.Connection, taken: Taken, chunk: _Chunk, files: list[Filed], done: bool) -> None:
        enter(connection, self._folder, files)
        count = len(chunk.table)
        connection.execute(
            "UPDATE import SET parts = parts + ?, rows = rows + ?, refused = refused + ?, done = ?, doubles = doubles + ? WHERE id = ?",
            (self._parts, count, self._refused, int(done), chunk.doubles, taken.id),
        )
        if chunk.first:
            values = (chunk.first, chunk.last, taken.id, taken.parts, self._parts)
            connection.execute("INSERT INTO chunk (first, last, import, part, parts) VALUES (?, ?, ?, ?, ?)", values)
        connection.executemany("INSERT OR IGNORE INTO imported VALUES (?, ?)", _feeds_and_days(chunk.table))
        step("import.entered")


def _feeds_and_days(table: pa.Table) -> list[tuple[str, int]]:
    """Which feeds have rows on which UTC days (since 1970). Schema ROW."""
    feeds, found = table.column("feed").combine_chunks(), set[tuple[str, int]]()
    names, days = feeds.dictionary.to_pylist(), instants(table.column("event_time")) // DAY
    low, span = (int(days.min()), int(days.max()) - int(days.min()) + 1) if len(table) else (0, 0)
    pairs = (days - low) + feeds.indices.to_numpy().astype(np.int64) * span
    once: Any = np.flatnonzero(np.bincount(pairs)) if span * len(names) < _COUNTED else np.unique(pairs)
    for pair in map(int, once):
        found.add((names[pair // span], low + pair % span))
    return sorted(found)
