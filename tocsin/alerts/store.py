"""The alerts view on disk: tables that follow the ALERTS stream message by message, with their position in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from .lifecycle import ENGINE, after_engine, allowed, owner_after

metadata = sa.MetaData()
ALERTS = sa.Table(
    "alert",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("owner", sa.String),
    sa.Column("changed", sa.BigInteger, nullable=False),  # ALERTS stream sequence of the last change
    sa.Index("alert_known_at", "known_at", "id"),
    sa.Index("alert_changed", "changed"),
)
REVISIONS = sa.Table(
    "revision",
    metadata,
    sa.Column("alert", sa.String, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # the Alert as journaled
)
HISTORY = sa.Table(
    "history",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("alert", sa.String, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("from_state", sa.String),
    sa.Column("to_state", sa.String, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("note", sa.String, nullable=False),
    sa.Column("owner", sa.String),
    sa.Index("history_alert", "alert", "seq"),
)
POSITION = sa.Table("position", metadata, sa.Column("name", sa.String, primary_key=True), sa.Column("seq", sa.BigInteger, nullable=False))

#: (stream sequence, subject, content) as `journal.alerts.read_alerts` gives them.
Message = tuple[int, str, Mapping[str, Any]]


class AlertStore:
    """Applies the stream. Idempotent by sequence number; one thread writes, any may read."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        metadata.create_all(engine)
        with engine.connect() as db:
            self.position = db.execute(sa.select(POSITION.c.seq).where(POSITION.c.name == "alerts")).scalar() or 0

    @classmethod
    def open(cls, url: str) -> AlertStore:
        """SQLite gets WAL and full sync; any other SQLAlchemy URL is taken as it is."""
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _durable)
        return cls(engine)

    def apply(self, messages: Iterable[Message]) -> int:
        """One transaction for all of them. Returns the new position."""
        position = self.position
        with self.engine.begin() as db:
            for seq, subject, content in messages:
                if seq <= position:
                    continue
                position = seq
                if subject.startswith("alert."):
                    _revision(db, seq, content)
                elif subject.startswith("transition."):
                    _transition(db, seq, content)
            if position > self.position:
                db.execute(sa.delete(POSITION).where(POSITION.c.name == "alerts"))
                db.execute(sa.insert(POSITION).values(name="alerts", seq=position))
        self.position = position
        return position

    def forget(self) -> None:
        """Empties the view, to read the stream again from its first message."""
        with self.engine.begin() as db:
            for table in metadata.sorted_tables:
                db.execute(sa.delete(table))
        self.position = 0

    def close(self) -> None:
        self.engine.dispose()


def _durable(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _revision(db: Connection, seq: int, content: Mapping[str, Any]) -> None:
    known = db.execute(sa.select(ALERTS.c.revision, ALERTS.c.state).where(ALERTS.c.id == content["id"])).first()
    if known is not None and content["revision"] <= known.revision:
        return  # told twice around a crash
    state = after_engine(known.state if known else None, content["status"])
    row = {
        "rule": content["rule"],
        "severity": content["severity"],
        "known_at": content["known_at"],
        "revision": content["revision"],
        "state": state,
        "changed": seq,
    }
    body = orjson.dumps(content)
    db.execute(sa.insert(REVISIONS).values(alert=content["id"], revision=content["revision"], at=content["updated"], body=body))
    if known is None:
        db.execute(sa.insert(ALERTS).values(id=content["id"], owner=None, **row))
    else:
        db.execute(sa.update(ALERTS).where(ALERTS.c.id == content["id"]).values(**row))
    if known is None or state != known.state:
        note = content["headline"] if known is None else content["reasons"][-1] if content["reasons"] else ""
        _note(db, seq, content["id"], content["updated"], known.state if known else None, state, ENGINE, note, None)


def _transition(db: Connection, seq: int, content: Mapping[str, Any]) -> None:
    known = db.execute(sa.select(ALERTS.c.state, ALERTS.c.owner).where(ALERTS.c.id == content["alert"])).first()
    if known is None or not allowed(known.state, content["to"]):
        return  # not possible any more when the journal took it
    owner = owner_after(known.owner, content["to"], content["by"], content.get("owner"))
    db.execute(sa.update(ALERTS).where(ALERTS.c.id == content["alert"]).values(state=content["to"], owner=owner, changed=seq))
    _note(db, seq, content["alert"], content["at"], known.state, content["to"], content["by"], content.get("note", ""), owner)


def _note(db: Connection, seq: int, alert: str, at: int, before: str | None, to: str, by: str, note: str, owner: str | None) -> None:
    db.execute(sa.insert(HISTORY).values(seq=seq, alert=alert, at=at, from_state=before, to_state=to, by=by, note=note, owner=owner))
