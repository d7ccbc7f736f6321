"""Edges, operator by operator: what lies exactly on one belongs to it, what lies a microsecond or a millimetre beyond does not (`valid_until`: not)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from correlate_harness import SECOND, Pair, plan, rule, selector
from correlate_worlds import DEGREE
from oracle import Fact
from shapely import box, from_wkb, to_wkb

from tocsin.correlate.firing import What
from tocsin.correlate.series.zones import ZoneIndex, covers
from tocsin.model.links import Zone
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Active,
    Alerts,
    Around,
    Change,
    Cluster,
    Inside,
    Match,
    Per,
    Rate,
    RulePlan,
    Sequence,
    Silence,
    Step,
    Timer,
    WarnedArea,
    ZoneEvent,
    Zones,
)

A, B = selector("a"), selector("b")
HIGH = selector("a", 3.0)
T, G, R = 60 * SECOND, 10 * SECOND, 300.0
START = 1_000_000 * SECOND
BOX = to_wkb(box(9.0, 49.0, 11.0, 51.0))
ZONES = Zones("z", "0", zones=(Zone("box", BOX),))


def at(kind: str, time: int, source: str = "s", north: float = 0.0, value: float = 4.0, **more: Any) -> Fact:
    """`north`: metres."""
    return Fact(0, START + time, kind, source=("f", source), lon=10.0, lat=50.0 + north / DEGREE, value=value, **more)


def rung(rules: RulePlan | tuple[RulePlan, ...], facts: list[Fact], until: int = 10 * T, known: int = 0) -> int:
    """How many matches of the last rule stand `until` so long after the start. Every fact is known when it happens, but none before `known`."""
    rules = rules if isinstance(rules, tuple) else (rules,)
    pair, said = Pair(plan(*rules, delay=5)), []
    said.append(pair.engine.tick(START))
    for seq, fact in enumerate(sorted(facts, key=lambda one: one.time)):
        said.append(pair.engine.push(pair.columns([pair.coded(replace(fact, seq=seq))]), max(fact.time, START + known)))
    said.append(pair.engine.tick(START + until))
    mine = [what for one in said for what, of in zip(one.what, one.rule, strict=True) if of == len(rules) - 1]
    return mine.count(What.RAISE) - mine.count(What.RETRACT)


def two(gap: int, north: float = 0.0, kinds: str = "aa") -> list[Fact]:
    return [at(kinds[0], 0, "one"), at(kinds[1], gap, "two", north)]


CLUSTER = rule(Cluster(A, R, T, 2, min_gap=G))
CHAIN = rule(Sequence(A, (Step(B, R, T, G),)))
ANY_ORDER = rule(Sequence(A, (Step(B, R, T),), any_order=True, during=T))
UNANSWERED = rule(Absence(A, B, R, T))
PERMITTED = rule(Match(A), unless=(Active(B, R, T),))
JOINED = rule(Match(A), Per(T, R))
LASTING = rule(Match(HIGH, lasting=T, max_gap=G))
DWELLING = rule(ZoneEvent(A, "dwells", ZONES, T, G))
BOTH = (rule(Match(A)), rule(Match(B)), rule(Alerts(("r0", "r1"), "all", R, T)))
MM = 0.001


def every(step: int, last: int) -> list[Fact]:
    """Samples every `step` up to `last`, which has one of its own; then a low one, outside, so that nothing lasts longer."""
    times = [*range(0, last, step), last]
    return [*(at("a", time) for time in times), at("a", last + 1, value=0.0, north=9e5)]


def broken() -> list[Fact]:
    """As `every`, but the second sample comes a microsecond later."""
    return [replace(one, time=one.time + 1) if one.time == START + G else one for one in every(G, T)]


def warned(valid_until: int) -> list[Fact]:
    return [at("b", 0, "w", area=BOX, valid_until=START + valid_until), at("a", T)]


CASES: dict[str, tuple[Any, list[Fact], list[Fact]]] = {  # rule, what rings, what does not by a hair's breadth
    "cluster: window": (CLUSTER, two(T), two(T + 1)),
    "cluster: radius": (CLUSTER, two(G, R), two(G, R + MM)),
    "cluster: min_gap": (CLUSTER, two(G), two(G - 1)),
    "sequence: longest": (CHAIN, two(T, kinds="ab"), two(T + 1, kinds="ab")),
    "sequence: shortest": (CHAIN, two(G, kinds="ab"), two(G - 1, kinds="ab")),
    "sequence: radius": (CHAIN, two(G, R, "ab"), two(G, R + MM, "ab")),
    "sequence: equal times": (rule(Sequence(A, (Step(B, R, T),))), two(0, kinds="ab"), two(-1, kinds="ab")),
    "any order: whole": (ANY_ORDER, two(T, kinds="ba"), two(T + 1, kinds="ba")),
    "absence: begins after A": (UNANSWERED, two(0, kinds="ab"), two(1, kinds="ab")),
    "absence: ends with T": (UNANSWERED, two(T + 1, kinds="ab"), two(T, kinds="ab")),
    "absence: radius": (UNANSWERED, two(G, R + MM, "ab"), two(G, R, "ab")),
    "for: span": (LASTING, every(G, T), every(G, T - 1)),
    "for: max_gap": (LASTING, every(G, T), broken()),
    "dwell: max_gap": (DWELLING, every(G, T), broken()),
    "dwell: span": (DWELLING, every(G, T), every(G, T - 1)),
    "change: window": (rule(Change(A, T, by=3.0)), [at("a", 0, value=0.0), at("a", T)], [at("a", 0, value=0.0), at("a", T + 1)]),
    "change: by": (rule(Change(A, T, by=4.0)), [at("a", 0, value=0.0), at("a", T)], [at("a", 0, value=0.001), at("a", T)]),
    "rate: window": (rule(Rate(A, T, above=1)), two(T), two(T + 1)),
    "accumulate: total": (
        rule(Accumulate(HIGH, 5 * T, T, total=T)),
        [at("a", 0), at("a", T, value=0.0)],
        [at("a", 0), at("a", T - 1, value=0.0)],
    ),
    "inside: valid_until": (rule(Inside(A, WarnedArea(B, 9 * T))), warned(T + 1), warned(T)),
    "inside: circle": (rule(Inside(A, Around(B, R, T))), two(T, R, "ba"), two(T, R + MM, "ba")),
    "active: valid_for": (PERMITTED, two(T + 1, kinds="ba"), two(T, kinds="ba")),
    "active: valid_until": (PERMITTED, warned(T), warned(T + 1)),
    "active: radius": (PERMITTED, two(G, R + MM, "ba"), two(G, R, "ba")),
    "alerts: window": (BOTH, two(T, kinds="ab"), two(T + 1, kinds="ab")),
    "alerts: radius": (BOTH, two(G, R, "ab"), two(G, R + MM, "ab")),
}


@pytest.mark.parametrize(("rules", "rings", "silent"), CASES.values(), ids=CASES)
def test_an_edge_belongs_to_what_it_bounds(rules: Any, rings: list[Fact], silent: list[Fact]) -> None:
    assert (rung(rules, rings), rung(rules, silent)) == (1, 0)


def test_a_gap_as_long_as_allowed_is_no_silence() -> None:
    quiet = rule(Silence(A, T))
    assert [rung(quiet, [at("a", 0), at("a", gap)], gap + 1) for gap in (T, T + 1)] == [0, 0], "the watermark has not come so far"
    assert [rung(quiet, [at("a", 0), at("a", gap)], gap + 5 * SECOND) for gap in (T, T + 1)] == [0, 1], "though heard again already"


def test_an_alert_is_joined_until_the_end_of_its_hold_and_radius() -> None:
    assert [rung(JOINED, two(gap)) for gap in (T, T + 1)] == [1, 2]
    assert [rung(JOINED, two(1, away)) for away in (R, R + MM)] == [1, 2]
    three = [at("a", 0), at("a", T), at("a", 2 * T)]
    assert rung(JOINED, three) == 1, "the hold counts from the newest that joined"
    assert rung(JOINED, [at("a", 0), at("a", 1, north=R), at("a", 2, north=2 * R)]) == 2, "the place is that of the first"


def test_a_fact_as_late_as_allowed_counts() -> None:
    lateness = 600 * SECOND
    assert [rung(rule(Match(A)), [at("a", 0)], 30 * T, known) for known in (lateness, lateness + 1)] == [1, 0]


def test_deadlines_wait_for_the_delay() -> None:
    assert [rung(UNANSWERED, [at("a", 0)], until) for until in (T + 5 * SECOND - 1, T + 5 * SECOND)] == [0, 1]


def test_a_timer_gives_no_all_clear_once_a_newer_event_is_known() -> None:
    """Known before the watermark, whenever it happened; learnt later it takes the deadline back if it happened by then."""
    timer = rule(Timer(A, T))
    assert [rung(timer, two(gap, kinds="aa"), gap + 6 * SECOND) for gap in (T, T + 1, T + 5 * SECOND - 1, T + 5 * SECOND)] == [0, 0, 0, 1]
    assert [learnt_late(timer, [at("a", 0)], at("a", gap), T + 20 * SECOND) for gap in (T, T + 1)] == [0, 1]


def learnt_late(one: RulePlan, first: list[Fact], last: Fact, known: int) -> int:
    """How many matches stand when one more fact is known so long after the start."""
    pair = Pair(plan(one, delay=5))
    facts = [pair.coded(replace(fact, seq=seq)) for seq, fact in enumerate([*first, last])]
    said = [pair.engine.push(pair.columns(facts[:-1]), START), pair.engine.tick(START + known - 1)]
    said += [pair.engine.push(pair.columns(facts[-1:]), START + known), pair.engine.tick(START + known + SECOND)]
    what = [int(one) for firings in said for one in firings.what]
    return what.count(What.RAISE) - what.count(What.RETRACT)


@pytest.mark.parametrize("operator", ["kernel", "history"])
@pytest.mark.parametrize(
    ("one", "other", "metres"), [((0.0, 89.999), (180.0, 89.999), 222.39), ((179.9995, 0.0), (-179.9995, 0.0), 111.195)]
)
def test_nothing_lies_between_neighbours_over_the_pole_and_the_antimeridian(operator: str, one: Any, other: Any, metres: float) -> None:
    events = two(G, kinds="ab")
    facts = [replace(event, lon=place[0], lat=place[1]) for event, place in zip(events, (one, other), strict=True)]
    orders = {"any_order": True, "during": T} if operator == "history" else {}
    assert [rung(rule(Sequence(A, (Step(B, metres * share, T),), **orders)), facts) for share in (1.001, 0.999)] == [1, 0]


def test_a_place_on_the_antimeridian_lies_on_both_sides() -> None:
    east, west = Zone("east", to_wkb(box(179.0, 0.0, 180.0, 1.0))), Zone("west", to_wkb(box(-180.0, 0.0, -179.0, 1.0)))
    index = ZoneIndex(Zones("z", "0", zones=(east, west)))
    for lon, found in ((180.0, [0, 1]), (-180.0, [0, 1]), (179.5, [0]), (-179.5, [1]), (178.9, [])):
        assert list(index.covering(lon, 0.5)) == found
        assert [covers(from_wkb(zone.wkb), lon, 0.5) for zone in (east, west)] == [0 in found, 1 in found]
