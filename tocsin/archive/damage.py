"""A catalogue that is damaged: whoever comes upon it says which file it is, what is wrong with it and what can be done, and changes nothing."""

from __future__ import annotations

import functools
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tocsin.kernel.fault import DamagedStore
from tocsin.model.archive import CLASSES

_SAYS_SO: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SEAL: Final = b"TCRC"  # before the CRC-32 of a batch, behind the end of its Arrow stream, where readers of older versions do not look
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # of an Arrow stream: batches of older versions have nothing behind it


def damaged(path: Path, why: str) -> DamagedStore:
    return DamagedStore(
        f"{path}, the catalogue of the archive, is damaged: {why}. Its Parquet files are left as they are, and alerts go on; history can neither be read nor written. "
        "Stop the node and run 'tocsin archive rebuild', which makes it again from those files and the journal; or "
        f"move {path.parent} away as a whole, and 'tocsin archive restore' brings the archive back from its mirror (docs/archive.md)"
    )


class Connection(sqlite3.Connection):
    """What SQLite says of a damaged file, it says as `DamagedStore`."""

    path: Path

    def cursor(self, *_: Any) -> Any:
        return super().cursor(Cursor)

    def execute(self, *words: Any) -> Any:
        return self.cursor().execute(*words)

    def executemany(self, *words: Any) -> Any:
        return self.cursor().executemany(*words)

    def damage_of(self, fault: sqlite3.DatabaseError) -> DamagedStore | None:
        """What it says of the file; None: nothing."""
        code = getattr(fault, "sqlite_errorcode", 0) & 0xFF  # the rest says more of the same
        undecoded = isinstance(fault, sqlite3.OperationalError) and "decode to UTF-8" in str(fault)
        return damaged(self.path, str(fault)) if code in _SAYS_SO or undecoded else None


def _telling(method: Callable[..., Any]) -> Any:
    """The same, but that what SQLite says of a damaged file is told."""

    @functools.wraps(method)
    def asked(cursor: Cursor, *words: Any) -> Any:
        try:
            return method(cursor, *words)
        except sqlite3.DatabaseError as fault:
            cursor.tell(fault)
            raise

    return asked


class Cursor(sqlite3.Cursor):
    connection: Connection
    execute = _telling(sqlite3.Cursor.execute)
    executemany = _telling(sqlite3.Cursor.executemany)
    fetchone = _telling(sqlite3.Cursor.fetchone)
    fetchall = _telling(sqlite3.Cursor.fetchall)
    __next__ = _telling(sqlite3.Cursor.__next__)

    def tell(self, fault: sqlite3.DatabaseError) -> None:
        """Raises DamagedStore where that is what the fault says. Nothing can be asked of this cursor any more: whoever keeps the exception keeps its frames, and
        a statement in them would keep the file open after the connection is closed."""
        found = self.connection.damage_of(fault)
        self.close()
        if found is not None:
            raise found from fault


def refuse_strays(path: Path, folder: Path) -> None:
    """A catalogue that is empty or gone while its files lie there is no new archive: taken for one, all of them would be swept away. Raises DamagedStore."""
    if any(True for name in CLASSES for _ in (folder / name).rglob("*.parquet")):
        gone = "it is not there" if not path.exists() else "nothing is in it" if not path.stat().st_size else "its tables are not there"
        raise damaged(path, f"{gone}, but files of an archive are (after a 'tocsin archive restore' that was cut off, run that again)")


def sealed(body: bytes | memoryview) -> bytes:
    """A batch of the hot tail, with what tells whether it is as it was written."""
    return b"".join((body, _SEAL, zlib.crc32(body).to_bytes(4, "little")))


def whole(body: bytes) -> bool:
    """Whether a batch is as it was written; of those of older versions only the end is known."""
    if body[-8:-4] == _SEAL:
        return zlib.crc32(memoryview(body)[:-8]) == int.from_bytes(body[-4:], "little")
    return body.endswith(_END)


def check(connection: Connection, *, quick: bool) -> None:
    """Everything in the file that can be told to be wrong. `quick`: without comparing indexes with their tables. Raises DamagedStore."""
    found = connection.execute("PRAGMA quick_check(1)" if quick else "PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(connection.path, " ".join(str(found).split()))
    for first, last, body in connection.execute("SELECT first, last, body FROM batch"):
        if not whole(body):
            raise unsound(connection, first, last)


def unsound(connection: Connection, first: int, last: int) -> DamagedStore:
    return damaged(connection.path, f"the events {first} to {last} of its hot tail are not as they were written (CRC-32)")
