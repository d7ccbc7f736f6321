"""What replays read: the journal as it was learnt or as it happened, before it the archive, and the alerts as they were known."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from tocsin.alerts.known import KnownAlerts
from tocsin.alerts.store import AlertStore
from tocsin.alerts.view import AlertsView
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import Entry
from tocsin.journal.reader import DamagedEntry, last_seq, read
from tocsin.journal.streams import EVENTS
from tocsin.journal.times import first_seq_at, next_readable
from tocsin.model.city import City
from tocsin.model.ids import event_seq
from tocsin.model.time import DAY, HOUR, LATEST, to_iso

from .health import endpoint_of
from .layout import NodeFile

if TYPE_CHECKING:
    from .past_archive import ArchivePast

#: Entries before the moment that are read for the picture at it, and how far they may reach back.
LEAD_ENTRIES: Final = 20_000
LEAD: Final = DAY
#: By event time the journal is read so far ahead: a report that came later than that is shown when it came, less this.
AHEAD: Final = HOUR
#: Rows that may wait for their moment; beyond, the oldest do not wait any longer.
WAITING_ROWS: Final = 300_000

#: Said once, however many are missing.
LAPSED: Final = "the journal holds some entries of this time no longer: their feeds' retention is over"

Due = tuple[int, Entry]


class JournalPast:
    """Replays of a node: each reads over a connection of its own, so that nothing live waits for it. `city`: as it is in force."""

    def __init__(self, node: NodeFile, store: AlertStore, view: AlertsView, city: Callable[[], City]) -> None:
        self._node, self._store, self._view, self._city = node, store, view, city
        self._older: ArchivePast | None = None

    def alerts(self) -> KnownAlerts:
        return KnownAlerts(self._store, self._view)

    async def events(self, at: int, stop: int, by: str, notes: list[str]) -> AsyncGenerator[Due]:
        """As `api.services.Past`."""
        async with await connect(endpoint_of(self._node), name="replay", within=10.0) as journal:
            begins, first = await begins_at(journal)
            older = await asyncio.to_thread(self._archive) if at - LEAD < begins else None
            if older is not None and await asyncio.to_thread(older.holds, at - LEAD, min(stop, begins)):
                async with aclosing(self._from_archive(journal, older, at, stop, by, begins, first, notes)) as entries:
                    async for due in entries:
                        yield due
                return
            moment, _ = await first_seq_at(journal, at)
            early, whole = await first_seq_at(journal, at - LEAD)
            first = max(early, moment - LEAD_ENTRIES)
            if not whole and first == early:
                notes.append("the journal no longer holds the day before this moment; the picture begins with what it holds")
            late = AHEAD if by == "event" else 0
            last = min(await last_seq(journal), (await first_seq_at(journal, stop + late + 1))[0])

            async with aclosing(self._from_journal(journal, first, last, by, notes)) as entries:
                async for due in entries:
                    yield due

    def _archive(self) -> ArchivePast:
        """Imported when the first replay wants it: who starts a node waits for it otherwise."""
        from .past_archive import ArchivePast

        if self._older is None:
            self._older = ArchivePast(self._node.layout.archive, self._city)
        return self._older

    async def _from_journal(self, journal: Journal, first: int, last: int, by: str, notes: list[str]) -> AsyncGenerator[Due]:
        def damaged(found: DamagedEntry) -> None:
            if found.kind != "expired":
                notes.append(f"journal entries {found.first} to {found.last} cannot be read: {found.reason}")
            elif LAPSED not in notes:
                notes.append(LAPSED)

        async with aclosing(read(journal, first, until=last, on_damage=damaged, exercise=True)) as entries:  # type: ignore[type-var]
            ordered = as_it_happened(entries, notes) if by == "event" else as_it_was_known(entries)
            async for due in ordered:
                yield due

    async def _from_archive(
        self, journal: Journal, older: ArchivePast, at: int, stop: int, by: str, begins: int, first: int, notes: list[str]
    ) -> AsyncGenerator[Due]:
        """The archive up to where the journal begins, then the journal; events carry numbers of the replay's own."""
        notes.append(
            f"what came before {to_iso(begins)} is read from the archive: imported events stand where they happened and raised no alerts; "
            "alerts are shown as far as this node told any then"
        )
        number, found = 0, older.entries(at, LEAD, min(stop, begins), by, event_seq(first, 0))
        while (due := await asyncio.to_thread(next, found, None)) is not None:
            number += 1
            yield due
        if stop < begins:
            return
        late = AHEAD if by == "event" else 0
        last = min(await last_seq(journal), (await first_seq_at(journal, stop + late + 1))[0])
        async with aclosing(self._from_journal(journal, first, last, by, notes)) as entries:
            async for moment, entry in entries:
                if by != "event" or moment >= begins:  # what happened before has been read from the archive
                    number += 1
                    yield moment, replace(entry, seq=number)


async def begins_at(journal: Journal) -> tuple[int, int]:
    """When the journal's first event was learnt (µs) and its entry; later than anything while there is none."""
    first = max((await journal.state(EVENTS)).first, 1)
    found = await next_readable(journal, first, await last_seq(journal) + 1)
    return (LATEST, first) if found is None else (found.ingest, found.seq)


async def as_it_was_known(entries: AsyncIterator[Entry]) -> AsyncIterator[Due]:
    """Each entry when it was written; one that has no time of its own goes with the one before it."""
    clock = 0
    async for entry in entries:
        clock = max(clock, entry.ingest)
        yield clock, entry


async def as_it_happened(entries: AsyncIterator[Entry], notes: list[str]) -> AsyncIterator[Due]:
    """Events at their event time, under numbers of their own (the order differs from the journal's). `entries`: in journal order."""
    waiting: list[tuple[int, int, Entry]] = []
    rows = number = told = clock = 0
    async for entry in entries:
        clock = max(clock, entry.ingest)
        if entry.batch is not None:
            for at, part in _by_time(entry, entry.batch):
                number += 1
                heapq.heappush(waiting, (at, number, part))
                rows += part.count
        if rows > WAITING_ROWS:
            words = f"around {to_iso(clock)} more events waited than can: reports that came late are shown when they came"
            if not any(note.startswith("around") for note in notes):
                notes.append(words)
        while waiting and (waiting[0][0] <= clock - AHEAD or rows > WAITING_ROWS):
            at, _, part = heapq.heappop(waiting)
            rows, told = rows - part.count, told + 1
            yield at, replace(part, seq=told)
    while waiting:
        at, _, part = heapq.heappop(waiting)
        told += 1
        yield at, replace(part, seq=told)


def _by_time(entry: Entry, batch: pa.RecordBatch) -> list[tuple[int, Entry]]:
    """The rows of an entry, those of one event time together."""
    times = batch.column("event_time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    order = np.argsort(times, kind="stable")
    cuts = np.flatnonzero(np.diff(times[order])) + 1
    found = []
    for group in np.split(order, cuts):
        part = batch if len(group) == len(batch) else batch.take(pa.array(group))
        found.append((int(times[group[0]]), Entry(entry.seq, entry.subject, entry.ingest, entry.wall, part, len(group))))
    return found
