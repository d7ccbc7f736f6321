"""What the parity worlds are too short for: the day after which a silent source is no part of a group any more; and a cluster's witnesses."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from correlate_harness import SECOND, Pair, plan, rule, selector
from correlate_worlds import World
from oracle import Fact, near

from tocsin.correlate.engine import Engine
from tocsin.model.plan import AreaOutage, Cluster, Silence
from tocsin.model.time import HOUR

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


def test_the_evidence_of_a_cluster_is_a_witness() -> None:
    """All of it near the anchor, in one window, agreeing, of enough sources and events."""
    random, seen = Random(5), 0
    for seed in range(30):
        when = Cluster(selector("a"), 450.0, 20 * SECOND, random.randint(1, 3), random.choice((2, 4)), 0, ("attrs.x",), "source")
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
                assert all(near(evidence[0], fact, when.within) and fact.attrs == evidence[0].attrs for fact in evidence)
                assert len({fact.code for fact in evidence}) >= when.sources
                assert len(evidence) >= when.events
                seen += 1
    assert seen > 50
