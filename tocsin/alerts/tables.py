"""The tables of the alerts view. They hold nothing that is not in the ALERTS stream, and follow its order. On SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlalchemy as sa

#: Raised with every change of these tables: in a database that several nodes share, an older program must not take a newer one's tables down.
VERSION = 2

#: Text that is compared byte by byte everywhere, whatever the language of a database is.
TEXT = sa.String().with_variant(sa.Text(collation="C"), "postgresql")

metadata = sa.MetaData()

#: One row per alert, as it is now.
ALERTS = sa.Table(
    "alert",
    metadata,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("rule", TEXT, nullable=False),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("status", TEXT, nullable=False),  # the engine's last word
    sa.Column("closed", sa.Boolean, nullable=False),  # by its own rule, says the engine
    sa.Column("by_rule", sa.Boolean, nullable=False),  # that is why it is resolved
    sa.Column("parent", TEXT),  # the alert it is shown under
    sa.Column("state", TEXT, nullable=False),
    sa.Column("owner", TEXT),
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
    sa.Column("alert", TEXT, primary_key=True),
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
    sa.Column("alert", TEXT, nullable=False),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("from_state", TEXT),
    sa.Column("to_state", TEXT, nullable=False),
    sa.Column("by", TEXT, nullable=False),
    sa.Column("note", TEXT, nullable=False),
    sa.Column("owner", TEXT),
    sa.Index("history_alert", "alert", "seq"),
)

#: How far which stream is applied, and the version and fingerprint of these tables. Its columns `version` and `tables` stay for ever.
POSITION = sa.Table(
    "position",
    metadata,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("tables", TEXT, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("stream", TEXT, nullable=False),  # when it was made, as the journal says it; empty until that is known
)
