"""The tables of the alerts view made ready: created, taken over, or dropped and made anew when they are of an older version."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Dialect
from sqlalchemy.schema import CreateTable

from tocsin.kernel.fault import Fatal

from .database import Database
from .tables import POSITION, VERSION, metadata

log = logging.getLogger(__name__)

#: Name of the one row of the position table.
NAME = "alerts"
_OURS = frozenset({"name", "tables"})  # columns every version of the position table has had
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7700))")
_SCHEMA = sa.text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :name")


@dataclass(frozen=True, slots=True)
class Position:
    """How far the tables are: stream sequence, the latest city time (µs) heard by then, and which stream it is."""

    seq: int = 0
    heard: int = 0
    stream: str = ""


def prepare(db: sa.Connection, database: Database) -> Position:
    """Makes the tables if need be, in the transaction of `db`, and gives their position. Raises Fatal for tables of a newer version, or of
    somebody else."""
    schema, marks = database.schema, fingerprint(db.dialect)
    if schema is not None:
        db.execute(_LOCK, {"name": schema})  # two nodes may start at once
        if db.execute(_SCHEMA, {"name": schema}).first() is None:
            db.execute(sa.schema.CreateSchema(schema))
    known = set(sa.inspect(db).get_table_names(schema=schema))
    if known and not _current(db, database, known, marks):
        log.warning("alerts view: its tables in %s are of another version; reading the alerts stream again", database.words)
        _drop(db, database, known)
    metadata.create_all(db)
    row = db.execute(sa.select(POSITION).where(POSITION.c.name == NAME)).first()
    if row is None:
        db.execute(sa.insert(POSITION).values(name=NAME, seq=0, heard=0, tables=marks, version=VERSION, stream=""))
        return Position()
    return Position(row.seq, row.heard, row.stream)


def _current(db: sa.Connection, database: Database, known: Collection[str], marks: str) -> bool:
    """Whether the tables are those of this program."""
    if POSITION.name not in known:
        strangers = sorted(metadata.tables.keys() & known)
        if database.shared and strangers:
            raise _foreign(database, strangers[0])
        return database.shared  # a schema with other people's tables in it, and room for ours
    columns = {column["name"] for column in sa.inspect(db).get_columns(POSITION.name, schema=database.schema)}
    if database.shared:
        _refuse_newer(db, database, columns)
    if columns != set(POSITION.c.keys()) or not metadata.tables.keys() <= set(known):
        return False
    return db.execute(sa.select(POSITION.c.tables)).scalars().all() in ([marks], [])


def _refuse_newer(db: sa.Connection, database: Database, columns: Collection[str]) -> None:
    if not set(columns) >= _OURS:
        raise _foreign(database, POSITION.name)
    found = max(db.execute(sa.select(POSITION.c.version)).scalars().all(), default=0) if "version" in columns else 0
    if found > VERSION:
        raise Fatal(
            f"the state store {database.words} has tables of version {found}, this program knows them up to version {VERSION}: "
            "run the newer program on this machine as well, or give this node tables of its own with ?schema=NAME in the address"
        )


def _foreign(database: Database, table: str) -> Fatal:
    return Fatal(
        f"the state store {database.words} has a table {table!r} that is not ours, and nothing was changed in it: "
        "give Tocsin a schema of its own with ?schema=NAME in the address"
    )


def _drop(db: sa.Connection, database: Database, known: Collection[str]) -> None:
    """A file is all ours; in a shared database only our own tables are touched."""
    if database.shared:
        metadata.drop_all(db)
        return
    stale = sa.MetaData()
    stale.reflect(db, only=sorted(known))
    stale.drop_all(db)


_marks: dict[str, str] = {}


def fingerprint(dialect: Dialect) -> str:
    """Changes when a table changes: a view of other tables is read anew from the stream instead of migrated."""
    if dialect.name not in _marks:
        text = "\n".join(str(CreateTable(table).compile(dialect=type(dialect)())) for table in metadata.sorted_tables)
        _marks[dialect.name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _marks[dialect.name]
