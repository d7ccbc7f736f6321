"""The tables of the alerts view. They hold nothing that is not in the ALERTS stream, and follow its order."""

from __future__ import annotations

import hashlib
from functools import cache

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

metadata = sa.MetaData()

#: One row per alert, as it is now.
ALERTS = sa.Table(
    "alert",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("status", sa.String, nullable=False),  # the engine's last word
    sa.Column("closed", sa.Boolean, nullable=False),  # by its own rule, says the engine
    sa.Column("by_rule", sa.Boolean, nullable=False),  # that is why it is resolved
    sa.Column("parent", sa.String),  # the alert it is shown under
    sa.Column("state", sa.String, nullable=False),
    sa.Column("owner", sa.String),
    sa.Column("changed", sa.BigInteger, nullable=False),  # stream sequence of the last change
    sa.Index("alert_known_at", "known_at", "id"),
    sa.Index("alert_changed", "changed"),
    sa.Index("alert_state", "state", "known_at", "id"),
    sa.Index("alert_parent", "parent"),
)

#: Everything the engine ever said. `heard`: the latest city time (µs) in the stream up to this message.
REVISIONS = sa.Table(
    "revision",
    metadata,
    sa.Column("alert", sa.String, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # the Alert as journaled
)

#: Every change of state, by the engine or by people. `at`: as written in the message.
HISTORY = sa.Table(
    "history",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("alert", sa.String, nullable=False),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("from_state", sa.String),
    sa.Column("to_state", sa.String, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("note", sa.String, nullable=False),
    sa.Column("owner", sa.String),
    sa.Index("history_alert", "alert", "seq"),
)

#: How far the stream is applied, and the fingerprint of these tables.
POSITION = sa.Table(
    "position",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("tables", sa.String, nullable=False),
)


@cache
def fingerprint() -> str:
    """Changes when a table changes: a view of other tables is read anew from the stream instead of migrated."""
    text = "\n".join(str(CreateTable(table)) for table in metadata.sorted_tables)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
