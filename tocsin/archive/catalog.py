"""The catalogue: one SQLite file that says what is in the archive. What it does not name is not there, whatever lies in the folders."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tocsin.model.archive import Box, StoredFile, Want

from .damage import Connection, check, damaged, refuse_strays
from .rows import is_kind
from .schema import OUTLINES, check_version, prepare, version_of

SYNCHRONOUS = "FULL"  # a commit is on disk when it returns
_NAMED: Final = 16  # feeds that a statement names at most
WAIT_SECONDS: Final = 30.0  # for another process that writes; each of its transactions takes milliseconds
_FILE: Final = (
    "id, path, tier, class, period, feeds, kinds, rows, size, start, stop, west, south, east, north, first, last, sha256, damaged"
)

_ENTER: Final = (
    "INSERT INTO file (path, tier, class, period, feeds, kinds, rows, size, start, stop, west, south, east, north, first, last, sha256)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Filed:
    """A file as the catalogue has it. `id`: 0 before it is entered. `period`: `2026-01-05` or `2026-01`. `damaged`: why it may not be read.
    `outline`: what its row groups hold (`model/outline.py`), to be entered with it; it is not read from the catalogue again but by `Catalog.outline`."""

    file: StoredFile
    period: str
    kinds: tuple[str, ...]
    id: int = 0
    damaged: str | None = None
    outline: bytes | None = None


class Catalog:
    """One for each process; connections belong to threads."""

    def __init__(self, folder: Path, *, write: bool, path: Path | None = None) -> None:
        """`path`: of the catalogue, where it lies elsewhere than with its files. Raises Fatal for an archive of another version, DamagedStore, OSError when there
        is none (yet) and `write` is false."""
        self.folder = folder
        self.path = path or folder / "catalog.db"
        self._write, self._own = write, path is None
        self._local = threading.local()
        self._all: list[Connection] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        if self._own and (not self.path.exists() or not self.path.stat().st_size):
            refuse_strays(self.path, self.folder)
        if self._write:
            self._named()
            prepare(self.connection, str(self.folder))
        elif not self.path.exists():
            raise FileNotFoundError(f"there is no archive in {self.folder}")
        else:
            found = version_of(self.connection)
            check_version(found, str(self.folder))
            if not found:
                self._named()
                raise FileNotFoundError(f"the archive in {self.folder} is just being made")

    def _named(self) -> None:
        """A catalogue without a number of its format has no tables, or it is damaged. Raises DamagedStore."""
        if version_of(self.connection):
            return
        if self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] and not version_of(self.connection):
            raise damaged(self.path, "it has tables, but no number of their format")
        if self._own:
            refuse_strays(self.path, self.folder)

    def check(self, *, quick: bool = False) -> None:
        """`quick`: indexes are not compared with their tables. Raises DamagedStore."""
        check(self.connection, quick=quick)

    @property
    def connection(self) -> Connection:
        """Of this thread."""
        found: Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, factory=Connection)
            found.path = self.path
            self._all.append(found)
            found.execute("PRAGMA journal_mode = WAL" if self._write else "PRAGMA query_only = 1")
            found.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            found.execute("PRAGMA secure_delete = ON")
            self._local.connection = found
        return found

    def close(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._local = threading.local()

    @contextlib.contextmanager
    def change(self) -> Iterator[Connection]:
        """One transaction, durable when it ends; nothing of it happens when it raises."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:  # SQLite has ended it itself where the file is damaged
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextlib.contextmanager
    def moment(self) -> Iterator[Connection]:
        """Everything as it is at one moment."""
        connection = self.connection
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def get(self, name: str, otherwise: int = 0) -> int:
        """A number of table `state`."""
        row = self.connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return otherwise if row is None else int(row[0])

    def files(self, where: str = "gone IS NULL", values: Iterable[Any] = ()) -> list[Filed]:
        """`where`: SQL over the columns of table file."""
        found = self.connection.execute(f"SELECT {_FILE} FROM file WHERE {where} ORDER BY id", tuple(values))  # noqa: S608
        try:
            return [_filed(self.folder, row) for row in found]
        except ValueError as fault:
            raise damaged(self.path, f"what it says of a file cannot be read: {fault}") from None

    def find(self, want: Want, tiers: Iterable[str]) -> list[Filed]:
        """Files that may hold what is wanted, damaged ones too."""
        values: list[Any] = list(tiers)
        where = f"gone IS NULL AND tier IN ({','.join('?' * len(values))})"
        limits = (("stop >= ?", want.start), ("start < ?", want.stop), ("last >= ?", want.first), ("first <= ?", want.last))
        for text, value in limits:
            if value is not None:
                where, values = f"{where} AND {text}", [*values, value]
        if 0 < len(want.feeds) <= _NAMED:  # as JSON writes them; a name may be found within another, so they are looked at again
            where = f"{where} AND ({' OR '.join(['instr(feeds, ?) > 0'] * len(want.feeds))})"
            values += [json.dumps(name) for name in want.feeds]
        if want.box is not None:
            where, values = f"{where} AND south <= ? AND north >= ?", [*values, want.box.north, want.box.south]
            if want.box.west <= want.box.east:
                where, values = f"{where} AND west <= ? AND east >= ?", [*values, want.box.east, want.box.west]
        return [found for found in self.files(where, values) if _may_hold(found, want)]

    def outline(self, file: StoredFile) -> bytes | None:
        """What its row groups hold (`model/outline.py`); None where that is not known."""
        if version_of(self.connection) < OUTLINES:
            return None
        path = str(file.path.relative_to(self.folder))
        row = self.connection.execute("SELECT body FROM outline WHERE file = (SELECT id FROM file WHERE path = ?)", (path,)).fetchone()
        return None if row is None else bytes(row[0])

    def without_outline(self) -> list[Filed]:
        """Sound files of events whose row groups nobody has looked at."""
        return self.files("gone IS NULL AND damaged IS NULL AND tier IN ('day', 'month') AND id NOT IN (SELECT file FROM outline)")


