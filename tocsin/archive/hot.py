"""The hot tail: what came from the journal and is in no file yet, in the catalogue's own database.

Rows are kept several together, as Arrow batches: a commit adds one batch for each class, and sixteen batches of one level become one of the next, so
that a tail of any length is read in a few pieces. The position in the journal is part of the same transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from tocsin.model.archive import CLASSES, Want

from .catalog import raise_state, set_state
from .damage import Connection, sealed, unsound, whole
from .rows import PLAIN, instants

FAN: Final = 16
_OPTIONS: Final = ipc.IpcWriteOptions(compression="lz4")
POSITION: Final = "position"  # in table `state`: the journal entry up to which everything is in the archive
HEARD: Final = "heard"  # likewise: the journal clock at that entry, µs, which ticks move too


class Reached(NamedTuple):
    """How far the journal was read: the entry, and the largest clock of what was read since the one before, 0 for none."""

    position: int
    clock: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one class in the hot tail. `born`: wall clock µs."""

    id: int
    stream: str
    rows: int
    born: int
    body: bytes

    def table(self) -> pa.Table:
        return unpacked(self.body)


def packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table.combine_chunks())
    return sealed(memoryview(sink.getvalue()))


def unpacked(body: bytes) -> pa.Table:
    return ipc.open_stream(pa.py_buffer(body)).read_all()


def append(connection: Connection, table: pa.Table, classes: np.ndarray, until: Reached) -> None:
    """Rows of schema PLAIN and what they reach to. Within a transaction of the caller."""
    for number, stream in enumerate(CLASSES):
        some = table.filter(pa.array(classes == number))
        if len(some):
            _insert(connection, stream, 0, some, time.time_ns() // 1000)
            _fold(connection, stream)
    reached(connection, [table], until)


def reached(connection: sqlite3.Connection, tables: Iterable[pa.Table], until: Reached) -> None:
    """How far the archive is with these rows, which come after all others. Within a transaction of the caller."""
    latest = [int(instants(table.column("ingest_time")).max()) for table in tables if len(table)]
    if latest:
        set_state(connection, "clock", max(latest))
    raise_state(connection, HEARD, max([until.clock, *latest]))
    set_state(connection, POSITION, until.position)


def _insert(connection: sqlite3.Connection, stream: str, level: int, table: pa.Table, born: int) -> None:
    when, seq = instants(table.column("event_time")), table.column("seq").to_numpy()
    connection.execute(
        "INSERT INTO batch (class, level, rows, start, stop, first, last, born, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            stream, level, len(table), int(when.min()), int(when.max()), int(seq.min()), int(seq.max()), born, packed(table),
        ),
    )  # fmt: skip


def _fold(connection: Connection, stream: str) -> None:
    """Joins batches, level by level, as long as one is full."""
    level = 0
    while True:
        found = connection.execute(
            "SELECT id, rows, born, body, first, last FROM batch WHERE class = ? AND level = ? ORDER BY first", (stream, level)
        ).fetchall()
        if len(found) < FAN:
            return
        for row in found:
            if not whole(row[3]):
                raise unsound(connection, row[4], row[5])
        connection.executemany("DELETE FROM batch WHERE id = ?", [(row[0],) for row in found])
        _insert(connection, stream, level + 1, pa.concat_tables(unpacked(row[3]) for row in found), min(row[2] for row in found))
        level += 1


def batches(connection: Connection, want: Want | None = None) -> list[Batch]:
    """In journal order of their first rows. `want`: only those that may hold something of it. Raises DamagedStore for one that is not as it was written."""
    want = want or Want()
    where, values = "1", list[int]()
    limits = (("stop >= ?", want.start), ("start < ?", want.stop), ("last >= ?", want.first), ("first <= ?", want.last))
    for text, value in limits:
        if value is not None:
            where, values = f"{where} AND {text}", [*values, value]
    found = connection.execute(f"SELECT first, last, id, class, rows, born, body FROM batch WHERE {where} ORDER BY first", values)  # noqa: S608
    made = []
    for first, last, *row in found:
        if want.classes and row[1] not in want.classes:
            continue
        if not whole(row[4]):
            raise unsound(connection, first, last)
        made.append(Batch(*row))
    return made


def put(connection: Connection, instead_of: Batch, table: pa.Table) -> None:
    """What is left of a batch."""
    _insert(connection, instead_of.stream, 0, table, instead_of.born)


def drop(connection: sqlite3.Connection, gone: Iterable[Batch]) -> None:
    """Within a transaction of the caller, which has their rows in files."""
    connection.executemany("DELETE FROM batch WHERE id = ?", [(one.id,) for one in gone])


def size(connection: sqlite3.Connection) -> tuple[int, int | None]:
    """Rows in the tail, and when the oldest of them came (wall clock, µs)."""
    rows, born = connection.execute("SELECT coalesce(sum(rows), 0), min(born) FROM batch").fetchone()
    return int(rows), None if born is None else int(born)


def rows_of(found: Iterable[Batch]) -> pa.Table:
    """Schema PLAIN."""
    tables = [one.table() for one in found]
    return pa.concat_tables(tables) if tables else PLAIN.empty_table()
