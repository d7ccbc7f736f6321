"""What joins one alert and what closes it (`per.same`, `dedup`, `resolve`), for every operator, against the brute-force oracle:
late, equal, withdrawn and shuffled events, cuts, restarts, reloads, tiny tables."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from correlate_harness import SECOND, Entry, by_rule, plan, rule, selector
from correlate_worlds import OPERATORS as PLAIN
from correlate_worlds import World, some_radius, some_selector, worlds
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Fact
from parts_oracle import PartsOracle
from test_series_parity import LATENESS, HistoryPair
from test_series_parity import OPERATORS as HISTORY

from tocsin.correlate.firing import Firings, What
from tocsin.model.plan import Absence, AlertSpec, Dedup, Match, Operator, Per, Resolve, RulePlan, Silence

quick = settings(max_examples=15, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=True)
#: All but the outage of an area, whose alert has the anchor and time of a single one: the oracle cannot name them apart.
NAMES = sorted({*PLAIN, *HISTORY} - {"outage"})
#: Few sources that speak often: with many that hardly speak, hardly anything enters or leaves a zone, or dwells in it.
moving = st.builds(World, st.integers(0, 1 << 30), entries=st.just(40), crowd=st.just(8), sources=st.just(2))
MOVING = {"enters", "leaves", "dwells"}
FIELDS = ("attrs.x", "attrs.m", "source")


class PartsPair(HistoryPair):
    """Knows besides which alerts have closed."""

    def __init__(self, of) -> None:  # type: ignore[no-untyped-def]
        super().__init__(of)
        self.oracle = PartsOracle(of, self.oracle.declared)
        self.closed: set[tuple] = set()

    def read(self, firings: Firings) -> list[tuple]:
        rows = []
        for i in range(len(firings)):
            group, what = int(firings.group[i]), What(int(firings.what[i]))
            if what >= What.CLOSE:
                name = (self.names[group], int(firings.source[i]))
                assert what is What.CLOSE or name in self.closed
                self.closed = self.closed | {name} if what is What.CLOSE else self.closed - {name}
                continue
            if what is What.RAISE:
                assert group not in self.names
                self.names[group] = (int(firings.rule[i]), int(firings.anchor[i]), int(firings.time[i]))
            evidence = firings.evidence[firings.offset[i] : firings.offset[i + 1]].tolist()
            assert what is What.RETRACT or len(set(evidence)) == len(evidence)
            row = (firings.rule[i], what.name, firings.anchor[i], firings.time[i], firings.source[i], firings.count[i])
            rows.append((*map(str, row), str(self.names[group]), tuple(evidence)))
        return rows


class TaggedWorld(World):
    """Facts with fields to be linked by; some lack them. What is taken back can still be judged again."""

    def stream(self) -> list[Entry]:
        entries = super().stream()
        times = {fact.seq: fact.time for entry in entries for fact in entry.facts}
        for entry in entries:
            entry.gone = tuple(seq for seq in entry.gone if times[seq] >= entry.ingest - LATENESS * SECOND)
        return entries

    def fact(self, random: Random, clock: int, seq: int) -> Fact:
        fact = super().fact(random, clock, seq)
        tags = [("x", random.choice((1.0, "p", "q"))), ("to", float(random.randint(0, 360))), ("m", random.choice(("x", "y")))]
        return replace(fact, attrs=(*fact.attrs, *(tag for tag in tags if random.random() < 0.85)))


def some_alert(random: Random, when: Operator) -> AlertSpec:
    pick = lambda: tuple(random.sample(FIELDS, random.choice((1, 1, 2))))  # noqa: E731
    per = dedup = resolve = None
    if random.random() < 0.8:
        place = random.choice((None, 300.0, 900.0, 6_000.0))
        per = Per(random.choice((0, 10, 60)) * SECOND, place, random.random() < 0.3, pick() if random.random() < 0.6 else ())
    if random.random() < 0.4:
        dedup = Dedup(pick(), random.choice((0, 20, 90)) * SECOND)
    if random.random() < 0.6:
        until = some_selector(random) if random.random() < 0.6 else None
        within = random.choice((float("inf"), some_radius(random)))
        after = random.choice((-1, 5, 30)) * SECOND if random.random() < 0.6 else -1
        below = random.choice((0, 3, 20)) * SECOND if random.random() < 0.5 else -1
        resolve = Resolve(below, until, within, pick() if random.random() < 0.4 else (), max(after, -1))
    return AlertSpec("", per=per, dedup=dedup, resolve=resolve)


def without_state(random: Random, operator: str) -> Operator:
    """An operator whose condition is about matches only; the others are in `test_parts_holding.py`."""
    when = {**PLAIN, **HISTORY}[operator](random)
    return replace(when, samples=1, until=None) if isinstance(when, Match) and operator == "match" else when


def some_rules(seed: int, operators: tuple[str, ...], n: int) -> list[RulePlan]:
    random = Random(seed)
    made = []
    for _ in range(n):
        when = without_state(random, random.choice(operators))
        alert = some_alert(random, when)
        if not isinstance(when, Silence) and stateful(when) and alert.resolve is not None:
            alert = replace(alert, resolve=replace(alert.resolve, below_for=-1))
        made.append(replace(rule(when), alert=alert))
    return made


def stateful(when: Operator) -> bool:
    return type(when).__name__ in ("Change", "Rate", "Accumulate", "ZoneEvent", "Timer") or (isinstance(when, Match) and when.lasting > 0)


def play(rules: list[RulePlan], world: World, seed: int) -> tuple[int, int]:
    """Compares row by row, and the alerts closed after every entry; the engine restarts and reloads its rules on the way."""
    random, entries = Random(seed), world.stream()
    pair = PartsPair(plan(*rules, lateness=LATENESS))
    stops = {at: random.choice((pair.restart, pair.reload)) for at in random.sample(range(len(entries)), min(3, len(entries)))}
    joins = closed = 0
    for i, entry in enumerate(entries):
        if i in stops:
            stops[i]()
        got, wanted = pair.step(entry, sorted(random.sample(range(len(entry.facts) + 1), min(random.randint(0, 2), len(entry.facts)))))
        plain = lambda rows: [(key, [row[:-1] for row in mine]) for key, mine in by_rule(rows)]  # noqa: E731
        assert plain(got) == plain(wanted), f"entry {i} of {len(entries)}"
        assert pair.closed & alive(pair) == pair.oracle.closed(), f"entry {i} of {len(entries)}"
        joins += sum(row[1] == "JOIN" for row in got)
        closed += len(pair.closed)
    return joins, closed


def alive(pair: PartsPair) -> set[tuple]:
    return {(group.name, group.code) for _, _, group in pair.oracle.every if group.live > 0}


def tagged(world: World) -> TaggedWorld:
    return TaggedWorld(**{name: getattr(world, name) for name in World.__dataclass_fields__})


@pytest.mark.parametrize("operator", NAMES)
def test_one_operator(operator: str) -> None:
    joins = closed = 0

    @quick
    @given(st.integers(0, 1 << 30), moving if operator in MOVING else worlds)
    def parity(seed: int, world: World) -> None:
        nonlocal joins, closed
        more = play(some_rules(seed, (operator,), 3), tagged(world), seed)
        joins, closed = joins + more[0], closed + more[1]

    parity()
    assert joins + closed > 10, "the worlds are not empty"


@quick
@given(st.integers(0, 1 << 30), worlds, st.integers(2, 9))
def test_mixed_rules(seed: int, world: World, n: int) -> None:
    play(some_rules(seed, tuple(NAMES), n), tagged(world), seed)


def test_a_late_match_opens_an_alert_again() -> None:
    """It closed ten seconds after its newest match; a late match shows that it went on."""
    one = replace(rule(Match(selector("a"))), alert=AlertSpec("", per=Per(60 * SECOND), resolve=Resolve(after=10 * SECOND)))
    pair = PartsPair(plan(one, delay=0, lateness=60))
    fact = Fact(0, 100 * SECOND, "a")
    pair.step(Entry(100 * SECOND, [fact]))
    pair.step(Entry(110 * SECOND))
    assert len(pair.closed) == 1
    pair.step(Entry(111 * SECOND, [replace(fact, seq=1, time=105 * SECOND)]))
    assert pair.closed == set()
    pair.step(Entry(115 * SECOND))
    assert len(pair.closed) == 1
    got, _ = pair.step(Entry(116 * SECOND, [replace(fact, seq=2, time=116 * SECOND)]))
    assert [row[1] for row in got] == ["RAISE"], "after its closing a match is a new alert"


@pytest.mark.parametrize("by_event", [True, False])
def test_fields_of_what_a_deadline_says_after_a_long_still_stretch(by_event: bool) -> None:
    """Two matches fall due on the way of the clock over three hours: they are joined by fields of samples that are out of every reach by then."""
    alert = AlertSpec("", per=Per(60 * SECOND, same=("attrs.x",)))
    pair = PartsPair(plan(replace(rule(Absence(selector("a"), selector("c"), 500.0, 20 * SECOND)), alert=alert), delay=0, lateness=60))
    first = Fact(0, 100 * SECOND, "a", source=("f", "one"), lon=0.0, lat=0.0, attrs=(("x", "p"),))
    pair.step(Entry(100 * SECOND, [first, replace(first, seq=1, source=("f", "two"))]))
    later = 11_000 * SECOND
    got, wanted = pair.step(Entry(later, [Fact(2, later, "b")] if by_event else []))
    assert got == wanted
    assert [row[1] for row in got] == ["RAISE", "JOIN"]
