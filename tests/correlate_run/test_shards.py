"""The same journal tells the same alerts, revision by revision, however the matching is shared out."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from runkit import LAT, LON, Journal, plan, rule, smoke, told
from shardkit import FOUR, METRE_EAST, TWO, reloading, told_by, wide_rules, wide_storm, wide_worlds, words

from tocsin.correlate.kernels.layout import TOLD
from tocsin.correlate.shards.assign import HALO_MAX, Way, halo, shares
from tocsin.correlate.shards.desk import Desk
from tocsin.correlate.shards.matches import ARRIVED, MATCH, Matches, decode
from tocsin.correlate.shards.regions import Regions, around
from tocsin.correlate.sphere import distance
from tocsin.kernel.fault import Fatal, Skippable
from tocsin.model.plan import Alerts, AlertsNear, Cluster, Match, Per, Plan
from tocsin.model.predicate import Selector
from tocsin.model.time import MINUTE

CORRECTING = [None, frozenset({"calls"}), frozenset()]


@pytest.mark.parametrize("corrects", CORRECTING, ids=["all", "some", "none"])
@limits(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_shards_tell_what_one_process_tells(corrects: frozenset[str] | None, seed: int) -> None:
    journal, rules = wide_storm(seed), wide_worlds(random.Random(seed))
    alone = words(await told(rules, journal, corrects=corrects))
    for regions in (TWO, FOUR):
        assert words(await told_by(regions, rules, journal, corrects=corrects)) == alone


async def test_the_storms_raise_every_rule_and_retract() -> None:
    """What the test above rests on: without alerts it would prove nothing."""
    raised: Counter[str] = Counter()
    for seed in range(10):
        for alert in (await told(wide_rules(), wide_storm(seed, 40, corrections=0.4), corrects=None)).alerts:
            raised[f"{alert.rule} {alert.status}"] += 1
    assert {f"{rule.name} raised" for rule in wide_rules().rules} <= set(raised)
    assert {"gone retracted", "crowd retracted", "near retracted", "near amended", "crowd amended", "chain amended"} <= set(raised)


@limits(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_shards_that_start_again_say_the_same(seed: int) -> None:
    journal, rules = wide_storm(seed, 30), wide_rules()
    alone = words(await told(rules, journal, corrects=None))
    assert words(await told_by(FOUR, rules, journal, crash=0.3, corrects=None)) == alone


def _plans() -> dict[str, Plan]:
    """Two sets of rules that have some in common; the farthest reach is the same."""
    rules = wide_rules().rules
    return {"A": plan(*rules[:9], *rules[10:]), "B": plan(*reversed(rules[4:]))}


@pytest.mark.parametrize("seed", range(2))
async def test_other_rules_come_into_force(seed: int) -> None:
    plans = _plans()
    journal, configure = reloading(plans, wide_storm(seed, 40).entries, {12: "B", 25: "A"})
    alone = words(await told(plans["A"], journal, corrects=None, configure=configure))
    assert words(await told_by(FOUR, plans["A"], journal, crash=0.1, corrects=None, configure=configure)) == alone


def test_a_halo_holds_everything_near_and_hardly_more() -> None:
    """Against distances to many points of the region's edge."""
    random = np.random.default_rng(3)
    for cuts in ((0.0,), (-179.99, 179.99), (10.0, 10.02, 11.0)):
        regions = Regions(cuts)
        lon = np.concatenate([random.uniform(-180, 180, 10), random.choice((*cuts, 180.0, -180.0), 40) + random.normal(0, 0.5, 40)])
        lon, lat = (lon + 180) % 360 - 180, random.choice((0.0, 47.0, 89.0, -89.9), 50) + random.normal(0, 0.05, 50)
        for region in range(regions.count):
            edges = [regions.cuts[region - 1] if region else -180.0, regions.cuts[region] if region < len(cuts) else 180.0]
            near = regions.near(region, lon, lat, 20_000.0)
            for x, y, kept, own in zip(lon.tolist(), lat.tolist(), near.tolist(), regions.owner(lon).tolist(), strict=True):
                away = min(
                    distance(x, y, edge, at) for edge in edges for at in np.clip(np.linspace(y - 0.3, y + 0.3, 601), -90, 90).tolist()
                )
                assert kept >= (own == region or away <= 20_000.0)
                assert kept <= (own == region or away <= 20_100.0)


