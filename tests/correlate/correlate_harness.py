"""Runs one stream through the engine and the oracle and compares what they say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from oracle import Fact, Oracle, Said, holds

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import EVIDENCE_MAX, Firings, What
from tocsin.model.plan import AlertSpec, Operator, Per, Plan, RulePlan, Silence
from tocsin.model.predicate import Selector

TINY = Sizes(ring=3, heads=1, sources=2, pending=2, candidates=1)
SECOND = 1_000_000


def rule(when: Operator, per: Per | None = None, name: str = "r", unless: tuple = ()) -> RulePlan:
    return RulePlan(name, "1", "", "", when, AlertSpec("", per=per), unless)


def plan(*rules: RulePlan, delay: int = 5, lateness: int = 600) -> Plan:
    """A plan with times in seconds; rules get names of their own."""
    named = tuple(RulePlan(f"{r.name}{i}", "1", "", "", r.when, r.alert, r.unless, only=r.only) for i, r in enumerate(rules))
    return Plan(named, delay=delay * SECOND, lateness=lateness * SECOND)


@dataclass
class Entry:
    """Facts known together at `ingest`, or a tick when there are none; `gone`: seqs withdrawn before it, standing facts among them as of
    the time `until`."""

    ingest: int
    facts: list[Fact] = field(default_factory=list)
    gone: tuple[int, ...] = ()
    until: int = 0


class Pair:
    """An engine and an oracle with the same plan and the same codes."""

    def __init__(self, of: Plan, sizes: Sizes = TINY) -> None:
        self.plan, self.sizes = of, sizes
        self.engine = Engine(of, sizes, None)
        declared: dict[int, list[int]] = {}
        for index, r in enumerate(of.rules):
            if isinstance(r.when, Silence):
                declared[index] = [self.declared_code(r.when, name) for name in r.when.declared]
        self.oracle = Oracle(of, declared)
        self.names: dict[int, tuple[int, int, int]] = {}  # the engine's alert -> (rule, anchor, time) at its raise
        self.told: dict[int, list[int]] = {}

    def declared_code(self, when: Silence, name: str) -> int:
        feed, _, source = name.partition("/")
        return self.engine.source_code(name, None) if when.by == "feed" else self.engine.source_code(feed, source)

    def coded(self, fact: Fact) -> Fact:
        if fact.source is None:
            return fact
        self.oracle.feeds[fact.source[0]] = self.engine.source_code(fact.source[0], None)
        return Fact(**{**{k: getattr(fact, k) for k in fact.__dataclass_fields__}, "code": self.engine.source_code(*fact.source)})

    def columns(self, facts: Sequence[Fact]) -> Columns:
        return columns(self.engine, facts)

    def step(self, entry: Entry, cuts: Sequence[int] = ()) -> tuple[list[tuple], list[tuple]]:
        """Both sides' answers to one entry, cut into pushes at `cuts`, in a form that can be compared."""
        facts = [self.coded(fact) for fact in entry.facts]
        got, wanted = [], []
        if entry.gone:
            got += self.determined(self.read(self.engine.withdraw(entry.gone, entry.until)))
            wanted += expected(self.oracle.withdraw(list(entry.gone), entry.until))
        if not facts:
            return got + self.read(self.engine.tick(entry.ingest)), wanted + expected(self.oracle.tick(entry.ingest))
        for first, last in itertools.pairwise((0, *cuts, len(facts))):
            got += self.read(self.engine.push(self.columns(facts[first:last]), entry.ingest))
        return got, wanted + expected(self.oracle.push(facts, entry.ingest))

    def determined(self, rows: list[tuple]) -> list[tuple]:
        """Of what a withdrawal changes, what does not depend on the engine's choice of witnesses."""
        return rows

    def read(self, firings: Firings) -> list[tuple]:
        """Firings with alerts named by what raised them."""
        rows = []
        for i in range(len(firings)):
            group, what = int(firings.group[i]), What(int(firings.what[i]))
            evidence = tuple(firings.evidence[firings.offset[i] : firings.offset[i + 1]].tolist())
            if what is What.RAISE:
                assert group not in self.names
                self.names[group] = (int(firings.rule[i]), int(firings.anchor[i]), int(firings.time[i]))
            if what is not What.RETRACT:
                told = self.told.setdefault(group, [])
                assert len(told) >= EVIDENCE_MAX or not set(told) & set(evidence[1:])
                assert len(set(evidence)) == len(evidence)
                told += evidence
                assert int(firings.anchor[i]) in (*told, -1) or len(told) >= 64
            row = (firings.rule[i], what.name, firings.anchor[i], firings.time[i], firings.source[i], firings.count[i])
            rows.append((*map(str, row), str(self.names[group]), evidence))
        return rows

    def restart(self) -> None:
        """The engine goes on from its snapshot in a new one."""
        state = self.engine.snapshot()
        self.engine = Engine(self.plan, self.sizes, None)
        self.engine.restore(state)


