"""Random worlds as journals that the whole correlator reads, and questions about them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import msgspec
import pyarrow as pa
from correlate_harness import Entry as Known
from correlate_harness import plan
from oracle import Fact

from tocsin.correlate.explain.answer import candidates
from tocsin.correlate.explain.explainer import Explainer, Knowing, inquire
from tocsin.correlate.explain.guards import pass_
from tocsin.correlate.explain.scene import Scene
from tocsin.correlate.explain.told import Told, told
from tocsin.correlate.worker import Correlator
from tocsin.model.alert import Alert
from tocsin.model.event import event_schema
from tocsin.model.explanation import Explanation, Question
from tocsin.model.plan import Plan, RulePlan, Silence

ATTRS = {"x": "string", "to": "number"}


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    subject: str
    ingest: int
    wall: int
    batch: pa.RecordBatch | None
    content: bytes = b""


def as_row(fact: Fact) -> dict[str, object]:
    feed, source = fact.source or ("f", None)
    attrs = dict(fact.attrs)
    return {
        "id": str(fact.seq), "feed": feed, "kind": fact.kind, "source": source, "event_time": fact.time, "ingest_time": None,
        "lon": None if math.isnan(fact.lon) else fact.lon, "lat": None if math.isnan(fact.lat) else fact.lat, "area": fact.area,
        "valid_until": fact.valid_until, "value": fact.value, "unit": "m" if fact.dimension == "length" else None, "severity": fact.severity,
        "action": 0, "refers_to": None, "text": None,
        "attrs": {"x": None if attrs.get("x") is None else str(attrs["x"]), "to": attrs.get("to")},
    }  # fmt: skip


def journal(known: Sequence[Known]) -> list[Entry]:
    """One entry for each of a world's, its events as batches."""
    entries = []
    for one in known:
        batch = pa.RecordBatch.from_pylist([as_row(fact) for fact in one.facts], schema=event_schema(ATTRS)) if one.facts else None
        entries.append(Entry(len(entries) + 1, "ev.t.f" if batch is not None else "tick", one.ingest, 0, batch))
    return entries


@dataclass
class Told_:
    """What the correlator made of a journal."""

    plan: Plan
    entries: list[Entry]
    alerts: list[Alert]

    def messages(self) -> list[tuple[int, str, dict]]:
        return [(i, f"alert.{one.rule}", msgspec.json.decode(msgspec.json.encode(one))) for i, one in enumerate(self.alerts)]

    def standing(self, rule: str) -> list[Alert]:
        newest = {one.id: one for one in sorted(self.alerts, key=lambda one: one.revision)}
        return [one for one in newest.values() if one.rule == rule and one.status != "retracted"]

    @property
    def clock(self) -> int:
        return max(entry.ingest for entry in self.entries)

    def explainer(self, question: Question) -> Explainer:
        rule = next(rule for rule in self.plan.rules if rule.name == question.rule)
        explainer = Explainer(inquire(rule, Knowing(self.plan), question, self.clock))
        for entry in self.entries:
            explainer.take(entry)
        return explainer

    def told(self, known: int) -> Told:
        return told(self.messages(), known)

    def ask(self, rule: str, **asked: object) -> Explanation:
        question = Question(rule, **{"at": self.clock, **asked})  # type: ignore[arg-type]
        return self.explainer(question).answer(self.told(self.clock if question.with_late else question.at))

    def scene(self, question: Question) -> Scene:
        return self.explainer(question).scene(self.told(self.clock))

    def matches(self, rule: str, **asked: object) -> set[tuple[int, int]]:
        """(anchor, time) of everything that the explainer finds to hold, over the whole journal or where and when asked."""
        everything = {"at": self.clock, "span": 10 * self.clock, "with_late": True}
        scene = self.scene(Question(rule, **{**everything, **asked}))  # type: ignore[arg-type]
        return {(int(scene.facts.seq[one.row]), one.time) for one in candidates(scene) if one.ok and one.row >= 0 and pass_(scene, one)}


async def _run(of: Plan, entries: Sequence[Entry]) -> list[Alert]:
    alerts: list[Alert] = []

    async def publish(alert: Alert) -> None:
        alerts.append(alert)

    async def fetch(seq: int) -> Entry:
        return entries[seq - 1]

    async def read() -> AsyncIterator[Entry]:
        for entry in entries:
            yield entry

    await Correlator(of, fetch).run(read(), publish, finish=True)
    return alerts


def run(rules: Sequence[RulePlan], known: Sequence[Known]) -> Told_:
    made, entries = plan(*rules), journal(known)
    made = replace(made, rules=tuple(replace(one, version=f"v-{one.name}") for one in made.rules))  # ids are made of it
    return Told_(made, entries, asyncio.run(_run(made, entries)))


def bare(rule: RulePlan) -> RulePlan:
    """Without thinning: every match is an alert. Declared sources start with the engine, at a time that a part of the journal does not tell."""
    when = replace(rule.when, declared=()) if isinstance(rule.when, Silence) else rule.when
    return replace(rule, when=when, alert=replace(rule.alert, per=None))


def pick(random: Random, alerts: Sequence[Alert]) -> Alert | None:
    return random.choice(sorted(alerts, key=lambda one: one.id)) if alerts else None
