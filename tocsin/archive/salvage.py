"""What can still be read of a damaged catalogue: table by table, row by row, until SQLite says that there is no more."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from tocsin.kernel import durable

#: What no file of the archive says. Of `file`, only what counts is wanted; `batch` comes again from the journal.
TABLES: Final = ("state", "hold", "tombstone", "import", "chunk", "imported", "hole")
_PARTS: Final = ("", "-wal")


def copied(path: Path, aside: Path) -> Path:
    """The catalogue with its write-ahead log in another place. Where there is none any more, an earlier run has copied it, or it was lost. Raises OSError."""
    copy = aside / "old.db"
    if path.exists():
        for part in _PARTS:
            mine, other = path.with_name(path.name + part), copy.with_name(copy.name + part)
            other.unlink(missing_ok=True)
            if mine.exists():
                shutil.copyfile(mine, other)
                durable.sync(other)
        durable.sync(aside)
    return copy


def removed(path: Path) -> None:
    """A catalogue and what SQLite lays beside it, the catalogue first: a log without it says nothing, but with another it would be written into that."""
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
    durable.sync(path.parent)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """None where there is nothing to read."""
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def rows(connection: sqlite3.Connection | None, table: str, columns: str = "*") -> tuple[list[dict[str, Any]], bool]:
    """Those that can be read, in the order of the table, and whether these are all."""
    found: list[dict[str, Any]] = []
    if connection is None:
        return found, False
    try:
        cursor = connection.execute(f"SELECT {columns} FROM {table}")  # noqa: S608
        names = [one[0] for one in cursor.description]
        while (row := cursor.fetchone()) is not None:
            found.append(dict(zip(names, row, strict=True)))
    except (sqlite3.Error, UnicodeDecodeError):
        return found, False
    return found, True
