"""What replays read of times that the journal no longer holds, or never held: the archive, window by window, as entries of the journal would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tocsin.archive.holdings import Archive
from tocsin.archive.parquet import STORED, loaded
from tocsin.correlate.past.typed import parsed
from tocsin.journal.encode import Entry
from tocsin.kernel.fault import Retriable
from tocsin.model.archive import ROW, Look, Want
from tocsin.model.city import City
from tocsin.model.event import BASE_FIELDS, event_schema
from tocsin.model.time import DAY, MINUTE, SECOND

#: Rows that one window should hold: it is made longer and shorter for that.
ROWS: Final = 50_000
SHORTEST: Final = MINUTE
#: As it was known, an event is shown when it was learnt at most so long after it happened (or before): it is looked for there.
LATE: Final = DAY
#: Events that make the picture at the first moment, at most.
LEAD_ROWS: Final = 20_000

Due = tuple[int, Entry]
#: feed -> attribute -> type, as declared now.
Types = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of schema ROW in order, and when each is due, µs."""

    table: pa.Table
    due: NDArray[np.int64]


class ArchivePast:
    """`city`: asked whenever a replay begins, for the attributes that its feeds declare; of feeds that are declared no more there are none."""

    def __init__(self, folder: Path, city: Callable[[], City]) -> None:
        self._archive, self._city = Archive(folder), city

    def holds(self, start: int, stop: int) -> bool:
        """Whether anything is stored of [start, stop), µs of event time."""
        with self._archive.look(Want(start=start, stop=stop)) as look:
            return look.rows > 0

    def entries(self, at: int, lead: int, stop: int, by: str, first: int) -> Iterator[Due]:
        """Of [at - lead, stop), µs, numbered from 1. `by`: `known`: journal entries before number `first` when they were learnt, what was imported when it
        happened; `event`: everything when it happened. Blocks; raises Retriable."""
        types, number = declared_attrs(self._city()), 0
        early = self.window(at - lead, at, by, first)
        cut = max(0, len(early.table) - LEAD_ROWS)
        span, begin = SHORTEST, at
        windows: Iterator[Window] = iter([Window(early.table.slice(cut), early.due[cut:])])
        while True:
            for window in windows:
                for due, entry in _entries(window, types):
                    number += 1
                    yield due, Entry(number, entry.subject, entry.ingest, 0, entry.batch, entry.count)
                rows = len(window.table)
                span = max(SHORTEST, span // 2) if rows > 2 * ROWS else min(DAY, 4 * span) if rows < ROWS else span
            if begin >= stop:
                return
            end = min(stop, begin + span)
            windows, begin = iter([self.window(begin, end, by, first)]), end

    def window(self, start: int, stop: int, by: str, first: int) -> Window:
        """What is due in [start, stop). Raises Retriable when a file cannot be read."""
        known = by != "event"
        want = Want(start=start - LATE, stop=stop + LATE) if known else Want(start=start, stop=stop)
        with self._archive.look(want) as look:
            try:
                table = _read(look, start, stop, known)
            except (OSError, pa.ArrowException) as fault:
                raise Retriable(f"a file of the archive cannot be read ({fault}); 'tocsin archive verify' says which") from None
        seq, due = table.column("seq").to_numpy(), _numbers(table, "event_time")
        kept = np.ones(len(table), bool)
        if known:
            happened, due = due, np.where(seq < 0, due, _numbers(table, "ingest_time"))
            kept = (seq < first) & (due >= start) & (due < stop) & (np.abs(due - happened) <= LATE)
        rows = np.flatnonzero(kept)
        order = rows[np.lexsort((seq[rows], due[rows]))]
        return Window(table.take(pa.array(order)), due[order])


def declared_attrs(city: City) -> Types:
    """Feed -> attribute -> type."""
    return {feed.name: {name: made.as_type for name, made in feed.attrs.items()} for feed in city.feeds}


def _read(look: Look, start: int, stop: int, known: bool) -> pa.Table:
    """Rows of schema ROW that may be due."""

    def within(name: str) -> pc.Expression:
        low, high = (pa.scalar(instant, ROW.field(name).type) for instant in (start, stop))
        return (pc.field(name) >= low) & (pc.field(name) < high)

    chosen = within("event_time") | within("ingest_time") if known else within("event_time")
    parts = [look.tail.filter(chosen)] if len(look.tail) else []
    if look.files:
        found = ds.dataset([str(file.path) for file in look.files], schema=STORED, format="parquet")
        parts.append(loaded(found.to_table(filter=chosen, use_threads=False)))
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks() if parts else ROW.empty_table()


def _entries(window: Window, types: Types) -> Iterator[Due]:
    """What is due in the same second of the same feed is one entry, due with its last row."""
    table = window.table
    if not len(table):
        return
    feeds = table.column("feed").combine_chunks()
    codes = feeds.indices.to_numpy(zero_copy_only=False)
    second = window.due // SECOND
    order = np.lexsort((np.arange(len(codes)), codes, second))
    cuts = np.flatnonzero((np.diff(second[order]) != 0) | (np.diff(codes[order]) != 0)) + 1
    groups = np.split(order, cuts)
    made = {
        code: _batches(table, np.flatnonzero(codes == code), str(feeds.dictionary[code].as_py()), types)
        for code in np.unique(codes).tolist()
    }
    place = np.empty(len(codes), np.int64)
    for code in made:
        rows = np.flatnonzero(codes == code)
        place[rows] = np.arange(len(rows))
    for rows in sorted(groups, key=lambda some: (int(window.due[some[-1]]), int(codes[some[0]]))):
        code, due = int(codes[rows[0]]), int(window.due[rows[-1]])
        batch = made[code].take(pa.array(place[rows]))  # a slice would hold the whole window
        yield due, Entry(0, f"ev.archive.{feeds.dictionary[code].as_py()}", due, 0, batch, len(rows))


def _batches(table: pa.Table, rows: NDArray[np.intp], feed: str, types: Types) -> pa.RecordBatch:
    """The rows of one feed as its batches are."""
    some = table.take(pa.array(rows))
    own = types.get(feed, {})
    columns = [some.column(one.name).cast(one.type).combine_chunks() for one in BASE_FIELDS]
    if own:
        columns.append(parsed(some.column("attrs").combine_chunks(), {feed: own}))
    return pa.RecordBatch.from_arrays(columns, schema=event_schema(own))


def _numbers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(table.column(name).cast(pa.int64()).to_numpy(), np.int64)
