"""Entries that put another configuration in force: their place in EVENTS says from which event on."""

from __future__ import annotations

import secrets

from .connection import Journal
from .encode import Entry, entry_headers
from .reader import first_of, newest_of, next_of

SUBJECT = "config"


async def append_change(journal: Journal, content: bytes, patience: float = 10.0) -> int:
    """Journals a configuration. Returns the stream sequence from which it is in force. Raises as `Journal.append`.

    The entry names no ingest time: it moves no clock, so whoever writes it needs none.
    """
    ack = await journal.append(SUBJECT, content, entry_headers(content, 0, 0, 0, secrets.token_hex(12)), patience)
    return ack.seq


async def newest_change(journal: Journal) -> Entry | None:
    """The entry whose configuration is in force now; None when there never was one. Raises Retriable, Skippable (damaged)."""
    return await newest_of(journal, SUBJECT)


async def first_change(journal: Journal) -> Entry | None:
    """The first configuration of this journal. Raises as `newest_change`."""
    return await first_of(journal, SUBJECT)


async def change_before(journal: Journal, seq: int) -> Entry | None:
    """The entry whose configuration was in force at stream sequence `seq`; None when none was put in force before it. Raises as `newest_change`."""
    found = await newest_change(journal)
    if found is None or found.seq <= seq:
        return found
    found, following = None, await first_change(journal)
    while following is not None and following.seq <= seq:
        found, following = following, await next_of(journal, SUBJECT, following.seq + 1)
    return found
