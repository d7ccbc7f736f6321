"""Sequence numbers and deterministic ids.

One journal message holds a batch of events, so an event's `seq` is its message's stream sequence and its row in the batch:
journal order, set once, never reused, and enough to find the event again with one look-up.
"""

from __future__ import annotations

import hashlib

ROW_BITS = 20
MAX_ROWS = 1 << ROW_BITS
#: `seq` of the first imported event of an archive: those are numbered upwards from here, below the journal's. There is room for 4.5e15.
FIRST_IMPORTED = -(1 << 52)


def event_seq(message_seq: int, row: int) -> int:
    """Stream sequence of the message and row within it -> the event's `seq` (fits a JavaScript number for 2^33 messages)."""
    return message_seq << ROW_BITS | row


def split_seq(seq: int) -> tuple[int, int]:
    """An event's `seq` -> (stream sequence of its message, row)."""
    return seq >> ROW_BITS, seq & (MAX_ROWS - 1)


def alert_id(rule_version: str, group_key: str, feed: str, event_id: str) -> str:
    """SEMANTICS 5: hash(rule version, group key, anchor feed + event id), 20 hex digits."""
    text = "\x1f".join((rule_version, group_key, feed, event_id))
    return hashlib.sha256(text.encode()).hexdigest()[:20]
