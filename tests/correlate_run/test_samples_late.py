"""`match` with `samples` or `until`: samples that come out of order are judged by when they happened (SEMANTICS 20), some seconds after."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import lived, written
from runkit import SMOKY, Journal, Stream, correlator, plan, rule, smoke, smoke_cluster, told
from shardkit import FOUR, TWO, Party

from tocsin.correlate.shards.regions import Regions
from tocsin.model.plan import Match, Per, Plan
from tocsin.model.predicate import Compare, Selector

DAY_S = 86_400
CLEAN = Selector("fire.smoke", where=Compare("value", "<=", 50e-9))


def high(at: float, name: str = "a") -> dict[str, Any]:
    return smoke(name, at)


def low(at: float, name: str = "a") -> dict[str, Any]:
    return smoke(name, at, value=20.0)


def stands(stream: Any) -> Counter[Any]:
    last = [one for one in stream.last().values() if one.status != "retracted"]
    return Counter((one.rule, one.count, frozenset(event.id for event in one.evidence if event.role != "member")) for one in last)


async def test_a_sample_out_of_order_completes_what_it_belongs_to() -> None:
    """Two in a row happened, though a low one came between them."""
    rules = plan(rule("twice", Match(SMOKY, 2)))
    journal = Journal().add(0, [high(0)]).add(20, [low(20)]).add(30, [high(10)]).tick(60).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    (alert,) = stream.last().values()
    assert (alert.status, alert.late, [event.id for event in alert.evidence]) == ("raised", True, ["a@10"])
    assert "learnt 20 s late" in alert.reasons[-1]


async def test_a_low_sample_out_of_order_takes_back_what_was_not_in_a_row() -> None:
    rules = plan(rule("twice", Match(SMOKY, 2)))
    journal = Journal().add(0, [high(0)]).add(20, [high(20)]).add(23, [low(10)]).tick(60).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    assert [alert.status for alert in stream.alerts] == ["raised", "retracted"]


async def test_what_never_left_rest_is_not_looked_at_again() -> None:
    rules = plan(rule("twice", Match(SMOKY, 2)))
    journal = Journal().add(20, [low(20), high(15, "b")]).add(30, [low(10)]).tick(DAY_S)
    _, learnt, running = await lived(rules, journal)
    assert not learnt
    assert "tocsin_correlate_engine_stale_samples_total 1" in running.metrics()


def world(seed: int, facts: int, late: float) -> tuple[Journal, Journal]:
    """Readings of three sources, some of which come late, within lateness or beyond it; and the same in order."""
    draw, came, happened = Random(seed), [], []
    for number, at in enumerate(map(float, sorted(draw.sample(range(2400), facts)))):
        row = smoke(f"S-{draw.randint(0, 2)}", at, draw.randint(0, 2) * 100, draw.choice([20.0, 100.0, 160.0, 160.0])) | {
            "id": f"e{number}"
        }
        came.append((at + (draw.choice([3.0, 60.0, 400.0, 5000.0]) if draw.random() < late else 0.0), number, row))
        happened.append((at, number, row))
    return written(came, 3000), written(happened, 3000)


@pytest.mark.parametrize("per", [None, Per(3 * 60_000_000, 500.0)], ids=["alone", "joined"])
def test_in_the_end_samples_are_judged_as_if_they_had_come_in_order(per: Per | None) -> None:
    """Clusters beside them are judged as ever: only what came too late changes them."""
    seen = Counter[str]()
    plan_: Plan = plan(rule("twice", Match(SMOKY, 2), per=per), rule("state", Match(SMOKY, 2, CLEAN), per=per), smoke_cluster(2, per))

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(4, 40), st.sampled_from((0.1, 0.4)))
    def compare(seed: int, facts: int, late: float) -> None:
        asyncio.run(same(*world(seed, facts, late)))

    async def same(out_of_order: Journal, in_time: Journal) -> None:
        stream, _, running = await lived(plan_, out_of_order)
        seen.update(alert.status for alert in stream.alerts if alert.late and alert.rule != "cluster")
        assert mine(stream) == mine(await told(plan_, in_time))
        assert not running.late.backlog.entries

    compare()
    assert min(seen[status] for status in ("raised", "retracted")) > 1


def mine(stream: Any) -> Counter[Any]:
    return Counter({key: number for key, number in stands(stream).items() if key[0] != "cluster"})


@pytest.mark.parametrize("regions", [TWO, FOUR], ids=["two", "four"])
async def test_shards_leave_the_same_samples_to_be_judged_again(regions: Regions) -> None:
    rules, seen = plan(rule("twice", Match(SMOKY, 2)), rule("state", Match(SMOKY, 2, CLEAN)), smoke_cluster(2, None)), 0
    for seed in range(8):
        out_of_order, _ = world(seed, 40, 0.4)
        alone = correlator(rules, out_of_order)
        await alone.run(out_of_order.read(), Stream().publish)
        party = Party(rules, out_of_order, regions, crash=0.2)
        shared = party.correlator()
        await shared.run(party.entries(), Stream().publish)
        assert shared.late.backlog.entries == alone.late.backlog.entries
        seen += len(alone.late.backlog.entries)
    assert seen > 8
