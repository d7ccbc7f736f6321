"""Histories of single sources, cut by source: the same journal tells the same alerts, revision by revision, with one shard or many."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from runkit import LAT, LON, METRE, SMOKY, Journal, plan, rule, smoke, told
from shapely import box, to_wkb
from shardkit import FOUR, METRE_EAST, TWO, reloading, told_by, wide_rules, words

from tocsin.correlate.shards.assign import Way, shares
from tocsin.correlate.shards.regions import Regions
from tocsin.model.links import BY_SOURCE, Key, Zone
from tocsin.model.plan import (
    Accumulate,
    Active,
    Alerts,
    AreaOutage,
    Baseline,
    Change,
    Learnt,
    Match,
    Operator,
    Per,
    Plan,
    Rate,
    Resolve,
    Silence,
    Timer,
    ZoneEvent,
    Zones,
)
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action
from tocsin.model.time import HOUR, MINUTE, SECOND

CORRECTING = [None, frozenset({"calls"}), frozenset()]
SMOKE = Selector("fire.smoke", dimension="mass concentration")
CALL, FIRE, THERE = Selector("call"), Selector("call.fire"), Selector("unit.onscene")
NEAR, OWN, EVER, ALL = Per(15 * MINUTE, 250.0), Per(15 * MINUTE, 250.0, True), None, Per(30 * MINUTE)


def yards() -> Zones:
    """Two that overlap."""
    made = []
    for name, west in (("West yard", -400), ("East yard", -60)):
        made.append(Zone(name, to_wkb(box(LON + west * METRE_EAST, LAT - 90 * METRE, LON + (west + 460) * METRE_EAST, LAT + 190 * METRE))))
    return Zones("yards", "1", (), tuple(made))


def usual() -> Baseline:
    """One source has a past, the others have not."""
    return Baseline(1.0, 4, "", (Learnt("calls/S-1", 5, (0.5,) * 168, (0.5,) * 168),))


def history_rules() -> Plan:
    """Every operator whose histories are cut, joined in every way."""
    off = Selector("fire.smoke", where=Compare("value", "<=", 120e-9))
    return plan(
        rule("lasting", Match(SMOKY, lasting=MINUTE, max_gap=5 * MINUTE), per=NEAR),
        rule("lasting-until", Match(SMOKY, 2, off, 30 * SECOND, 20 * MINUTE), per=ALL),
        rule("lasting-each", Match(SMOKY, lasting=2 * MINUTE, max_gap=20 * MINUTE)),
        rule("rises", Change(SMOKE, 10 * MINUTE, 50e-9), per=NEAR),
        rule("turns", Change(SMOKE, 20 * MINUTE, None, 1e-10, "either", 3), per=OWN),
        rule("often", Rate(CALL, 15 * MINUTE, above=1, key=BY_SOURCE), per=ALL),
        rule("more-than-usual", Rate(CALL, 30 * MINUTE, above=3, baseline=usual(), key=BY_SOURCE), per=NEAR),
        rule("mean", Rate(SMOKE, 10 * MINUTE, "mean", 120e-9, 2, key=BY_SOURCE), per=OWN),
        rule("long", Accumulate(SMOKY, 30 * MINUTE, 5 * MINUTE, 6 * MINUTE), per=NEAR),
        rule("much", Accumulate(SMOKY, 30 * MINUTE, 10 * MINUTE, integral=150e-9 * 400), per=ALL),
        rule("both", Accumulate(SMOKY, 30 * MINUTE, 10 * MINUTE, MINUTE, also=(FIRE,))),
        rule("overdue", Timer(FIRE, 3 * MINUTE, BY_SOURCE, THERE, (2 * MINUTE,)), per=NEAR),
        rule("again", Timer(FIRE, 10 * MINUTE, BY_SOURCE, THERE, (), False, True)),
        rule("enters", ZoneEvent(Selector("fire.smoke"), "enters", yards()), per=NEAR),
        rule("leaves", ZoneEvent(Selector("fire.smoke"), "leaves", yards(), 0, 30 * MINUTE), per=ALL),
        rule("dwells", ZoneEvent(Selector("call"), "dwells", yards(), 2 * MINUTE, 30 * MINUTE)),
        rule("stays", ZoneEvent(Selector("fire.smoke"), "stays", None, MINUTE, 20 * MINUTE, 200.0), per=NEAR),
        rule("silent", Silence(Selector("fire.smoke"), 2 * MINUTE)),
        rule("silent-own", Silence(CALL, 20 * MINUTE), per=Per(60 * MINUTE, 300.0, True)),
    )


def history_storm(seed: int, entries: int = 40, corrections: float = 0.2) -> Journal:
    """Few sources that speak often, many of them at one instant: late, moving, without a place or a name, corrected; ticks and long silences."""
    draw = random.Random(seed)
    journal, names, at = Journal(), [], 0.0
    for _ in range(entries):
        at += draw.choice((0, 5, 10, 30, 30, 60, 60, 120, 300, 900))
        if draw.random() < 0.15:
            journal.tick(at)
            continue
        journal.add(at, [_said(draw, at, names, corrections) for _ in range(draw.randint(1, 8))])
    return journal.tick(at + 400).tick(at + 4000)


def _said(draw: random.Random, at: float, names: list[str], corrections: float) -> dict[str, Any]:
    late = draw.choice((0, 0, 0, 0, 10, 30, 60, 120, 300, 700))
    kind = draw.choice((*("fire.smoke",) * 5, "call.fire", "call", "unit.onscene"))
    row = smoke(f"S-{draw.randint(0, 2)}", at - late, draw.randint(0, 3) * 60, draw.choice((100, 160, 160, 170)))
    row |= {"id": f"e{len(names)}", "kind": kind, "lon": LON + draw.randint(-4, 4) * 60 * METRE_EAST}
    row |= {"feed": draw.choice(("sensors", "calls", "sensors.b"))}
    if kind != "fire.smoke":
        row |= {"value": None, "unit": None}
    if draw.random() < 0.04:
        row |= draw.choice(({"lon": None, "lat": None}, {"lon": 200.0}, {"source": None}))
    if names and draw.random() < corrections:
        target = draw.choice((*names[-30:], f"e{len(names) + draw.randint(1, 6)}"))
        row |= {"action": int(draw.choice((Action.UPDATE, Action.CANCEL))), "refers_to": target}
    names.append(str(row["id"]))
    return row


def history_worlds(draw: random.Random) -> Plan:
    """Some of them among others, in any order; without an absence that joins (docs/shards.md says which two may change places)."""
    rules = [*history_rules().rules, *(one for one in wide_rules().rules if one.name not in ("gone", "silence"))]
    draw.shuffle(rules)
    return plan(*rules[: draw.randint(3, len(rules))])


def test_histories_of_single_sources_are_cut_by_source() -> None:
    assert {share.way for share in shares(history_rules())} == {Way.SOURCE}


async def test_the_storms_raise_every_rule_in_every_way() -> None:
    """What the tests below rest on: without alerts, deadlines, labels, late samples and corrections they would prove nothing."""
    raised: Counter[str] = Counter()
    for seed in range(8):
        for alert in (await told(history_rules(), history_storm(seed, 60, 0.3), corrects=None)).alerts:
            raised[f"{alert.rule} {alert.status}"] += 1
    rules = {one.name for one in history_rules().rules}
    assert {f"{name} raised" for name in rules} <= set(raised)
    fallen = {"lasting-each", "rises", "mean", "both", "overdue", "dwells", "stays", "silent", "silent-own"}
    assert {f"{name} retracted" for name in fallen} <= set(raised)


@pytest.mark.parametrize("corrects", CORRECTING, ids=["all", "some", "none"])
@limits(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_shards_tell_what_one_process_tells(corrects: frozenset[str] | None, seed: int) -> None:
    journal, rules = history_storm(seed), history_worlds(random.Random(seed))
    alone = words(await told(rules, journal, corrects=corrects))
    for regions in (Regions(), TWO, FOUR):
        assert words(await told_by(regions, rules, journal, corrects=corrects)) == alone


@limits(max_examples=2, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_shards_that_start_again_say_the_same(seed: int) -> None:
    journal, rules = history_storm(seed), history_rules()
    alone = words(await told(rules, journal, corrects=None))
    assert words(await told_by(FOUR, rules, journal, crash=0.15, corrects=None)) == alone


@pytest.mark.parametrize("seed", range(3))
async def test_feeds_that_may_be_later_than_others(seed: int) -> None:
    journal, late = history_storm(seed), {"calls": MINUTE, "sensors": 20 * MINUTE}
    alone = words(await told(history_rules(), journal, corrects=None, lateness=late))
    assert words(await told_by(FOUR, history_rules(), journal, corrects=None, lateness=late)) == alone


def _plans() -> dict[str, Plan]:
    """Two sets of rules that have some in common; of those, some say other words or join otherwise in the second."""
    rules = history_rules().rules
    other = [
        replace(one, version=f"{one.version}'", alert=replace(one.alert, headline="other words", per=ALL if one.alert.per is OWN else OWN))
        for one in rules[::3]
    ]
    return {"A": plan(*rules[:14]), "B": plan(*reversed(rules[5:]), *(one for one in other if one.name not in {r.name for r in rules[5:]}))}


@pytest.mark.parametrize("seed", range(3))
async def test_other_rules_come_into_force(seed: int) -> None:
    plans = _plans()
    journal, configure = reloading(plans, history_storm(seed, 60).entries, {20: "B", 40: "A"})
    alone = words(await told(plans["A"], journal, corrects=None, configure=configure))
    assert {one.rule for one in alone} >= {one.name for one in plans["B"].rules[:5]}
    assert words(await told_by(FOUR, plans["A"], journal, crash=0.1, corrects=None, configure=configure)) == alone


@pytest.mark.parametrize("corrects", CORRECTING, ids=["all", "some", "none"])
async def test_alerts_of_more_evidence_than_they_keep(corrects: frozenset[str] | None) -> None:
    rules = plan(
        rule("often", Rate(CALL, 20 * MINUTE, above=30, key=BY_SOURCE), per=Per(HOUR, 300.0)),
        rule("each", Rate(CALL, 20 * MINUTE, above=70, key=BY_SOURCE)),
    )
    journal, number = Journal(), 0
    for minute in range(30):
        rows = []
        for _ in range(24):
            number += 1
            row = smoke(f"S-{number % 4}", 60.0 * minute - (400 if number % 11 == 0 else 0), number % 7 * 20.0) | {
                "kind": "call",
                "id": f"e{number}",
            }
            row |= {"feed": ("sensors", "calls")[number % 5 == 0], "value": None, "unit": None}
            rows.append(row | ({"action": int(Action.CANCEL), "refers_to": f"e{number - 45}"} if number % 45 == 0 else {}))
        journal.add(60.0 * minute, rows)
    journal.tick(4000)
    alone = words(await told(rules, journal, corrects=corrects))
    assert {one.rule for one in alone} == {"often", "each"}
    assert max(len(one.evidence) for one in alone) == 64
    assert words(await told_by(FOUR, rules, journal, corrects=corrects)) == alone


async def test_histories_are_forgotten_at_the_same_entries() -> None:
    """A shard that hears nothing of a source for long forgets its old positions when everybody does: what is cancelled then leaves the same behind."""
    rules = plan(rule("leaves", ZoneEvent(SMOKE, "leaves", yards(), 0, 30 * MINUTE)))
    for quiet in ("S-1", "S-2", "S-3", "S-4"):
        journal = Journal().add(0, [smoke(quiet, 0), smoke("S-9", 0)]).add(60, [smoke(quiet, 60)])
        for minute in range(5, 25, 5):
            journal.add(60 * minute, [smoke("S-9", 60 * minute)])
        journal.add(1500, [smoke("S-8", 1500) | {"id": "c", "action": int(Action.CANCEL), "refers_to": f"{quiet}@60"}])
        journal.add(1560, [smoke(quiet, 1560, 5000), smoke("S-9", 1560, 5000)]).tick(4000)
        alone = words(await told(rules, journal, corrects=None))
        assert {one.evidence[0].source for one in alone} == {"S-9"}
        assert words(await told_by(FOUR, rules, journal, corrects=None)) == alone


async def test_a_position_cancelled_when_only_its_alert_remembers_it() -> None:
    """Shards do not know which alerts rest on an event, and have forgotten its id: what they find must not depend on it."""
    for what in ("enters", "leaves", "stays", "dwells"):
        gone = ZoneEvent(SMOKE, what, None if what == "stays" else yards(), 5 * MINUTE, 30 * MINUTE, 500.0)
        rules = plan(rule("here", Match(SMOKE)), rule("zone", gone))
        inside, outside = smoke("S-1", 0), smoke("S-1", 20 * 3600 + 60, 5000)
        cancel = smoke("S-1", 20 * 3600) | {"id": "c", "action": int(Action.CANCEL), "refers_to": inside["id"]}
        journal = Journal().add(0, [inside]).add(60, [smoke("S-1", 60)]).tick(12 * 3600).add(20 * 3600, [cancel])
        journal.add(20 * 3600 + 60, [outside]).tick(21 * 3600)
        alone = words(await told(rules, journal, corrects=None))
        assert any(one.rule == "here" and one.status == "retracted" for one in alone)
        assert {share.way for share in shares(rules)} == {Way.PLACE, Way.SOURCE}
        assert words(await told_by(TWO, rules, journal, corrects=None)) == alone


def test_what_cannot_be_cut_says_why() -> None:
    permit = (Active(Selector("ops.burn_permit"), 200.0, HOUR),)
    lasting = Match(SMOKY, lasting=MINUTE, max_gap=MINUTE)
    operators: dict[str, tuple[Operator, str]] = {
        "all-rate": (Rate(CALL, HOUR, above=3), "of several sources together"),
        "feed-timer": (Timer(CALL, HOUR, Key("feed")), "of several sources together"),
        "cells": (Change(SMOKE, HOUR, 1.0, key=Key("cell", size=500.0)), "of several sources together"),
        "fields": (Accumulate(SMOKY, HOUR, MINUTE, MINUTE, key=Key("fields", ("text",))), "of several sources together"),
        "feeds": (Silence(CALL, HOUR, "feed"), "listens to several sources"),
        "outage": (Silence(CALL, HOUR, area=AreaOutage(0.5, 2, 500.0, MINUTE)), "listens to several sources"),
        "declared": (Silence(CALL, HOUR, declared=("calls/S-1",)), "known beforehand"),
        "leaves": (ZoneEvent(SMOKE, "leaves", yards()), "name a max_gap"),
        "sum": (Rate(SMOKE, HOUR, "sum", -1.0, key=BY_SOURCE), "while nothing is heard"),
        "integral": (Accumulate(SMOKE, HOUR, MINUTE, integral=1.0), "ask for value >= 0"),
        "alerts": (Timer(Selector("alert.often"), HOUR, BY_SOURCE), "it looks at alerts of other rules"),
    }
    made = [(rule(name, when), why) for name, (when, why) in operators.items()]
    made += [
        (rule("near", Silence(CALL, HOUR), per=NEAR), "in the order in which they were first heard"),
        (replace(rule("permit", lasting), unless=permit), "may come from any source"),
        (replace(rule("while", lasting), only=permit), "may come from any source"),
        (rule("field", lasting, per=Per(HOUR, same=("text",))), "joined by fields"),
        (
            replace(rule("ends", lasting), alert=replace(rule("", lasting).alert, resolve=Resolve(below_for=HOUR))),
            "when its condition ends",
        ),
        (rule("watched", lasting), "other rules look at its alerts"),
        (rule("watches", Alerts(("watched",), "all", 500.0, HOUR)), "it looks at alerts of other rules"),
    ]
    for (one, why), share in zip(made, shares(plan(*(one for one, _ in made))), strict=True):
        assert (share.way, why in share.why) == (Way.WHOLE, True), (one.name, share.why)
