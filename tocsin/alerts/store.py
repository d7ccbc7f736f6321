"""The alerts view on disk: tables that follow the ALERTS stream message by message, with their position in the same transaction.

A change is shown from memory as soon as it is taken in, because it is durable in the journal already; the tables are written a
little later, many changes at a time, and before anybody reads them. Several processes may follow the stream into the same tables: each
transaction goes on from the position it knows or not at all, and what somebody else has written already is left out (decision 0025).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

import sqlalchemy as sa

from tocsin.kernel.fault import Fatal

from .address import parsed
from .changes import Changes
from .database import AFTER, Away, Busy, Contradiction, Database, sqlite
from .fold import Fold, Message, Row, alert_of
from .memory import Memory
from .prepare import NAME, Position, prepare
from .tables import POSITION, metadata
from .unwritten import Unwritten

log = logging.getLogger(__name__)
# Made once: building a statement costs more than running it.
_HERE = POSITION.c.name == NAME
_MOVE = (
    sa.update(POSITION).where(_HERE, POSITION.c.seq == sa.bindparam("before")).values(seq=sa.bindparam("at"), heard=sa.bindparam("then"))
)
_NAMED = sa.update(POSITION).where(_HERE).values(stream=sa.bindparam("made"))
_SEQ = sa.select(POSITION.c.seq).where(_HERE)
_RESET = sa.update(POSITION).where(_HERE).values(seq=0, heard=0)
_NO_HURRY = sa.text("SET LOCAL statement_timeout = 0")
#: Seconds a reader waits while somebody else writes.
_PATIENCE = 10.0
#: Times a process makes tables anew that contradict the stream; then a person has to look.
_REPAIRS = 3
#: Transactions in a row that may come too late because another process was faster.
_RACES = 20


class Rewound(Exception):
    """The tables have gone back (restored, emptied by another process, made anew): the stream must be read from `start` again."""


class AlertStore:
    """Applies the stream. Idempotent by sequence number; one thread takes in, any may write and read.

    `position`: stream sequence taken in and shown. `turn`: counts how often the tables have gone back. `changes`: the newest changes in
    memory. `unreadable`: messages left out since start because they were not alerts or transitions at all. `problem`: why the
    tables cannot be written now, empty when they can; `faults`: how often that began. While there is one, nothing that needs the tables is
    answered (`Away`), and what can be told without them is.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.engine = database.engine
        self.turn = self.position = self.heard = self.unreadable = self.faults = 0
        self.problem = ""
        self.stream = ""
        self.written_at = time.monotonic()
        self._stored = 0  # position of the tables as this process knows it
        self._prepared = False
        self._repairs = _REPAIRS
        self._ask_again = 0.0  # while there is a problem: when the next reader may try
        self._lock = Lock()  # held for moments: over what is in memory
        self._writing = Lock()  # held while the tables are written
        self._waiting = Unwritten()
        self._leaving = Unwritten()  # what is being written
        self._memory = Memory()
        self.changes = Changes(0)
        try:
            self._recover()
        except (Away, Busy) as fault:
            if not database.shared:
                raise
            self._trouble(fault)

    @classmethod
    def open(cls, url: str, city: str = "") -> AlertStore:
        """A SQLite file, or PostgreSQL, which need not be there yet. Raises Misconfigured for an address that cannot be used."""
        if url.startswith("sqlite:"):
            return cls(sqlite(url))
        from .postgres import postgres

        return cls(postgres(parsed(url, "state", may_be_secret=True), city))

    @property
    def unwritten(self) -> int:
        """Rows that are shown and not yet in the tables."""
        return len(self._waiting) + len(self._leaving)

    def knows(self, messages: Iterable[Message]) -> bool:
        """Whether they can be taken in without asking the tables."""
        return self._memory.has({alert_of(subject, content) for _, subject, content in messages})

    def take(self, messages: Iterable[Message], turn: int | None = None) -> int:
        """Takes them in, to be shown and written. Returns the new position. `turn`: in which they were read. Raises Rewound when that is
        over, Away and Busy when the tables must be asked and cannot be; nothing is taken in then."""
        messages = list(messages)
        if not self._prepared:
            self.write()
        while True:
            with self._lock:
                if turn is not None and turn != self.turn:
                    raise Rewound
                fresh = [message for message in messages if message[0] > self.position]
                if not fresh:
                    return self.position
                fold = Fold(self._rows, self.position, self.heard)
                ahead = False
                try:
                    fold.run(fresh)
                except _Ahead:
                    ahead = True
                if not ahead:
                    self._waiting.add(fold)
                    self._memory.keep(fold.changed)
                    self.changes.add(fold.changed, fold.contents)
                    self.position, self.heard = fold.position, fold.heard
                    self.unreadable += fold.unreadable
                    return self.position
            with self._exclusive():
                self._recover()

    def write(self) -> None:
        """Writes what was taken in, in one transaction. When that fails it is kept for the next time, and the fault is raised."""
        with self._exclusive():
            try:
                if self.problem or not self._prepared:
                    self._recover()
                for _ in range(_RACES):
                    if self._written():
                        break
                    self._recover()
                else:
                    raise Busy(f"{self.database.words}: other processes keep writing it", AFTER)
            except (Away, Busy) as fault:
                self._trouble(fault)
                if isinstance(fault, Contradiction) and self._repairs > 0:
                    self._repairs -= 1
                    log.error("alerts view: %s: its tables contradict the alerts stream; reading it again", self.database.words)
                    self._empty()
                    self.turn += 1
                raise
            if self.problem:
                log.warning("alerts view: %s can be written again", self.database.words)
            self.problem = ""
            self.written_at = time.monotonic()

    def _written(self) -> bool:
        """One transaction with what waits; False when the tables are not where this process left them."""
        with self._lock:
            leaving, self._leaving, self._waiting = self._waiting, self._waiting, Unwritten()
            before = self._stored
        done = False
        try:
            if not leaving.position:
                done = True
                return True
            with self.database.writing() as db:
                moved = db.execute(_MOVE, {"before": before, "at": leaving.position, "then": leaving.heard})
                if moved.rowcount == 1:
                    leaving.write(db)
                    done = True
            return done
        except BaseException:
            done = False
            raise
        finally:
            with self._lock:
                if done:
                    self._stored = leaving.position or self._stored
                else:
                    leaving.follow(self._waiting)
                    self._waiting = leaving
                self._leaving = Unwritten()

    def apply(self, messages: Iterable[Message]) -> int:
        """Takes them in and writes them at once. Returns the new position."""
        self.take(messages)
        self.write()
        return self.position

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees everything that is shown. Raises Away and Busy."""
        if self.problem and time.monotonic() < self._ask_again:
            raise Away(self.problem, AFTER)
        self.write()
        try:
            with self.database.reading() as db:
                if self.database.shared and _seq(db) < self._stored:  # emptied or restored by somebody else
                    with self._exclusive():
                        self._recover()
                yield db
        except Away as fault:
            self._trouble(fault)
            raise

    def _recover(self) -> None:
        """Takes up the tables as they are, and goes on from their position. Raises Away, Busy, Fatal."""
        self._ask_again = float("inf")
        try:
            with self.database.writing() as db:
                found = prepare(db, self.database)
                names = Memory.names(db)
        finally:
            self._ask_again = time.monotonic() + 2 * AFTER
        with self._lock:
            self._prepared = True
            self.stream = found.stream
            self._take_up(found, names)

    def _take_up(self, found: Position, names: set[str] | None) -> None:
        if self._stored <= found.seq <= self.position:
            if found.seq > self._stored:
                self._waiting = self._waiting.after(found.seq)
            self._memory.all_names = self._memory.all_names if self.position else names
        else:
            if found.seq < self._stored:
                log.warning("alerts view: %s has gone back from %d to %d", self.database.words, self._stored, found.seq)
                self.turn += 1
            self.position, self.heard = found.seq, found.heard
            self._waiting = Unwritten()
            self._memory.forget(names)
            self.changes.start(found.seq)
        self._stored = found.seq

    def _trouble(self, fault: Away | Busy) -> None:
        if not self.problem:
            self.faults += 1
            log.warning("alerts view: the tables cannot be written, and are behind: %s", fault)
        self.problem = str(fault)
        self._ask_again = time.monotonic() + 2 * AFTER

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Only one thread at a time. Raises Busy when another one is not done in time."""
        if not self._writing.acquire(timeout=_PATIENCE):
            raise Busy(f"{self.database.words}: still being written", AFTER)
        try:
            yield
        finally:
            self._writing.release()

    def _rows(self, names: set[str]) -> dict[str, Row]:
        """Rows of the alerts table by id, as they are or will be."""
        found, missing = self._memory.rows(names, self._waiting.alerts, self._leaving.alerts)
        if missing:
            if self.problem and time.monotonic() < self._ask_again:
                raise Away(self.problem, AFTER)
            try:
                with self.database.reading() as db:
                    if self.database.shared and _seq(db) > self.position:
                        raise _Ahead
                    found |= Memory.find(db, missing)
            except Away as fault:
                self._trouble(fault)
                raise
        return found

    def start(self, last_seq: int, stream: str = "", position: int | None = None) -> int:
        """The sequence to read the stream from. `last_seq`: the stream's newest; a view that is ahead of it belongs to another
        stream and is emptied. `stream`: when it was made; tables of another one are emptied, too, unless others may be writing them. `position`: of
        the view before `last_seq` was asked, where others may have moved it since. Raises Fatal for tables of another journal, Away, Busy."""
        if not self._prepared:
            self.write()
        other = bool(stream and self.stream and stream != self.stream)
        if other and self.database.shared:
            raise Fatal(self._of_another_journal(stream))
        if other or (self.position if position is None else position) > last_seq:
            log.warning("alerts view: it is at %d, the alerts stream ends at %d; reading the stream again", self.position, last_seq)
            self.forget()
        if stream != self.stream and stream:
            with self._exclusive(), self.database.writing() as db:
                db.execute(_NAMED, {"made": stream})
            self.stream = stream
        return self.position + 1

    def _of_another_journal(self, stream: str) -> str:
        return (
            f"the state store {self.database.words} follows another journal, whose alerts began {self.stream}; this node's began {stream}. "
            "If that journal is gone for good, drop the schema and this node makes it anew; "
            "otherwise give this node tables of its own with ?schema=NAME in the address"
        )

    def forget(self) -> None:
        """Empties the view, to read the stream again from its first message."""
        with self._exclusive():
            self._empty()

    def _empty(self) -> None:
        with self._lock, self.database.writing() as db:
            if self.database.shared:
                db.execute(_NO_HURRY)
            db.execute(_RESET)  # first: whoever writes next waits for this
            for table in metadata.sorted_tables:
                if table is not POSITION:
                    db.execute(sa.delete(table))
            self._waiting = Unwritten()
            self._memory.forget(set())
            self.position = self.heard = self._stored = 0
            self.changes.start(0)

    def close(self) -> None:
        self.database.close()


def _seq(db: sa.Connection) -> int:
    return db.execute(_SEQ).scalar() or 0


class _Ahead(Exception):
    """The tables have what this process has not taken in yet: another one was faster."""
