"""The tables of the catalogue (SQLite), and which versions of it this version of Tocsin reads."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from typing import Final

from tocsin.kernel.fault import Fatal

#: Version of the whole archive: tables, names of files, columns in them.
VERSION: Final = 3
OUTLINES: Final = 3  # from this version on the catalogue knows what row groups hold

TABLES: Final = """
CREATE TABLE file (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,     -- below the archive's folder
  tier TEXT NOT NULL,            -- day, month, hourly, daily
  class TEXT NOT NULL,
  period TEXT NOT NULL,          -- 2026-01-05 or 2026-01
  feeds TEXT NOT NULL,           -- JSON list
  kinds TEXT NOT NULL,           -- JSON list
  rows INTEGER NOT NULL,
  size INTEGER NOT NULL,
  start INTEGER NOT NULL, stop INTEGER NOT NULL,
  west REAL, south REAL, east REAL, north REAL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  damaged TEXT,                  -- why nobody may read it
  gone INTEGER                   -- generation from which on nobody sees it; its bytes go when nobody looks at it any more
);
CREATE INDEX file_period ON file (tier, class, period);
CREATE TABLE outline (           -- what the row groups of a file hold (model/outline.py); one that is not here is found in the file
  file INTEGER PRIMARY KEY, body BLOB NOT NULL
);
CREATE TRIGGER file_outline AFTER DELETE ON file BEGIN DELETE FROM outline WHERE file = OLD.id; END;
CREATE TABLE batch (             -- the hot tail: rows that are in no file yet, several together
  id INTEGER PRIMARY KEY,
  class TEXT NOT NULL,
  level INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  start INTEGER NOT NULL, stop INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,
  born INTEGER NOT NULL,         -- wall clock, µs
  body BLOB NOT NULL             -- Arrow IPC stream
);
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE hole (              -- journal entries that could not be read when they were due
  first INTEGER PRIMARY KEY, last INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE import (
  id INTEGER PRIMARY KEY,
  feed TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,            -- where the file lay
  began INTEGER NOT NULL,
  parts INTEGER NOT NULL,        -- parts of the file that are in the archive
  rows INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  done INTEGER NOT NULL,         -- 1 when the whole file is
  doubles INTEGER NOT NULL DEFAULT 0,  -- events of it that were in the archive already
  UNIQUE (feed, sha256)
);
CREATE TABLE chunk (             -- which numbers were given to which part of an imported file; those of doubles are not used
  first INTEGER PRIMARY KEY, last INTEGER NOT NULL,
  import INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL
);
CREATE TABLE imported (          -- UTC days (since 1970) on which a feed has imported events
  feed TEXT NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (feed, day)
);
CREATE TABLE hold (
  id INTEGER PRIMARY KEY,
  reason TEXT NOT NULL, by TEXT NOT NULL,
  placed INTEGER NOT NULL, released INTEGER,
  start INTEGER, stop INTEGER,
  west REAL, south REAL, east REAL, north REAL,
  feeds TEXT NOT NULL
);
CREATE TABLE tombstone (id INTEGER PRIMARY KEY, text TEXT NOT NULL, hash TEXT NOT NULL, signature TEXT NOT NULL);
"""

IDENTITY: Final = "identity"  # in table `state`: a number that an archive has in common with its copies alone
_DAY: Final = 86_400_000_000


def _to_2(connection: sqlite3.Connection) -> None:
    """Doubles are told apart, and imported rows can be fetched again: what is needed for that of imports from now on, and the days of those before."""
    connection.execute("ALTER TABLE import ADD COLUMN doubles INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "CREATE TABLE chunk (first INTEGER PRIMARY KEY, last INTEGER NOT NULL,"
        " import INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL)"
    )
    connection.execute("CREATE TABLE imported (feed TEXT NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (feed, day))")
    connection.execute(
        "WITH RECURSIVE span(feeds, day, until) AS ("
        " SELECT feeds, start / ?1 - (start % ?1 < 0), stop / ?1 - (stop % ?1 < 0) FROM file WHERE first < 0 AND tier IN ('day', 'month')"
        " UNION SELECT feeds, day + 1, until FROM span WHERE day < until)"
        " INSERT OR IGNORE INTO imported SELECT value, day FROM span, json_each(span.feeds)",
        (_DAY,),
    )
    connection.execute("INSERT INTO state VALUES (?, ?)", (IDENTITY, secrets.randbits(62)))


def _to_3(connection: sqlite3.Connection) -> None:
    """What row groups hold; of files there are already it is entered by the next compaction (`outlines.fill`)."""
    connection.execute("CREATE TABLE outline (file INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    connection.execute("CREATE TRIGGER file_outline AFTER DELETE ON file BEGIN DELETE FROM outline WHERE file = OLD.id; END")


#: How an archive of an older version becomes one of the next: version -> what turns it into version + 1. A step is never changed again.
UPGRADES: Final[Mapping[int, Callable[[sqlite3.Connection], None]]] = {1: _to_2, 2: _to_3}


def prepare(connection: sqlite3.Connection, folder: str) -> None:
    """Makes the tables, or brings an older archive up to date, all or nothing. Raises Fatal for one that is newer than this program."""
    found = version_of(connection)
    if found == VERSION:
        return
    check_version(found, folder, VERSION)
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = version_of(connection)  # another process may have been quicker
        if found == 0:
            for statement in TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO state VALUES (?, ?)", (IDENTITY, secrets.randbits(62)))
        for step in range(found or VERSION, VERSION):
            UPGRADES[step](connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def version_of(connection: sqlite3.Connection) -> int:
    """0 when there are no tables yet."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def check_version(found: int, folder: str, known: int = VERSION) -> None:
    """Raises Fatal."""
    if found > known:
        raise Fatal(
            f"the archive in {folder} has format {found}, this version of Tocsin reads formats 1 to {known}; "
            "run it with the version that wrote it or a newer one"
        )
