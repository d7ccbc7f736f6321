"""Small builders for these tests: events from dictionaries, journals of entries, plans without YAML."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.worker import Correlator
from tocsin.kernel.fault import Skippable
from tocsin.model.alert import Alert
from tocsin.model.event import event_schema
from tocsin.model.plan import Absence, Active, AlertSpec, Cluster, Match, Operator, Per, Plan, RulePlan, Silence, Step
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity
from tocsin.model.time import MINUTE, SECOND

T0 = 1_500_000_000 * SECOND
LON, LAT = -122.33, 47.60
#: Degrees of latitude in a metre, near enough for tests that stay away from edges.
METRE = 1 / 111_195.0

_DEFAULTS: dict[str, Any] = {
    "feed": "sensors", "kind": "fire.smoke", "source": None, "event_time": T0, "ingest_time": None, "lon": None, "lat": None,
    "area": None, "valid_until": None, "value": None, "unit": None, "severity": None, "action": 0, "refers_to": None, "text": None,
}  # fmt: skip


def batch(rows: Sequence[dict[str, Any]], attrs: dict[str, str] | None = None) -> pa.RecordBatch:
    """Rows with defaults filled in, as the journal delivers them."""
    schema = event_schema(attrs)
    full = [_DEFAULTS | row for row in rows]
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in full]
        if pa.types.is_dictionary(field.type):
            encoded = pa.array(values, pa.string()).dictionary_encode()
            arrays.append(pa.DictionaryArray.from_arrays(encoded.indices.cast(field.type.index_type), encoded.dictionary))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    subject: str
    ingest: int
    wall: int
    batch: pa.RecordBatch | None
    content: bytes = b""


def smoke(name: str, at: float, north: float = 0.0, value: float = 160.0, **more: Any) -> dict[str, Any]:
    """A smoke reading `at` seconds after T0, `north` metres north of the origin; its id is source and time."""
    row = {"id": f"{name}@{at:g}", "source": name, "event_time": T0 + round(at * SECOND), "lon": LON, "lat": LAT + north * METRE}
    return row | {"value": value, "unit": "ug/m3", **more}


class Journal:
    """Entries in order. `rows` are added at a time in seconds after T0; each call is one entry."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, at: float, rows: Sequence[dict[str, Any]], attrs: dict[str, str] | None = None) -> Journal:
        self.entries.append(Entry(len(self.entries) + 1, "ev.test.sensors", T0 + round(at * SECOND), 0, batch(rows, attrs)))
        return self

    def tick(self, at: float) -> Journal:
        self.entries.append(Entry(len(self.entries) + 1, "tick", T0 + round(at * SECOND), 0, None))
        return self

    def rules(self, name: str) -> Journal:
        """Other rules come into force."""
        self.entries.append(Entry(len(self.entries) + 1, "config", 0, 0, None, name.encode()))
        return self

    async def fetch(self, seq: int) -> Entry:
        if not 0 < seq <= len(self.entries):
            raise Skippable(f"the journal holds no entry {seq}")
        return self.entries[seq - 1]

    async def read(self, start: int = 1) -> AsyncIterator[Entry]:
        for entry in self.entries[start - 1 :]:
            yield entry

    def recut(self, sizes: Iterable[int]) -> Journal:
        """The same events at the same ingest times in entries of other sizes."""
        again, rest = Journal(), iter(sizes)
        for entry in self.entries:
            start, rows = 0, 0 if entry.batch is None else entry.batch.num_rows
            while entry.batch is not None and start < rows:
                size = min(next(rest), rows - start)
                again.entries.append(replace(entry, seq=len(again.entries) + 1, batch=entry.batch.slice(start, size)))
                start += size
            if entry.batch is None:
                again.entries.append(replace(entry, seq=len(again.entries) + 1))
        return again


class Stream:
    """The ALERTS stream: what was published, in order."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    async def publish(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def published(self) -> dict[str, int]:
        newest: dict[str, int] = {}
        for alert in self.alerts:
            newest[alert.id] = max(alert.revision, newest.get(alert.id, 0))
        return newest

    def last(self) -> dict[str, Alert]:
        return {alert.id: alert for alert in sorted(self.alerts, key=lambda alert: alert.revision)}


SMOKY = Selector("fire.smoke", 150e-9, "mass concentration", None, "fire.smoke where value >= 150 ug/m3")


def rule(
    name: str, when: Operator, *, per: Per | None = None, unless: tuple[Active, ...] = (), headline: str = "{count} near {place}"
) -> RulePlan:
    spec = AlertSpec(headline, Severity.SEVERE, "immediate", "likely", per=per)
    return RulePlan(name, f"v-{name}", name.title(), "why", when, spec, unless)


def plan(*rules: RulePlan) -> Plan:
    return Plan(rules, (LON, LAT))


def smoke_match(per: Per | None = None) -> RulePlan:
    return rule("smoke", Match(SMOKY), per=per, headline="Smoke at {source}, {value} {unit}, {place}")


def smoke_cluster(sources: int = 3, per: Per | None = None) -> RulePlan:
    return rule("cluster", Cluster(SMOKY, 300.0, 10 * MINUTE, sources), per=per, headline="{sources} sensors {place}")


def call_then_smoke() -> RulePlan:
    return rule("sequence", Steps(Selector("call", text="call"), (Step(SMOKY, 500.0, 10 * MINUTE),)), headline="Call, then smoke {place}")


def no_engine() -> RulePlan:
    return rule(
        "absence", Absence(Selector("call.fire", text="call.fire"), Selector("unit.onscene", text="unit.onscene"), 500.0, 5 * MINUTE)
    )


def silence(by: str = "source") -> RulePlan:
    return rule("silence", Silence(Selector("fire.smoke", text="fire.smoke"), 2 * MINUTE, by), headline="{source} not heard")


def correlator(rules: Plan, journal: Journal, **options: Any) -> Correlator:
    """A correlator over a journal, with small tables so that growing is part of every test."""
    longest = replace(rules, lateness=Horizon(rules, options.get("lateness")).longest)
    engine = Engine(longest, Sizes(ring=3, heads=3, sources=2, pending=2), options.get("corrects"))
    return Correlator(rules, journal.fetch, name_place=lambda _lon, _lat: "near Pike Place", engine=engine, **options)


async def told(rules: Plan, journal: Journal, **options: Any) -> Stream:
    """Everything told about a whole journal, to the end."""
    stream = Stream()
    await correlator(rules, journal, **options).run(journal.read(), stream.publish, finish=True)
    return stream