def test_every_place_has_one_owner_and_no_place_the_first() -> None:
    regions = around(LON, LAT, 4)
    assert regions.count == 4
    assert regions.owner(np.array([np.nan, -180.0, 180.0, regions.cuts[0], np.nextafter(regions.cuts[0], -200)])).tolist() == [
        0,
        0,
        0,
        1,
        0,
    ]
    assert np.bincount(regions.owner(np.random.default_rng(1).normal(LON, 0.107, 4000))).min() > 800
    assert Regions().near(0, np.array([np.nan, 5.0]), np.array([np.nan, 5.0]), 0.0).all()
    for wrong in ((1.0, 1.0), (2.0, 1.0), (-180.0,), (180.0,), (float("nan"),)):
        with pytest.raises(ValueError, match="ascending longitudes"):
            Regions(wrong)


def test_how_rules_are_shared_out_follows_from_the_plan() -> None:
    own = {rule.name: share for rule, share in zip(wide_rules().rules, shares(wide_rules()), strict=True)}
    assert {name for name, share in own.items() if share.way == Way.SOURCE} == {"steady", "steady-own", "silence"}
    assert {name for name, share in own.items() if share.way == Way.WHOLE} == {"steady-permitted"}
    assert (own["chain"].reach, own["near"].reach, halo(wide_rules())) == (700.0, 200.0, 700.0)
    looked_at = rule("both", Alerts(("near", "crowd"), "all", 500.0, 10 * MINUTE))
    excused = replace(rule("quiet", Match(Selector("call"))), unless=(AlertsNear(("own",), "any", 5 * MINUTE),))
    far = rule("far", Cluster(Selector("call"), 2 * HALO_MAX, MINUTE, 2))
    joined = rule("joined", Match(Selector("call")), per=Per(MINUTE, 100.0, same=("text",)))
    more = plan(*wide_rules().rules, looked_at, excused, far, joined)
    ways = {rule.name: share.way for rule, share in zip(more.rules, shares(more), strict=True)}
    whole = {"steady-permitted", "near", "crowd", "own", "both", "quiet", "far", "joined"}
    assert {name for name in ways if ways[name] == Way.WHOLE} == whole


async def test_rules_that_look_at_alerts_see_those_of_rules_that_could_be_cut() -> None:
    both = rule("both", Alerts(("near", "own"), "all", 500.0, 20 * MINUTE), per=Per(20 * MINUTE, 400.0))
    rules = plan(*wide_rules().rules, both)
    raised = 0
    for seed in range(2):
        journal = wide_storm(seed, 40)
        alone = words(await told(rules, journal, corrects=None))
        raised += sum(alert.rule == "both" for alert in alone)
        assert words(await told_by(TWO, rules, journal, corrects=None)) == alone
    assert raised


async def test_alerts_of_more_evidence_than_they_keep() -> None:
    """Beyond it, what is told depends on which events may be taken back."""
    rules = plan(rule("crowd", Cluster(Selector("fire"), 300.0, 60 * MINUTE, 2), per=Per(60 * MINUTE, 300.0)))
    journal, number = Journal(), 0
    for minute in range(12):
        rows = []
        for _ in range(12):
            number += 1
            row = _smoke(number, ("sensors", "calls")[number % 7 == 0], minute, (number % 9 - 4) * 30)
            rows.append(row | ({"action": 2, "refers_to": f"e{number - 35}"} if number % 35 == 0 else {}))
        journal.add(60.0 * minute, rows)
    journal.tick(5000)
    for corrects in CORRECTING:
        alone = words(await told(rules, journal, corrects=corrects))
        assert alone[-1].count > 64
        assert words(await told_by(FOUR, rules, journal, corrects=corrects)) == alone


def _smoke(number: int, feed: str, minute: int, east: float) -> dict[str, Any]:
    row = smoke(f"S-{number % 5}", 60.0 * minute)
    return row | {"id": f"e{number}", "feed": feed, "lon": LON + east * METRE_EAST}


def test_what_a_shard_says_survives_the_wire_or_is_refused() -> None:
    rows = np.zeros(3, MATCH)
    rows["anchor"], rows["lon"], rows["last"] = [5, 6, 7], [1.5, np.nan, -3.0], 2
    matches = Matches(9, rows, np.array([(5, 0), (4, 1)], TOLD), (("feed", None), ("feed", "s")))
    content = matches.encode()
    again = decode(content)
    assert (again.entry, again.names) == (9, matches.names)
    assert (again.rows.tobytes(), again.told.tobytes()) == (rows.tobytes(), matches.told.tobytes())
    for at in range(0, len(content), 7):
        with pytest.raises(Skippable):
            decode(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])


def test_shards_that_have_read_another_journal_stop_the_correlator() -> None:
    desk, rows = Desk(), np.zeros(1, MATCH)
    rows["phase"], rows["anchor"] = ARRIVED, 10 << 20
    desk.bring(10, [(0, Matches(10, rows, np.empty(0, TOLD), (("f", None),)))])
    with pytest.raises(Fatal, match="1 matches that the shards found in journal entry 10"):
        desk.bring(11, [])
