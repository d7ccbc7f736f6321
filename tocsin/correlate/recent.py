"""The newest journal entries, kept in memory so that an alert's evidence is at hand when it is raised.

Bounded in bytes; what has been dropped is read from the journal again. Whether an event comes from here or from the journal
changes nothing but the time it takes.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa

from tocsin.kernel.fault import Skippable
from tocsin.model.alert import Evidence
from tocsin.model.ids import split_seq

from .extras import BatchExtras

log = logging.getLogger(__name__)


class Entry(Protocol):
    """One journal message. `seq`: its stream sequence. `ingest`: city time µs. `wall`: ns, receipt of its oldest record, 0 when
    not known. `batch`: None is a tick, or an entry that says something else: another configuration, what was learnt late (`subject`, `content`)."""

    @property
    def seq(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def ingest(self) -> int: ...
    @property
    def wall(self) -> int: ...
    @property
    def batch(self) -> pa.RecordBatch | None: ...
    @property
    def content(self) -> bytes: ...


#: Reads one entry of the journal again. Raises Skippable when the journal no longer has it.
Fetch = Callable[[int], Awaitable[Entry]]

_COLUMNS: Final = ("feed", "id", "kind", "source", "event_time", "lon", "lat", "value", "unit", "text", "severity")
_NUMBERS: Final = frozenset({"lon", "lat", "value"})
_FACTS_MAX: Final = 20_000
_FEW: Final = 4  # rows that are quicker read one by one
GONE: Final = "gone"  # role of an event that cannot be looked up any more


class Recent:
    """Looks events up by `seq`. `limit`: bytes of record batches kept."""

    def __init__(self, fetch: Fetch, limit: int = 64 << 20) -> None:
        self.missing = 0  # events the journal no longer had
        self.fetched = 0  # entries read again
        self.size = 0
        self._fetch = fetch
        self._limit = limit
        self._entries: OrderedDict[int, tuple[int, pa.RecordBatch, int]] = OrderedDict()
        self._facts: OrderedDict[int, Evidence] = OrderedDict()

    def add(self, entry: Entry) -> None:
        """Keeps a new entry and drops the oldest over the limit."""
        if entry.batch is None:
            return
        size = entry.batch.get_total_buffer_size()  # `nbytes` costs thirty times as much
        self._entries[entry.seq] = (entry.ingest, entry.batch, size)
        self.size += size
        while self.size > self._limit and len(self._entries) > 1:
            _, (_, _, dropped) = self._entries.popitem(last=False)
            self.size -= dropped

    async def lookup(self, seqs: Iterable[int]) -> dict[int, Evidence]:
        """The events with these `seq`s, role still empty. One that is gone from the journal is said to be gone."""
        found: dict[int, Evidence] = {}
        wanted: dict[int, list[int]] = {}
        for seq in seqs:
            fact = self._facts.get(seq)
            if fact is not None:
                self._facts.move_to_end(seq)
                found[seq] = fact
            elif seq >= 0:
                wanted.setdefault(split_seq(seq)[0], []).append(seq)
        for message, members in wanted.items():
            found.update(await self._read(message, members))
        return found

    async def links(self, fields: Mapping[int, Sequence[str]]) -> dict[int, dict[str, Any]]:
        """Values of fields (`model/links.py`) of some events, by `seq`; nothing for those the journal no longer has."""
        found: dict[int, dict[str, Any]] = {}
        for seq, names in fields.items():
            message, row = split_seq(seq)
            kept = (self._entries.get(message) or await self._again(message)) if names else None
            if kept is not None and row < kept[1].num_rows:
                extras = BatchExtras(kept[1])
                found[seq] = {name: extras.links(name, [row])[0] for name in names}
        return found

    async def _read(self, message: int, seqs: list[int]) -> dict[int, Evidence]:
        kept = self._entries.get(message) or await self._again(message)
        rows = [seq for seq in seqs if kept is not None and split_seq(seq)[1] < kept[1].num_rows]
        facts = facts_of(kept[1], kept[0], rows) if kept is not None and rows else {}
        for seq in set(seqs) - set(facts):
            self.missing += 1
            facts[seq] = _gone(seq)
        for seq, fact in facts.items():
            self._facts[seq] = fact
        while len(self._facts) > _FACTS_MAX:
            self._facts.popitem(last=False)
        return facts

    async def _again(self, message: int) -> tuple[int, pa.RecordBatch, int] | None:
        self.fetched += 1
        try:
            entry = await self._fetch(message)
        except Skippable as error:
            log.warning("evidence in journal entry %d cannot be shown: %s", message, error)
            return None
        return None if entry.batch is None else (entry.ingest, entry.batch, 0)


def facts_of(batch: pa.RecordBatch, ingest: int, seqs: list[int]) -> dict[int, Evidence]:
    """Rows of one batch as evidence without a role. `seqs` must all be of this batch."""
    rows = [split_seq(seq)[1] for seq in seqs]
    taken = pa.array(rows, pa.int32()) if len(rows) > _FEW else None
    columns: list[list[Any]] = []
    for name in _COLUMNS:
        column = batch.column(name)
        if name == "event_time":
            column = column.view(pa.int64())
        values = [column[row].as_py() for row in rows] if taken is None else column.take(taken).to_pylist()
        columns.append([_finite(value) for value in values] if name in _NUMBERS else values)
    return {
        seq: Evidence(seq, feed, event_id, kind, source, event_time, ingest, lon, lat, value, unit, text, "", severity=severity)
        for seq, feed, event_id, kind, source, event_time, lon, lat, value, unit, text, severity in zip(seqs, *columns, strict=True)
    }


def _finite(number: float | None) -> float | None:
    """JSON has no NaN; a coordinate or a value that is none is null."""
    return number if number is not None and math.isfinite(number) else None


def _gone(seq: int) -> Evidence:
    """Stands for an event past the journal's retention."""
    return Evidence(seq, "", str(seq), "", None, 0, 0, None, None, None, None, "no longer in the journal", GONE)