@lru_cache(16_384)
def _filed(folder: Path, row: tuple[Any, ...]) -> Filed:
    """One row of the table: the same ones are asked for again and again."""
    number, path, tier, stream, period, feeds, kinds, rows, size, start, stop, west, south, east, north, first, last, sha, damaged = row
    box = None if west is None else Box(west, south, east, north)
    file = StoredFile(folder / path, tier, stream, _listed(feeds), rows, size, start, stop, box, first, last, sha)
    return Filed(file, period, _listed(kinds), number, damaged)


@lru_cache(4_096)
def _listed(text: str) -> tuple[str, ...]:
    """A JSON list of names; files of a feed say the same ones again and again."""
    return tuple(json.loads(text))


def _may_hold(found: Filed, want: Want) -> bool:
    file = found.file
    if want.classes and file.stream not in want.classes:
        return False
    if want.feeds and not set(want.feeds) & set(file.feeds):
        return False
    if want.kinds and not any(is_kind(kind, want.kinds) for kind in found.kinds):
        return False
    return want.box is None or (file.box is not None and overlap(file.box, want.box))


def overlap(one: Box, two: Box) -> bool:
    """`two` may cross the antimeridian, `one` may not."""
    if two.north < one.south or two.south > one.north:
        return False
    if two.west <= two.east:
        return two.west <= one.east and two.east >= one.west
    return one.east >= two.west or one.west <= two.east


def set_state(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))


def raise_state(connection: sqlite3.Connection, name: str, value: int) -> None:
    """The larger of what is there and `value`."""
    connection.execute("INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)", (name, value))


def next_number(connection: sqlite3.Connection, name: str, step: int = 1) -> int:
    """Counts up a number of table `state`; the new value."""
    row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    value = (0 if row is None else int(row[0])) + step
    set_state(connection, name, value)
    return value


def enter(connection: sqlite3.Connection, folder: Path, files: Iterable[Filed]) -> list[Filed]:
    """Published files become part of the archive."""
    entered = []
    for one in files:
        file = one.file
        values = (
            str(file.path.relative_to(folder)), file.tier, file.stream, one.period, json.dumps(file.feeds), json.dumps(one.kinds), file.rows,
            file.size, file.start, file.stop, *(file.box or (None,) * 4), file.first, file.last, file.sha256,
        )  # fmt: skip
        cursor = connection.execute(_ENTER, values)
        if one.outline is not None:
            connection.execute("INSERT INTO outline VALUES (?, ?)", (cursor.lastrowid, one.outline))
        entered.append(replace(one, id=cursor.lastrowid or 0))
    return entered


def leave(connection: sqlite3.Connection, files: Iterable[Filed]) -> None:
    """From the next generation on nobody sees these files."""
    generation = next_number(connection, "generation")
    connection.executemany("UPDATE file SET gone = ? WHERE id = ?", [(generation, one.id) for one in files])
