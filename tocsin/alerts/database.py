"""The databases that can hold the alerts view: a SQLite file of one machine, or PostgreSQL that several share. Their faults in plain words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Engine, event

from tocsin.kernel.fault import Retriable

log = logging.getLogger(__name__)

#: Seconds before somebody asks again.
AFTER: Final = 2.0
#: SQLSTATE: a statement ran out of its time, a lock was not given in time. The database is there all the same.
_BUSY: Final = frozenset({"57014", "55P03", "40001", "40P01"})


class Away(Retriable):
    """The database cannot be reached or written. Nothing is lost: the journal has everything."""


class Contradiction(Away):
    """The tables hold something that the stream does not say: somebody has written into them."""


class Busy(Retriable):
    """The database did not answer this one question in time."""


@dataclass(frozen=True, slots=True)
class Database:
    """`schema`: where the tables are, None where there is no such thing. `shared`: other machines may write the same tables. `words`: how
    people are told which database it is; holds no password."""

    engine: Engine
    schema: str | None
    shared: bool
    words: str

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction. Raises Away and Busy."""
        with self.faults(), self.engine.begin() as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One look: everything that is read through the connection is of the same moment. Raises Away and Busy."""
        with self.faults(), self.engine.connect() as db:
            if self.shared:
                db = db.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)  # noqa: PLW2901
            yield db

    @contextmanager
    def faults(self) -> Iterator[None]:
        """What the driver raises, as a fault without statements, parameters or passwords."""
        try:
            yield
        except sa.exc.IntegrityError as error:
            raise Contradiction(f"{self.words}: {_first_line(error.orig)}", AFTER) from None
        except sa.exc.DBAPIError as error:
            kind = Busy if getattr(error.orig, "sqlstate", None) in _BUSY else Away
            raise kind(f"{self.words}: {_first_line(error.orig)}", AFTER) from None
        except sa.exc.TimeoutError:
            raise Busy(f"{self.words}: all its connections are in use", AFTER) from None

    def close(self) -> None:
        self.engine.dispose()


def _first_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def sqlite(url: str) -> Database:
    """WAL and full sync; a file that is damaged is set aside and made anew."""
    engine = sa.create_engine(url)
    event.listen(engine, "connect", _durable)
    database = Database(engine, None, False, Path(engine.url.database or "memory").name)
    if not _sound(engine):
        engine.dispose()
        _set_aside(Path(engine.url.database or ""))
    return database


def _durable(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


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
