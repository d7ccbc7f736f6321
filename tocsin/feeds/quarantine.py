"""Where records wait that could not be decoded: with the reason and the raw bytes, listed and retried by people.

SQLite in WAL mode with full sync. Bounded per feed and in total, oldest out first, so a feed that sends garbage pushes out
only its own. The same record rejected for the same reason is one row that counts. Rows of feeds with personal fields are
sealed whole (bytes, reason and place: a reason may quote the record) and live a day.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tocsin.kernel.fault import Retriable
from tocsin.model.time import DAY

from .admission import MB
from .contract import Reject
from .limits import KEPT_OF_LARGER, MAX_MESSAGE
from .sealing import Seal

log = logging.getLogger(__name__)
T = TypeVar("T")

KEEP: Final = 30 * DAY
KEEP_PERSONAL: Final = DAY
PAGE: Final = 4096
ROW_COST: Final = 256  # bytes of a row besides its raw bytes
ROWS_AT_ONCE: Final = 500

WAITING, RETRIED = "waiting", "retried"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (
  id TEXT PRIMARY KEY,
  feed TEXT NOT NULL,
  received INTEGER NOT NULL,  -- city time, microseconds
  stored INTEGER NOT NULL,    -- wall time, microseconds: order and expiry
  expires INTEGER NOT NULL,   -- wall time, microseconds
  seen INTEGER NOT NULL,      -- how often the same record came
  size INTEGER NOT NULL,      -- bytes of the record as it came
  state TEXT NOT NULL,        -- waiting, retried
  sealed INTEGER NOT NULL,
  body BLOB                   -- MessagePack of Body, sealed when sealed = 1; NULL once retried
) STRICT;
CREATE INDEX IF NOT EXISTS record_feed ON record (feed, stored);
CREATE INDEX IF NOT EXISTS record_expires ON record (expires);
"""
COLUMNS: Final = "id, feed, received, stored, expires, seen, size, state, sealed, body"


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What may hold personal fields, kept together so that it is sealed together."""

    raw: bytes
    reason: str
    where: str
    origin: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in quarantine. `received` in city time, `expires` in wall time, microseconds. `raw`: None in lists, once it
    was retried, or when the key that sealed it is gone. `whole`: False when only the beginning was kept."""

    id: str
    feed: str
    received: int
    expires: int
    seen: int
    size: int
    state: str
    personal: bool
    reason: str
    where: str
    origin: str
    content_type: str
    raw: bytes | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rejects of one message, on their way into the quarantine. `keep`: at most this long, microseconds."""

    feed: str
    personal: bool
    keep: int
    received: int
    rejects: Sequence[Reject]
    origin: str = ""
    content_type: str = ""


class Quarantine:
    """One database, one writing thread. Every method raises `Retriable` when the database cannot do it now (disk full)."""

    def __init__(
        self,
        path: Path,
        seal: Seal,
        per_feed: int = 64 * MB,
        total: int = 256 * MB,
        rows_per_feed: int = 10_000,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.path = path
        self.per_feed, self.total, self.rows_per_feed = per_feed, total, rows_per_feed
        self.dropped: dict[str, int] = {}  # records pushed out by the bounds, per feed
        self._unchecked: dict[str, int] = {}  # bytes written since the bounds of a feed were last enforced
        self._wall = wall
        self._seal = seal
        path.parent.mkdir(parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(1, "quarantine")
        self._db = self._thread.submit(self._open).result()

    async def put(self, rejected: Rejected) -> None:
        """Returns when the rejects are durable. Of more than a feed may have, the last ones stay."""
        kept = rejected.rejects[-self.rows_per_feed :]
        self._drop(rejected.feed, len(rejected.rejects) - len(kept))
        for start in range(0, len(kept), ROWS_AT_ONCE):  # in between, the other feeds have their turn
            part = replace(rejected, rejects=kept[start : start + ROWS_AT_ONCE])
            await self._run(lambda db, part=part: self._put(db, part))  # type: ignore[misc]

    async def list(self, feed: str | None = None, limit: int = 100) -> list[Entry]:
        """Newest first, without the raw bytes."""
        sql = f"SELECT {COLUMNS} FROM record WHERE (?1 IS NULL OR feed = ?1) AND expires > ?2 ORDER BY stored DESC, id LIMIT ?3"  # noqa: S608
        return await self._run(lambda db: [self._entry(row, with_raw=False) for row in db.execute(sql, (feed, self._wall(), limit))])

    async def get(self, record: str) -> Entry | None:
        sql = f"SELECT {COLUMNS} FROM record WHERE id = ? AND expires > ?"  # noqa: S608
        row = await self._run(lambda db: db.execute(sql, (record, self._wall())).fetchone())
        return None if row is None else self._entry(row, with_raw=True)

    async def done(self, record: str) -> None:
        """The record was decoded after all: its bytes are erased, the row stays until it expires."""

        def erase(db: sqlite3.Connection) -> None:
            db.execute("UPDATE record SET state = ?, body = NULL WHERE id = ?", (RETRIED, record))

        await self._run(erase)

    async def amend(self, record: str, reason: str, where: str) -> None:
        """The record was retried and is still rejected, perhaps for another reason."""

        def change(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT feed, sealed, body FROM record WHERE id = ? AND body IS NOT NULL", (record,)).fetchone()
            if row is not None:
                feed, sealed, stored = row
                old = self._body(record, feed, bool(sealed), stored)
                body = self._encode(record, feed, bool(sealed), Body(old.raw, reason, where, old.origin, old.content_type))
                db.execute("UPDATE record SET body = ? WHERE id = ?", (body, record))

        await self._run(change)

    async def purge(self) -> int:
        """Deletes what has expired, also from the write-ahead log. Returns the number of records."""

        def delete(db: sqlite3.Connection) -> int:
            return db.execute("DELETE FROM record WHERE expires <= ?", (self._wall(),)).rowcount

        gone = await self._run(delete)
        if gone:
            await self._run(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        return gone

    async def counts(self) -> dict[str, int]:
        """Records waiting, per feed."""
        sql = "SELECT feed, count(*) FROM record WHERE state = ? AND expires > ? GROUP BY feed"
        return dict(await self._run(lambda db: db.execute(sql, (WAITING, self._wall())).fetchall()))

    def close(self) -> None:
        self._thread.submit(self._db.close).result()
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """In the writing thread, as one transaction."""

        def transaction() -> T:
            with self._db:
                return work(self._db)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        except sqlite3.Error as error:
            raise Retriable(f"the quarantine cannot be written or read now: {error} ({self.path.name})", 5.0) from error

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
            # Feeds go on: the broken file is kept beside the new one for whoever wants to look into it.
            broken = self.path.with_suffix(f".broken-{self._wall()}")
            log.error("%s cannot be read (%s); kept as %s, starting empty", self.path.name, error, broken.name)
            for name in (self.path, *(self.path.with_name(self.path.name + tail) for tail in ("-wal", "-shm"))):
                if name.exists():
                    name.rename(broken.with_name(name.name.replace(self.path.name, broken.name)))
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=5.0, check_same_thread=False)
        try:
            self.path.chmod(0o600)
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "secure_delete = ON",
                f"max_page_count = {2 * self.total // PAGE + 64}",
            ):
                db.execute(f"PRAGMA {pragma}")
            db.executescript(SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _put(self, db: sqlite3.Connection, rejected: Rejected) -> None:
        now = self._wall()
        expires = now + min(rejected.keep, KEEP_PERSONAL if rejected.personal else KEEP)
        db.executemany(
            f"INSERT INTO record ({COLUMNS}) VALUES (?, ?, ?, ?, ?, 1, ?, '{WAITING}', ?, ?) "  # noqa: S608
            f"ON CONFLICT (id) DO UPDATE SET seen = seen + 1, received = excluded.received, stored = excluded.stored, "
            f"expires = excluded.expires, body = excluded.body, state = '{WAITING}'",
            self._rows(rejected, now, expires),
        )
        # Measuring what a feed holds reads all its rows, so it is done once per sixteenth of the bound.
        written = self._unchecked.get(rejected.feed, self.per_feed) + sum(len(reject.raw) + ROW_COST for reject in rejected.rejects)
        if written * 16 > min(self.per_feed, self.rows_per_feed * ROW_COST):
            self._make_room(db, rejected.feed)
            written = 0
        self._unchecked[rejected.feed] = written

    def _encode(self, name: str, feed: str, sealed: bool, body: Body) -> bytes:
        clear = msgspec.msgpack.encode(body)
        return self._seal.close(clear, f"{name} {feed}") if sealed else clear

    def _rows(self, rejected: Rejected, now: int, expires: int) -> Iterable[tuple[Any, ...]]:
        for reject in rejected.rejects:
            name = self._seal.name(rejected.feed.encode(), reject.raw, reject.reason.encode())
            raw = reject.raw if len(reject.raw) <= MAX_MESSAGE else reject.raw[:KEPT_OF_LARGER]
            body = Body(raw, reject.reason, reject.where, rejected.origin, rejected.content_type)
            stored = self._encode(name, rejected.feed, rejected.personal, body)
            size = reject.size or len(reject.raw)
            yield name, rejected.feed, rejected.received, now, expires, size, int(rejected.personal), stored

    def _make_room(self, db: sqlite3.Connection, feed: str) -> None:
        """Pushes out the oldest records of `feed` over its bounds, then of the largest feed over the total."""
        self._shrink(db, feed, self.per_feed, self.rows_per_feed)
        held = dict(db.execute("SELECT feed, coalesce(sum(length(body)), 0) FROM record GROUP BY feed").fetchall())
        while sum(held.values()) > self.total:
            largest = max(held, key=lambda name: held[name])
            room = max(0, held[largest] - (sum(held.values()) - self.total))
            self._shrink(db, largest, room, self.rows_per_feed)
            held[largest] = room

    def _shrink(self, db: sqlite3.Connection, feed: str, room: int, rows: int) -> None:
        gone = db.execute(
            "DELETE FROM record WHERE id IN (SELECT id FROM (SELECT id, sum(coalesce(length(body), 0)) OVER newest AS bytes, "
            "row_number() OVER newest AS place FROM record WHERE feed = ?1 WINDOW newest AS (ORDER BY stored DESC, id)) "
            "WHERE bytes > ?2 OR place > ?3)",
            (feed, room, rows),
        ).rowcount
        self._drop(feed, gone)

    def _drop(self, feed: str, count: int) -> None:
        if count:
            self.dropped[feed] = self.dropped.get(feed, 0) + count

    def _entry(self, row: tuple[Any, ...], with_raw: bool) -> Entry:
        name, feed, received, _, expires, seen, size, state, sealed, stored = row
        body = self._body(name, feed, bool(sealed), stored)
        whole = stored is None or len(body.raw) == size
        raw = body.raw if with_raw and stored is not None else None
        return Entry(
            name,
            feed,
            received,
            expires,
            seen,
            size,
            state,
            bool(sealed),
            body.reason,
            body.where,
            body.origin,
            body.content_type,
            raw,
            whole,
        )

    def _body(self, name: str, feed: str, sealed: bool, stored: bytes | None) -> Body:
        if stored is None:
            return Body(b"", "", "", "", "")
        clear = self._seal.open(stored, f"{name} {feed}") if sealed else stored
        if clear is None:
            return Body(b"", "sealed with a key that is not in the data directory any more", "", "", "")
        return msgspec.msgpack.decode(clear, type=Body)
