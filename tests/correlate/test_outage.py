"""What the parity worlds are too short for: the day after which a silent source is no part of a group, hours of the week; a cluster's witnesses."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from correlate_harness import SECOND, Pair, plan, rule, selector
from correlate_worlds import World
from oracle import Fact, near

from tocsin.correlate.engine import Engine
from tocsin.correlate.firing import What
from tocsin.model.plan import AreaOutage, Baseline, Cluster, Key, Learnt, Rate, Silence
from tocsin.model.time import HOUR, MINUTE

T = 1_000 * SECOND


def test_a_source_that_was_not_heard_for_a_day_is_no_part_of_the_group() -> None:
    pair = Pair(plan(rule(Silence(selector("a"), HOUR, area=AreaOutage(0.3, 2, 500.0, HOUR)))))

    def heard(name: str, at: int) -> list[str]:
        fact = pair.coded(Fact(0, at, "a", source=("f", name), lon=0.0, lat=0.0))
        said = [pair.engine.push(pair.columns([fact]), at), pair.engine.tick(at + 2 * HOUR)]
        return [label for firings in said for label in firings.labels.values()]

    assert heard("s1", T) == []
    assert heard("s2", T + 23 * HOUR) == ["area"], "s1 was silent long before, but heard that day: one of two turned silent now"
    assert heard("s3", T + 46 * HOUR) == ["area"]
    assert heard("s4", T + 72 * HOUR) == [], "nobody else was heard that day"


@pytest.mark.parametrize(("zone", "rings"), [("America/Los_Angeles", [10.5, 11.5]), ("UTC", [8.5, 9.5, 10.5, 11.5])])
def test_what_is_usual_is_that_of_the_citys_own_hour(zone: str, rings: list[float]) -> None:
    """Two an hour are usual on Sundays between 1 and 2, which the clocks of Los Angeles show twice on 5 November 2017; at no other time any."""
    sunday = 1_509_840_000 * SECOND  # midnight UTC
    usual = tuple(2.0 if hour == 6 * 24 + 1 else 0.0 for hour in range(168))
    learnt = Learnt("all", 4, usual, (0.0,) * 168)
    when = Rate(selector("a"), 20 * MINUTE, above=100.0, baseline=Baseline(3.0, 4, "", (learnt,)), key=Key("all"))

    def rung(when: Rate) -> list[float]:
        pair = Pair(replace(plan(rule(when)), timezone=zone))
        found = []
        for number, at in enumerate((8.5, 9.5, 10.5, 11.5)):  # 1:30, 1:30 again, 2:30 and 3:30 in Los Angeles
            times = [sunday + round(at * HOUR) + i * MINUTE for i in range(2)]
            facts = [pair.coded(Fact(2 * number + i, time, "a", source=("f", "s"))) for i, time in enumerate(times)]
            firings = [pair.engine.push(pair.columns([fact]), fact.time) for fact in facts]
            found += [at for one in firings for what in one.what if what == What.RAISE]
        return found

    assert rung(when) == rings
    few = replace(when, baseline=replace(when.baseline, learnt=(replace(learnt, weeks=3),)))
    assert rung(few) == [], "three weeks are too few: the fixed number counts"


@pytest.mark.parametrize("same", [(), ("attrs.x",)], ids=["kernel", "linked"])
def test_the_evidence_of_a_cluster_is_a_witness(same: tuple[str, ...]) -> None:
    """All of it near the anchor, in one window, agreeing, of enough sources and events."""
    random, seen = Random(5), 0
    for seed in range(30):
        when = Cluster(selector("a"), 450.0, 20 * SECOND, random.randint(1, 3), random.choice((2, 4)), 0, same, "source")
        engine, facts = Engine(plan(rule(when), lateness=30)), dict[int, Fact]()
        pair = Pair(engine.plan)
        pair.engine = engine
        for entry in World(seed, entries=25, crowd=6).stream():
            pushed = [replace(pair.coded(fact), attrs=(("x", random.choice("pq")),)) for fact in entry.facts]
            facts |= {fact.seq: fact for fact in pushed}
            firings = engine.push(pair.columns(pushed), entry.ingest)
            for i in range(len(firings)):
                evidence = [facts[seq] for seq in firings.evidence[firings.offset[i] : firings.offset[i + 1]].tolist()]
                times = [fact.time for fact in evidence]
                assert max(times) - min(times) <= when.during
                assert all(near(evidence[0], fact, when.within) and (not same or fact.attrs == evidence[0].attrs) for fact in evidence)
                assert len({fact.code for fact in evidence}) >= when.sources
                assert len(evidence) >= when.events
                seen += 1
    assert seen > 50
