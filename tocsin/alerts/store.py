"""The alerts view on disk: tables that follow the ALERTS stream message by message, with their position in the same transaction.

A change is shown from memory as soon as it is taken in, because it is durable in the journal already; the tables are written a
little later, many changes at a time, and before anybody reads them.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Engine, event

from .changes import Changes
from .fold import Fold, Message, Row
from .tables import ALERTS, POSITION, fingerprint, metadata
from .unwritten import Unwritten, overlay

log = logging.getLogger(__name__)
_NAME = "alerts"
# Made once: building a statement costs more than running it.
_MOVE = sa.update(POSITION).where(POSITION.c.name == _NAME).values(seq=sa.bindparam("at"), heard=sa.bindparam("then"))
_FIND = sa.select(ALERTS).where(ALERTS.c.id.in_(sa.bindparam("wanted", expanding=True)))
_IN_LIST: Final = 500  # parameters of one query
#: Rows kept in memory, so that the next change of an alert needs no query.
_KEPT: Final = 4000


class AlertStore:
    """Applies the stream. Idempotent by sequence number; one thread takes in, any may write and read.

    `position`: stream sequence taken in and shown. `changes`: the newest changes in memory. `unreadable`: messages left out since start
    because they were not alerts or transitions at all.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.position = 0
        self.heard = 0
        self.unreadable = 0
        self._lock = Lock()  # held for moments: over what is in memory
        self._writing = Lock()  # held while the tables are written
        self._waiting = Unwritten()
        self._leaving = Unwritten()  # what is being written
        self._kept: OrderedDict[str, Row] = OrderedDict()
        self._prepare()
        self.changes = Changes(self.position)

    @classmethod
    def open(cls, url: str) -> AlertStore:
        """SQLite gets WAL and full sync, and is made anew when its file is damaged; any other SQLAlchemy URL is taken as it is."""
        engine = sa.create_engine(url)
        if engine.dialect.name != "sqlite":
            return cls(engine)
        event.listen(engine, "connect", _durable)
        if _sound(engine):
            return cls(engine)
        engine.dispose()
        _set_aside(Path(engine.url.database or ""))
        return cls(engine)

    def _prepare(self) -> None:
        """Takes up the position; tables of another version are dropped and the stream is read again."""
        with self.engine.begin() as db:
            known = sa.inspect(db).get_table_names()
            if known and not _current(db, known):
                log.warning("alerts view: its tables are of another version; reading the alerts stream again")
                stale = sa.MetaData()
                stale.reflect(db)
                stale.drop_all(db)
            metadata.create_all(db)
            row = db.execute(sa.select(POSITION).where(POSITION.c.name == _NAME)).first()
            if row is None:
                db.execute(sa.insert(POSITION).values(name=_NAME, seq=0, heard=0, tables=fingerprint()))
            else:
                self.position, self.heard = row.seq, row.heard

    @property
    def unwritten(self) -> int:
        """Rows that are shown and not yet in the tables."""
        return len(self._waiting) + len(self._leaving)

    def take(self, messages: Iterable[Message]) -> int:
        """Takes them in, to be shown and written. Returns the new position."""
        with self._lock:
            fresh = [message for message in messages if message[0] > self.position]
            if not fresh:
                return self.position
            fold = Fold(self._rows, self.position, self.heard)
            fold.run(fresh)
            self._waiting.add(fold)
            self._keep(fold.changed)
            self.changes.add(fold.changed, fold.contents)
            self.position, self.heard = fold.position, fold.heard
            self.unreadable += fold.unreadable
            return self.position

    def write(self) -> None:
        """Writes what was taken in, in one transaction. When that fails it is kept for the next time, and the fault is raised."""
        with self._writing:
            with self._lock:
                leaving, self._leaving, self._waiting = self._waiting, self._waiting, Unwritten()
            try:
                if leaving.position:
                    with self.engine.begin() as db:
                        leaving.write(db)
                        self._save(db, leaving.position, leaving.heard)
            except BaseException:
                with self._lock:
                    leaving.follow(self._waiting)
                    self._waiting, self._leaving = leaving, Unwritten()
                raise
            with self._lock:
                self._leaving = Unwritten()

    def apply(self, messages: Iterable[Message]) -> int:
        """Takes them in and writes them at once. Returns the new position."""
        self.take(messages)
        self.write()
        return self.position

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees everything that is shown."""
        self.write()
        with self.engine.connect() as db:
            yield db

    def _rows(self, names: set[str]) -> dict[str, Row]:
        """Rows of the alerts table by id, as they are or will be."""
        found = overlay(names, self._waiting.alerts, self._leaving.alerts, self._kept)
        missing = sorted(names - found.keys())
        if missing:
            with self.engine.connect() as db:
                for start in range(0, len(missing), _IN_LIST):
                    rows = db.execute(_FIND, {"wanted": missing[start : start + _IN_LIST]}).mappings()
                    found |= {row["id"]: dict(row) for row in rows}
        return found

    def _keep(self, rows: dict[str, Row]) -> None:
        for name, row in rows.items():
            self._kept[name] = row
            self._kept.move_to_end(name)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def start(self, last_seq: int) -> int:
        """The sequence to read the stream from. `last_seq`: the stream's newest; a view that is ahead of it belongs to another
        stream and is emptied."""
        if self.position > last_seq:
            log.warning("alerts view: it is at %d, the alerts stream ends at %d; reading the stream again", self.position, last_seq)
            self.forget()
        return self.position + 1

    def forget(self) -> None:
        """Empties the view, to read the stream again from its first message."""
        with self._writing, self._lock, self.engine.begin() as db:
            self._waiting = Unwritten()
            self._kept.clear()
            for table in metadata.sorted_tables:
                if table is not POSITION:
                    db.execute(sa.delete(table))
            self._save(db)
        self.position = self.heard = 0
        self.changes.start(0)

    @staticmethod
    def _save(db: sa.Connection, position: int = 0, heard: int = 0) -> None:
        db.execute(_MOVE, {"at": position, "then": heard})

    def close(self) -> None:
        self.engine.dispose()


def _durable(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _current(db: sa.Connection, known: Sequence[str]) -> bool:
    if POSITION.name not in known or {column["name"] for column in sa.inspect(db).get_columns(POSITION.name)} != set(POSITION.c.keys()):
        return False
    return db.execute(sa.select(POSITION.c.tables)).scalars().all() == [fingerprint()]


def _sound(engine: Engine) -> bool:
    try:
        with engine.connect() as db:
            return bool(db.execute(sa.text("PRAGMA quick_check")).scalar() == "ok")
    except sa.exc.DatabaseError as error:
        if "locked" in str(error):
            raise
        return False


def _set_aside(path: Path) -> None:
    log.error("alerts view: %s is damaged; it is kept as %s.damaged and made anew from the alerts stream", path, path.name)
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{suffix}"))
