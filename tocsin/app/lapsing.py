"""Retention in the journal: what a feed's declaration no longer allows to be kept leaves it, a day after it has left the archive."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tocsin.archive.catalog import Catalog
from tocsin.archive.retention import cutoff, declared
from tocsin.archive.tombstones import Signer
from tocsin.journal.connection import Journal
from tocsin.journal.lapse import lapse
from tocsin.journal.nats_conf import subject_token
from tocsin.journal.times import first_seq_at
from tocsin.model.time import DAY, format_span, to_iso

#: Longer than the archive keeps: who was away for a day finds in the journal what it must still take in.
GRACE: Final = DAY
#: Entries overwritten in one round; the next goes on.
ERASED: Final = 500


class Lapsing:
    """One for each keeper. Remembers what is done, so that the journal is asked only when another hour or day has lapsed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._done: dict[str | None, int] = {}

    async def run(self, catalog: Catalog, position: int, now: int, restricted: Collection[str] = ()) -> dict[str, int]:
        """One round: entries removed by feed. `position`: up to which the archive has everything, beyond which nothing is removed; `now`: city time, µs;
        `restricted`: feeds whose entries are overwritten. Raises Retriable, OSError, sqlite3.Error."""
        spans = declared(catalog)
        shared: dict[str, int] = {}  # feeds that share a subject lapse with the longest of them
        for name, span in spans.items():
            shared[subject_token(name)] = max(span, shared.get(subject_token(name), 0))
        removed, cuts = dict[str, int](), list[int]()
        for name in spans:
            cut = cutoff(now, shared[subject_token(name)] + GRACE)
            cuts.append(cut)
            gone = await self._feed(name, cut, position, ERASED if name in restricted else 0)
            if gone:
                removed[name] = gone
                _record(catalog, name, gone, cut, spans[name])
        if cuts:
            await self._feed(None, min(cuts), position, 0)
        return removed

    async def _feed(self, name: str | None, cut: int, position: int, erase: int) -> int:
        if self._done.get(name, 0) >= cut:
            return 0
        before, _ = await first_seq_at(self._journal, cut)
        gone, all_of_it = await lapse(self._journal, name, min(before, position + 1), erase)
        if all_of_it and before <= position + 1:
            self._done[name] = cut
        return gone


def _record(catalog: Catalog, feed: str, entries: int, cut: int, span: int) -> None:
    """A signed entry of the archive's record."""
    with catalog.change() as connection:
        entry = {
            "what": "removed from the journal",
            "feed": feed,
            "entries": entries,
            "before": to_iso(cut),
            "why": f"the feed declares a retention of {format_span(span)}; the journal keeps {format_span(GRACE)} more",
        }
        Signer(catalog.folder).write(connection, entry)