def columns(engine: Engine, facts: Sequence[Fact]) -> Columns:
    bits = np.zeros((len(facts), engine.words), np.uint64)
    for i, predicate in enumerate(engine.predicates):
        for row, fact in enumerate(facts):
            bits[row, i // 64] |= np.uint64(int(holds(predicate, fact)) << (i % 64))
    return Columns(
        seq=np.array([f.seq for f in facts], np.int64),
        time=np.array([f.time for f in facts], np.int64),
        kind=np.array([engine.kind_code(f.kind, f.dimension) for f in facts], np.int32),
        source=np.array([f.code for f in facts], np.int32),
        lon=np.array([f.lon for f in facts], float),
        lat=np.array([f.lat for f in facts], float),
        value=np.array([-np.inf if f.value is None else f.value for f in facts], float),
        bits=bits,
        valid_until=np.array([-1 if f.valid_until is None else f.valid_until for f in facts], np.int64),
        extras=FactExtras(facts),
    )


@dataclass
class FactExtras:
    """What facts say besides."""

    facts: Sequence[Fact]

    def links(self, field: str, rows: Sequence[int]) -> list[str | int | float | None]:
        return [link(self.facts[row], field) for row in rows]

    def areas(self, rows: Sequence[int]) -> list[bytes | None]:
        return [self.facts[row].area for row in rows]


def link(fact: Fact, field: str) -> str | int | float | None:
    """The value of a field that events are linked by."""
    if field == "source":
        return None if fact.source is None or fact.source[1] is None else "/".join(map(str, fact.source))
    return dict(fact.attrs).get(field.removeprefix("attrs."))


def expected(said: list[Said]) -> list[tuple]:
    rows = []
    for s in said:
        row = (s.rule, s.what, s.anchor, s.time, s.code, s.count)
        rows.append((*map(str, row), str(s.alert), s.evidence))
    return rows


def by_rule(rows: list[tuple]) -> Iterator[tuple[str, list[tuple]]]:
    """The rows of each rule in order; what one event takes back has no order of its own."""
    for key in sorted({row[0] for row in rows}):
        mine: list[tuple] = []
        for (what, _), same in itertools.groupby((row for row in rows if row[0] == key), key=lambda row: row[1:3]):
            run = list(same)
            mine += sorted(run) if what == "RETRACT" else run
        yield key, mine


def check(pair: Pair, entries: Sequence[Entry], restarts: Sequence[int] = (), cuts: Sequence[Sequence[int]] = ()) -> int:
    """Plays entries through both and compares rule by rule, in order; returns how many firings there were."""
    n = 0
    for i, entry in enumerate(entries):
        if i in restarts:
            pair.restart()
        got, wanted = pair.step(entry, cuts[i] if i < len(cuts) else ())
        shown = lambda rows: [(key, [row[:-1] for row in mine]) for key, mine in by_rule(rows)]  # noqa: E731
        assert shown(got) == shown(wanted), f"entry {i} of {entries}"
        n += len(got)
    return n


def selector(kind: str = "a", at_least: float | None = None, **more: object) -> Selector:
    return Selector(kind, at_least, **more)  # type: ignore[arg-type]
