"""Entries whose feed may not be kept any longer leave the journal: at once for every reader; their bytes with the file they lie in, or overwritten.

The server forgets messages by subject and number. What it forgets stays in its files (8 MB each) until all of a file is forgotten; only what is erased one
by one is overwritten there, which costs it two syncs each.
"""

from __future__ import annotations

import contextlib
from typing import Final

from tocsin.kernel.fault import Retriable, Skippable

from .connection import Journal
from .link import Link
from .nats_conf import subject_token
from .reader import next_of
from .streams import EVENTS, LAPSED_KEY, api, state

#: How the subjects of a feed's events begin, in real life and in exercises.
PREFIXES: Final = ("ev.*.", "exercise.ev.*.")
TICKS: Final = "tick"


async def lapse(journal: Journal, feed: str | None, before: int, erase: int = 0) -> tuple[int, bool]:
    """Removes a feed's entries (None: ticks) before stream sequence `before`. `erase`: overwrites at most so many one by one instead of forgetting them
    together. Returns how many are gone, and whether all are. Raises Retriable."""
    if before <= 1:
        return 0, True
    await journal.ask(lambda link: _note(link, before))
    subjects = [TICKS] if feed is None else [prefix + subject_token(feed) for prefix in PREFIXES]
    if erase:
        return await _erase(journal, subjects, before, erase)
    gone = 0
    for subject in subjects:
        body = {"filter": subject, "seq": before}
        answer = await journal.ask(lambda link, body=body: api(link, f"STREAM.PURGE.{EVENTS}", body))  # type: ignore[misc]
        gone += int(answer["purged"])
    return gone, True


async def _note(link: Link, before: int) -> None:
    """Numbers below are missing on purpose: said before they are, so that nobody takes it for damage."""
    found = await state(link, EVENTS)
    if found is not None and found.lapsed < before:
        metadata = (found.config.get("metadata") or {}) | {LAPSED_KEY: str(before)}
        await api(link, f"STREAM.UPDATE.{EVENTS}", found.config | {"metadata": metadata})


async def _erase(journal: Journal, subjects: list[str], before: int, most: int) -> tuple[int, bool]:
    gone = 0
    for subject in subjects:
        at = 1
        while True:
            try:
                entry = await next_of(journal, subject, at)
            except Skippable as fault:
                raise Retriable(f"an entry of {subject} cannot be read, so the next one is not found: {fault}", after=60.0) from None
            if entry is None or entry.seq >= before:
                break
            if gone == most:
                return gone, False
            seq, at = entry.seq, entry.seq + 1
            with contextlib.suppress(Retriable):  # somebody else was quicker; what is still there is found again
                await journal.ask(lambda link, seq=seq: api(link, f"STREAM.MSG.DELETE.{EVENTS}", {"seq": seq}))  # type: ignore[misc]
            gone += 1
    return gone, True
