"""Operators with a history against the brute-force oracle: late, equal, withdrawn and shuffled samples, cuts, restarts, tiny tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from random import Random

import pytest
from correlate_harness import SECOND, TINY, Entry, Pair, plan, rule, selector
from correlate_worlds import OPERATORS as PLAIN
from correlate_worlds import (
    World,
    some_absence,
    some_cluster,
    some_match,
    some_per,
    some_radius,
    some_selector,
    some_sequence,
    some_silence,
    worlds,
)
from history_oracle import HistoryOracle
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Fact
from shapely import box as shapely_box
from shapely import to_wkb

from tocsin.correlate import snapshots
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.series.which import outside
from tocsin.model.guards import AlertsNear
from tocsin.model.links import Zone
from tocsin.model.operators import Area
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Active,
    Alerts,
    AreaOutage,
    Around,
    Baseline,
    Change,
    Cluster,
    Guard,
    Inside,
    Key,
    Learnt,
    Match,
    Operator,
    Plan,
    Rate,
    RulePlan,
    Sector,
    Sequence,
    Silence,
    Step,
    Timer,
    WarnedArea,
    Within,
    ZoneEvent,
    Zones,
)
from tocsin.model.predicate import Compare, Selector
from tocsin.model.reading import alerts_read

quick = settings(max_examples=30, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=True)
LATENESS = 30
KEYS = ("feed", "fields", "cell", "zone")  # besides `source` and `all`


@dataclass
class HistoryPair(Pair):
    """A pair with the history oracle; evidence is compared, too."""

    def __init__(self, of: Plan, sizes: Sizes = TINY) -> None:
        super().__init__(of, sizes)
        self.oracle = HistoryOracle(of, self.oracle.declared)

    def determined(self, rows: list[tuple]) -> list[tuple]:
        free = {str(i) for i, one in enumerate(self.plan.rules) if isinstance(one.when, Cluster)}
        return [row for row in rows if row[0] not in free or row[1] != "JOIN"]

    def restart(self) -> None:
        """By way of the file that a snapshot is."""
        content = snapshots.encode(snapshots.Snapshot(1, 1, {"engine": self.engine.snapshot()}), "plan")
        self.engine = Engine(self.plan, self.sizes, None)
        self.engine.restore(snapshots.decode(content, "plan").state["engine"])

    def reload(self) -> None:
        """To a plan with one more rule in front, and back: unchanged rules go on."""
        more = replace(self.plan, rules=(replace(rule(Change(selector("zz"), SECOND, 1.0)), name="more"), *self.plan.rules))
        self.engine = self.engine.successor(more, None).successor(self.plan, None)


def some_key(random: Random, by: str = "") -> Key:
    by = by or random.choice(("source", "all", "source", "all", random.choice(KEYS)))
    if by == "fields":
        return Key(by, random.choice((("attrs.x",), ("attrs.x", "source"))))
    if by == "cell":
        return Key(by, size=random.choice((200.0, 300.0, 450.0, 5_000.0)))
    return Key(by, zones=some_zones(random)) if by == "zone" else Key(by)


def some_change(random: Random) -> Change:
    during = random.choice((5, 20, 60)) * SECOND
    direction = random.choice(("rise", "fall", "either"))
    if random.random() < 0.5:
        return Change(some_selector(random), during, random.choice((1.0, 2.0)), None, direction, random.randint(1, 3), some_key(random))
    slope = random.choice((0.5, 0.25, 0.125))
    return Change(some_selector(random), during, None, slope, direction, random.randint(2, 4), some_key(random))


def some_lasting(random: Random) -> Match:
    until = random.choice((None, None, some_selector(random), selector("a", where=Compare("value", "<=", 1))))
    lasting, gap = random.choice((1, 5, 12)) * SECOND, random.choice((0, 3, 6, 20)) * SECOND
    return Match(some_selector(random), random.randint(1, 3), until, lasting, gap)


def some_timer(random: Random) -> Timer:
    during = random.choice((5, 10, 30))
    warn = tuple(random.sample((1, 2, 4), random.randint(0, 2)))
    until = random.choice((None, some_selector(random)))
    spans = tuple(span * SECOND for span in warn)
    return Timer(some_selector(random), during * SECOND, some_key(random), until, spans, random.random() < 0.7, random.random() < 0.2)


def some_zones(random: Random) -> Zones:
    boxes = []
    for lon, lat in ((179.999, 60.0), (0.0, 0.0), (-122.3, -47.6)):
        for _ in range(random.randint(1, 2)):
            west, south = random.uniform(-0.003, 0.0), random.uniform(-0.002, 0.0005)
            boxes.append((lon + west, lat + south, min(180.0, lon + west + 0.003), lat + south + 0.002))
    return Zones("z", "0", zones=tuple(Zone(",".join(map(repr, box)), to_wkb(shapely_box(*box))) for box in boxes))


def some_zone_event(random: Random, what: str) -> ZoneEvent:
    of = random.choice((selector("a"), some_selector(random)))
    gap = random.choice((0, 5, 20) if what in ("dwells", "stays") else (0, 0, 60)) * SECOND
    if what == "stays":
        return ZoneEvent(of, what, None, random.choice((0, 3, 10)) * SECOND, gap, random.choice((10.0, 400.0, 900.0)))
    return ZoneEvent(of, what, some_zones(random), random.choice((1, 5, 12)) * SECOND, gap)


def some_rate(random: Random) -> Rate:
    measure = random.choice(("count", "count", "sources", "sum", "mean"))
    during, windows = random.choice((3, 10, 40)) * SECOND, random.choice((1, 1, 1, 2, 3))
    baseline = None
    if random.random() < 0.3:
        means = tuple(float(random.randint(0, 2)) for _ in range(168))
        learnt = tuple(Learnt(key, random.choice((3, 4)), means, (0.5,) * 168) for key in ("all", "f", "f/s1", "p", "1.0"))
        baseline = Baseline(2.0, 4, "", learnt)
    return Rate(
        some_selector(random),
        during,
        measure,
        random.choice((0.0, 1.0, 2.0)),
        random.choice((0.0, 2.0)),
        windows,
        baseline,
        some_key(random),
        random.choice(("source", "attrs.x", "attrs.to")) if measure == "sources" else "source",
    )


def some_accumulate(random: Random) -> Accumulate:
    during, hold = random.choice((10, 30, 60)), random.choice((3, 8, 20))
    total, integral = random.choice((2, 5, 9)) * SECOND, None
    if random.random() < 0.4:
        total, integral = 0, random.choice((4.0, 10.0, 25.0))
    also = tuple(some_selector(random) for _ in range(random.choice((0, 0, 1))))
    return Accumulate(some_selector(random), during * SECOND, hold * SECOND, total, integral, also, some_key(random))


def some_area(random: Random) -> Area:
    span = random.choice((0, 4, 15)) * SECOND
    way = random.choice(("warned", "warned", "around", "sector", "zones"))
    if way == "zones":
        return some_zones(random)
    if way == "warned":
        return WarnedArea(selector(random.choice("ab")), span)
    if way == "around":
        return Around(some_selector(random), random.choice((250.0, 650.0)), span)
    wind = random.choice((None, some_selector(random)))
    bearing = random.choice(("value", "attrs.to"))
    return Sector(
        some_selector(random), 650.0, random.choice((77.0, 190.0)), bearing, span, 31.0, wind, random.choice((math.inf, 450.0)), span
    )


def some_links(random: Random) -> dict[str, tuple[str, ...]]:
    way = random.random()
    if way < 0.6:
        return {}
    return (
        {"same": ("attrs.x",)} if way < 0.75 else {"differs": ("source",)} if way < 0.9 else {"same": ("attrs.x",), "differs": ("source",)}
    )


def some_inside(random: Random) -> Inside:
    area = some_area(random)
    links = {} if isinstance(area, Zones) else some_links(random)
    stays = random.random() < 0.5 and not isinstance(area, Zones)
    return Inside(some_selector(random), area, stays, random.choice((0, 5, 25)) * SECOND, **links)


def some_steps(random: Random) -> Sequence:
    any_order = random.random() < 0.6
    spans = (2, 6, 20)
    steps = []
    for _ in range(random.randint(1, 2)):
        within = random.choice((math.inf, 450.0, 900.0))
        steps.append(Step(some_selector(random), within, random.choice(spans) * SECOND, random.choice((0, 0, 2)) * SECOND))
    during = random.choice(spans) * SECOND if any_order or random.random() < 0.3 else 0
    return Sequence(some_selector(random), tuple(steps), any_order, during, **some_links(random))


def some_alerts(random: Random) -> Alerts:
    names = random.sample([f"r{i}" for i in range(3)], random.randint(1, 3))
    how = random.choice(("all", "any"))
    return Alerts(tuple(names), how, random.choice((math.inf, 450.0, 900.0)), random.choice((0, 5, 20)) * SECOND, random.randint(1, 2))


def dressed(random: Random, fact: Fact) -> Fact:
    """A fact with an area and attributes, sometimes."""
    area = None
    if random.random() < 0.4 and fact.placed and abs(fact.lon) < 179.9:
        west, south = fact.lon + random.uniform(-0.004, 0.001), fact.lat + random.uniform(-0.004, 0.001)
        area = to_wkb(shapely_box(west, south, west + random.uniform(0.001, 0.006), south + random.uniform(0.001, 0.006)))
    attrs = (("x", random.choice(("p", "q", 1.0))), ("to", float(random.randint(0, 360))))
    return replace(fact, area=area, attrs=tuple(pair for pair in attrs if random.random() < 0.7))


def some_linked_cluster(random: Random) -> Cluster:
    plain = some_cluster(random)
    way = random.choice((1, 2, 3))
    return replace(plain, same=("attrs.x",) if way & 1 else (), distinct=random.choice(("attrs.to", "attrs.x")) if way & 2 else "source")


def some_linked_absence(random: Random) -> Absence:
    plain = some_absence(random)
    return replace(plain, same=random.choice((("attrs.x",), ("source",))), within=random.choice((math.inf, plain.within)))


def some_outage(random: Random) -> Silence:
    area = AreaOutage(
        random.choice((0.2, 0.5, 1.0)), random.randint(2, 4), random.choice((250.0, 650.0)), random.choice((0, 5, 20)) * SECOND
    )
    return Silence(some_selector(random), random.choice((3, 10)) * SECOND, "source", random.choice(((), ("f/s1", "g/s9"))), area)


OPERATORS: dict[str, Callable[[Random], Operator]] = {
    "change": some_change,
    "lasting": some_lasting,
    "timer": some_timer,
    **{what: partial(some_zone_event, what=what) for what in ("enters", "leaves", "dwells", "stays")},
    "rate": some_rate,
    "accumulate": some_accumulate,
    "inside": some_inside,
    "steps": some_steps,
    "single": lambda random: Match(some_selector(random)),
    "linked cluster": some_linked_cluster,
    "linked absence": some_linked_absence,
    "outage": some_outage,
}
#: Run by the kernels, but for their guards.
GUARDED: dict[str, Callable[[Random], Operator]] = {
    "guarded match": some_match,
    "guarded cluster": some_cluster,
    "guarded absence": some_absence,
    "guarded silence": some_silence,
    "guarded sequence": some_sequence,
}


KERNELS = ("match", "cluster", "absence", "silence")


def some_guard(random: Random) -> Guard:
    if random.random() < 0.4:
        return Within(WarnedArea(selector(random.choice("ab")), 15 * SECOND))
    same = random.choice(((), ("attrs.x",), ("source",)))
    return Active(some_selector(random), random.choice((math.inf, 500.0)), random.choice((0, 20)) * SECOND, same)


def some_rules(seed: int, operators: tuple[str, ...], n: int) -> list[RulePlan]:
    random = Random(seed)
    rules = []
    for _ in range(n):
        unless = ()
        if random.random() < 0.2:
            unless = (Active(some_selector(random), some_radius(random), random.choice((0, 10)) * SECOND),)
        operator = random.choice(operators)
        made = rule((OPERATORS | GUARDED | PLAIN)[operator](random), some_per(random), unless=unless)
        if isinstance(made.when, Timer) and made.when.repeat:  # its anchors outlive the areas that guards remember
            rules.append(made)
            continue
        wanted = outside(made) or operator in GUARDED
        if wanted and random.random() < 0.2:
            made = replace(made, unless=(*unless, some_guard(random)))
        if wanted and (random.random() < 0.2 or (operator in GUARDED and not outside(made))):
            made = replace(made, only=(some_guard(random),))
        rules.append(made)
    return rules


def play(rules: list[RulePlan], world: World, sizes: Sizes, seed: int, since: int = 0) -> int:
    """Plays a world, with the entries cut and the engine restarted at random places; returns how many firings there were
    of rules from number `since` on."""
    random, entries = Random(seed), world.stream()
    restarts = random.sample(range(len(entries)), min(2, len(entries)))
    for entry in entries:
        entry.facts = [dressed(random, fact) for fact in entry.facts]
    pair = HistoryPair(plan(*rules, lateness=LATENESS), sizes)
    times = {fact.seq: fact.time for entry in entries for fact in entry.facts}
    clock, n = 0, 0
    for i, entry in enumerate(entries):
        if i in restarts:
            pair.restart() if random.random() < 0.5 or not all(map(outside, rules)) else pair.reload()
        entry.gone = tuple(seq for seq in entry.gone if times[seq] >= clock - LATENESS * SECOND)  # older ones are not judged again
        clock = max(clock, entry.ingest)
        cuts = sorted(random.sample(range(len(entry.facts) + 1), min(random.randint(0, 2), len(entry.facts))))
        got, wanted = pair.step(entry, cuts)
        for key, checked in enumerate(rules):
            mine, theirs = (shown(rows, key, checked) for rows in (got, wanted))
            assert mine == theirs, f"entry {i}, rule {rules[key].when}, {rules[key].alert.per}, clock {clock}\n{mine}\n{theirs}\n" + told(
                entries[: i + 1]
            )
        n += sum(int(row[0]) >= since for row in got)
    return n


def with_alerts(seed: int, operators: tuple[str, ...]) -> list[RulePlan]:
    """Three rules, one that looks at their alerts, and one that looks at its alerts, too."""
    random = Random(seed)
    rules = [*some_rules(seed, operators, 3), rule(some_alerts(random), some_per(random))]
    above = Alerts(("r3", random.choice(("r0", "r1"))), random.choice(("all", "any")), during=20 * SECOND)
    return [*rules, rule(above, some_per(random))]


def told(entries: list[Entry]) -> str:
    """A stream, short enough to be read."""
    lines = []
    for entry in entries:
        lines.append(f"-- {entry.ingest / SECOND} gone {entry.gone}")
        lines += [
            f"{f.seq} {f.time / SECOND} {f.kind} {f.source} {f.value} {f.dimension} {f.severity} {f.lon} {f.lat}" for f in entry.facts
        ]
    return "\n".join(lines)


def shown(rows: list[tuple], rule: int, one: RulePlan) -> list[tuple]:
    """The rows of a rule; without evidence where it is shown, but not determined. What one event takes back in the kernels has no order of its
    own, and so what falls with it."""
    whole = outside(one) and not isinstance(one.when, Cluster)
    mine = [row if whole else row[:-1] for row in rows if row[0] == str(rule)]
    if not outside(one) or alerts_read(one):
        runs = (list(run) for _, run in itertools.groupby(mine, key=lambda row: row[1]))
        mine = [row for run in runs for row in (sorted(run) if run[0][1] == "RETRACT" else run)]
    if (
        isinstance(one.when, Silence) and one.when.area is not None
    ):  # an outage may grow when its group is closed and has forgotten its count
        return [(*row[:5], "", *row[6:]) if row[1] == "JOIN" else row for row in mine]
    return mine


SIZES = (TINY, Sizes(10, 9, 8, 8))


@pytest.mark.parametrize("operator", [*sorted(OPERATORS.keys() - {"leaves"}), *GUARDED])
def test_one_operator_with_a_history(operator: str) -> None:
    fired = 0

    @quick
    @given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES))
    def parity(seed: int, world: World, sizes: Sizes) -> None:
        nonlocal fired
        fired += play(some_rules(seed, (operator,), 2), world, sizes, seed)

    parity()
    assert fired > 20  # the worlds are not empty


def test_what_leaves_a_zone() -> None:
    """In a thin world hardly anything does."""
    fired = 0

    @quick
    @given(st.integers(0, 1 << 30), st.sampled_from(SIZES))
    def parity(seed: int, sizes: Sizes) -> None:
        nonlocal fired
        world = World(seed, entries=40, crowd=8, sources=2)
        fired += play(some_rules(seed, ("leaves",), 2), world, sizes, seed)

    parity()
    assert fired > 20


@quick
@given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES))
def test_alerts_of_other_rules(seed: int, world: World, sizes: Sizes) -> None:
    play(with_alerts(seed, (*sorted(OPERATORS), *KERNELS)), world, sizes, seed)


def about_alerts(seed: int, operators: tuple[str, ...]) -> list[RulePlan]:
    """Three rules, one about their alerts, and one held back or let through by alerts of these."""
    random = Random(seed)
    rules = some_rules(seed, operators, 3)
    reader = some_rules(seed + 1, (random.choice(READERS),), 1)[0]
    names = [f"r{i}" for i in range(3)]
    reader = replace(reader, when=renamed(random, reader.when, names), unless=(), only=())
    if isinstance(reader.when, Absence):  # the language knows no span of nothing
        reader = replace(reader, when=replace(reader.when, during=max(reader.when.during, SECOND)))
    if random.random() < 0.3:
        when = Alerts((random.choice(names),), "any")
        reader = replace(reader, when=when)
    guarded = some_rules(seed + 2, (random.choice((*READERS, "guarded match", "guarded cluster", "guarded silence")),), 1)[0]
    near = AlertsNear(
        tuple(random.sample([*names, "r3"], random.randint(1, 2))),
        random.choice(("any", "all")),
        random.choice((5, 20, 60)) * SECOND,
        random.choice((math.inf, 650.0)),
        random.choice(((), ("attrs.x",))),
    )
    other = Active(replace(some_selector(random), kind=f"alert.{random.choice(names)}"), random.choice((math.inf, 500.0)), 20 * SECOND)
    guards: tuple[Guard, ...] = random.choice(((near,), (other,), (near, other)))
    keys = random.choice(("unless", "only"))
    return [*rules, reader, replace(guarded, **{"unless": (), "only": (), keys: guards})]


READERS = ("change", "lasting", "timer", "rate", "inside", "steps", "linked cluster", "linked absence", "guarded silence")


def renamed(random: Random, node: object, names: list[str]) -> object:
    """An operator whose selectors are about alerts, all or some of them."""
    if isinstance(node, Selector):
        kind, least = f"alert.{random.choice(names)}", random.choice((None, None, node.at_least))
        return replace(node, kind=kind, at_least=least, dimension=None) if random.random() < 0.7 else node
    if isinstance(node, tuple):
        return tuple(renamed(random, one, names) for one in node)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{one.name: renamed(random, getattr(node, one.name), names) for one in fields(node)})
    return node


def test_rules_about_alerts() -> None:
    fired = 0
    sources = tuple(sorted({*OPERATORS, *KERNELS} - {"outage"}))

    @quick
    @given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES))
    def parity(seed: int, world: World, sizes: Sizes) -> None:
        nonlocal fired
        fuller = replace(world, entries=20, crowd=max(world.crowd, 5))
        fired += play(about_alerts(seed, sources), fuller, sizes, seed, 3)

    parity()
    assert fired > 100, f"{fired} of the rules about alerts"
