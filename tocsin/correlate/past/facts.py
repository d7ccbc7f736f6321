"""Events of a history by their number: what alerts rest on, read again when an alert asks for it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from tocsin.correlate.extras import BatchExtras
from tocsin.correlate.recent import GONE
from tocsin.model.alert import Alert, Evidence

from .numbers import Numbering
from .rows import whole

#: Reads rows again, by their numbers: a table with these columns of ROW (None: all) of those that are still there, in any order.
FetchRows = Callable[[Sequence[int], Sequence[str] | None], pa.Table]
_KEPT: Final = 50_000
_COLUMNS: Final = ("seq", "feed", "id", "kind", "source", "event_time", "ingest_time", "lon", "lat", "value", "unit", "text", "severity")
_NUMBERS: Final = frozenset({"lon", "lat", "value"})


class PastFacts:
    """`attrs`: feed -> name -> type of attributes that alerts may be linked by. `by_time`: events count as learnt when they happened, and go by
    `numbers`."""

    def __init__(self, fetch: FetchRows, attrs: Mapping[str, Mapping[str, str]], by_time: bool = False) -> None:
        self.missing = 0
        self._fetch = fetch
        self._attrs = attrs
        self._by_time = by_time
        self.numbers: Numbering | None = None
        self._facts: OrderedDict[int, Evidence] = OrderedDict()

    def lookup(self, seqs: Iterable[int]) -> dict[int, Evidence]:
        """The events with these numbers, role still empty. One that is gone is said to be gone."""
        found: dict[int, Evidence] = {}
        wanted: list[int] = []
        for seq in dict.fromkeys(seqs):
            fact = self._facts.get(seq)
            if fact is not None:
                self._facts.move_to_end(seq)
                found[seq] = fact
            elif seq >= 0:
                wanted.append(seq)
        if wanted:
            found.update(self._read(wanted))
        return found

    def links(self, fields: Mapping[int, Sequence[str]]) -> dict[int, dict[str, Any]]:
        """Values of fields (`model/links.py`) of some events; nothing for those that are gone."""
        asked = [seq for seq, names in fields.items() if names]
        if not asked:
            return {}
        table = self._rows(asked, None)
        batch = whole(_one(table), self._attrs)
        extras = BatchExtras(batch)
        rows = {seq: row for row, seq in enumerate(table.column("seq").to_pylist())}
        return {seq: {name: extras.links(name, [rows[seq]])[0] for name in fields[seq]} for seq in asked if seq in rows}

    def settled(self, alert: Alert) -> Alert:
        """With the numbers that its events have in the archive."""
        numbers = self.numbers
        if numbers is None:
            return alert
        real = {one.seq: numbers.real(one.seq) for one in (*alert.evidence, *alert.context)}
        settled = {number: number if found is None else found for number, found in real.items()}
        evidence, context = (tuple(replace(one, seq=settled[one.seq]) for one in some) for some in (alert.evidence, alert.context))
        return replace(alert, evidence=evidence, context=context)

    def pin(self, seqs: Iterable[int]) -> None:
        """An alert rests on these events."""
        if self.numbers is not None:
            self.numbers.pin(seqs)

    def _rows(self, seqs: Sequence[int], columns: Sequence[str] | None) -> pa.Table:
        if self.numbers is None:
            return self._fetch(seqs, columns)
        real = {found: seq for seq in seqs if (found := self.numbers.real(seq)) is not None}
        table = self._fetch(list(real), columns)
        place = table.schema.get_field_index("seq")
        numbers = pa.array([real[seq] for seq in table.column(place).to_pylist()], pa.int64())
        return table.set_column(place, table.schema.field(place), numbers)

    def _read(self, seqs: list[int]) -> dict[int, Evidence]:
        facts = {fact.seq: fact for fact in evidence(self._rows(seqs, _COLUMNS), self._by_time)}
        for seq in set(seqs) - set(facts):
            self.missing += 1
            facts[seq] = Evidence(seq, "", str(seq), "", None, 0, 0, None, None, None, None, "no longer in the archive", GONE)
        self._facts.update(facts)
        while len(self._facts) > _KEPT:
            self._facts.popitem(last=False)
        return facts


def evidence(table: pa.Table, by_time: bool = False) -> list[Evidence]:
    """Rows of ROW as evidence without a role. `by_time`: they count as learnt when they happened."""
    columns: list[list[Any]] = []
    for name in _COLUMNS:
        column = table.column("event_time" if by_time and name == "ingest_time" else name)
        values = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        columns.append([_finite(value) for value in values] if name in _NUMBERS else values)
    return [
        Evidence(seq, feed, name, kind, source, time, learnt, lon, lat, value, unit, text, "", severity=severity)
        for seq, feed, name, kind, source, time, learnt, lon, lat, value, unit, text, severity in zip(*columns, strict=True)
    ]


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _one(table: pa.Table) -> pa.RecordBatch:
    batches = table.unify_dictionaries().combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
