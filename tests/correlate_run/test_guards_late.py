"""Guards (`unless`, `while`) and what is learnt of them after the matches they concern: a warning, its update, its cancel."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import counted, lived
from runkit import T0, Journal, call_then_smoke, no_engine, plan, rule, smoke, smoke_cluster, smoke_match, told

from tocsin.model.guards import Within
from tocsin.model.operators import Around
from tocsin.model.plan import Active, Cluster, Match, Per, Rate, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import HOUR, MINUTE, SECOND

DAY_S = 86_400
PERMIT = Selector("ops.burn_permit", text="ops.burn_permit")
ALLOWED = Active(PERMIT, 500.0, HOUR)


def permit(name: str, at: float, north: float = 0.0, **more: Any) -> dict[str, Any]:
    return smoke(name, at, north) | {"kind": "ops.burn_permit", "value": None, "unit": None} | more


def cancel(of: str, at: float) -> dict[str, Any]:
    return permit(f"x-{of}", at, action=int(Action.CANCEL), refers_to=of)


def only(base: RulePlan, *guards: Any) -> RulePlan:
    return replace(base, only=guards)


def unless(base: RulePlan, *guards: Any) -> RulePlan:
    return replace(base, unless=guards)


@pytest.mark.parametrize("behind", [60, 500, 7200])
async def test_a_permit_learnt_after_the_smoke_takes_its_alert_back(behind: int) -> None:
    """In time for the live engine, or not: only what was raised before it came was raised in error."""
    journal = Journal().add(100, [smoke("a", 100)]).add(100 + behind, [permit("p", 50)]).add(130 + behind, [smoke("b", 130 + behind)])
    stream, _, _ = await lived(plan(unless(smoke_match(), ALLOWED)), journal.tick(DAY_S))
    raised = {"a@100", f"b@{130 + behind}"} if behind > 3600 else {"a@100"}
    assert {alert.evidence[0].id for alert in stream.alerts if alert.status == "raised"} == raised
    (back,) = [alert for alert in stream.alerts if alert.status == "retracted"]
    assert [event.id for event in back.evidence] == ["a@100", "p@50"]
    assert back.reasons[-1].startswith("taken back by what was learnt ")


@pytest.mark.parametrize("behind", [60, 500, 7200])
@pytest.mark.parametrize("how", ["while", "unless"])
async def test_a_cancel_learnt_after_the_smoke_changes_what_was_decided_under_the_permit(behind: int, how: str) -> None:
    guarded = (only if how == "while" else unless)(smoke_match(), ALLOWED)
    journal = Journal().add(50, [permit("p", 50)]).add(90, [smoke("early", 90)]).add(200, [smoke("a", 200)])
    journal.add(100 + behind, [cancel("p@50", 100)]).tick(DAY_S)
    stream, _, _ = await lived(plan(guarded), journal)
    last = {(alert.evidence[0].id, alert.status) for alert in stream.last().values()}
    assert last == ({("early@90", "raised"), ("a@200", "retracted")} if how == "while" else {("a@200", "raised")})
    assert {alert.late for alert in stream.alerts if alert.evidence[0].id == "a@200" and alert.status != "raised"} <= {True}


async def test_what_came_at_once_is_not_looked_at_again() -> None:
    journal = Journal().add(50, [permit("p", 48)]).add(90, [smoke("early", 90)]).add(102, [cancel("p@48", 100)]).tick(DAY_S)
    _, learnt, _ = await lived(plan(unless(smoke_match(), ALLOWED)), journal)
    assert not learnt


@pytest.mark.parametrize(("ends", "stands"), [(40_000, False), (30_000, True)], ids=["in force", "ended"])
async def test_a_permit_in_force_for_longer_than_its_rule_says_is_known_to_what_is_learnt_late(ends: int, stands: bool) -> None:
    """It names its own end, and began long before the time that is read again."""
    valid = permit("p", 0) | {"valid_until": T0 + ends * SECOND}
    journal = Journal().add(0, [valid]).tick(20_000).add(45_000, [smoke("a", 35_000)]).tick(2 * DAY_S)
    stream, learnt, _ = await lived(plan(unless(smoke_match(), ALLOWED)), journal)
    assert len(learnt) == 1
    assert [alert.evidence[0].id for alert in stream.last().values()] == (["a@35000"] if stands else [])


@pytest.mark.parametrize("known", [20_000, 34_000, 46_000], ids=["long before", "before", "after"])
async def test_a_permit_in_force_for_long_counts_until_it_was_cancelled(known: int) -> None:
    valid = permit("p", 0) | {"valid_until": T0 + 40_000 * SECOND}
    journal = Journal().add(0, [valid]).tick(10_000)
    rows = [(known, [cancel("p@0", 19_000)]), (45_000, [smoke("a", 35_000), smoke("b", 18_000)])]
    for at, entry in sorted(rows, key=lambda pair: pair[0]):
        journal.add(at, entry)
    stream, _, running = await lived(plan(unless(smoke_match(), ALLOWED)), journal.tick(2 * DAY_S))
    assert {alert.evidence[0].id for alert in stream.last().values() if alert.status != "retracted"} == {"a@35000"}
    assert not running.late.backlog.entries


@pytest.mark.parametrize(
    "when", [Cluster(Selector("fire.smoke"), 300.0, 10 * MINUTE, 2), Rate(Selector("fire.smoke"), 10 * MINUTE, above=1.0)]
)
async def test_a_permit_learnt_late_takes_back_what_a_history_found(when: Any) -> None:
    """Its journal position is after that of everything it should have kept silent."""
    region = Within(Around(Selector("ops.closed"), 300.0, HOUR))
    journal = Journal().add(100, [smoke("a", 100)]).add(130, [smoke("b", 130)]).add(7200, [permit("p", 50)]).tick(DAY_S)
    stream, _, _ = await lived(plan(unless(rule("found", when), region, ALLOWED)), journal)
    assert [alert.status for alert in stream.alerts] == ["raised", "retracted"]


def world(seed: int, facts: int, shift: float) -> tuple[Journal, Journal]:
    """Facts as they happen; permits and their cancels come up to `shift` seconds later; and the same all in time."""
    draw = Random(seed)
    came: list[tuple[float, dict[str, Any]]] = []
    happened: list[tuple[float, dict[str, Any]]] = []
    for i, at in enumerate(map(float, draw.sample(range(3000), facts))):
        kind = draw.choice(["fire.smoke", "fire.smoke", "call.fire", "unit.onscene", "ops.burn_permit"])
        row = smoke(f"S-{draw.randint(0, 3)}", at, draw.randint(0, 5) * 120, draw.choice([100.0, 160.0])) | {"id": f"e{i}", "kind": kind}
        if kind != "fire.smoke":
            row |= {"value": None, "unit": None}
        delay = draw.choice([0.0, draw.uniform(20, shift)]) if kind == "ops.burn_permit" else 0.0
        came.append((at + delay, row))
        happened.append((at, row))
        if kind == "ops.burn_permit" and draw.random() < 0.6:
            ended = at + draw.randint(1, 600) + 0.5
            late = cancel(f"e{i}", ended)
            came.append((max(at + delay, ended + draw.choice([0.0, draw.uniform(20, shift)])), late))
            happened.append((ended, late))
    return tuple(_journal(rows) for rows in (came, happened))  # type: ignore[return-value]


def _journal(rows: list[tuple[float, dict[str, Any]]]) -> Journal:
    journal = Journal().tick(-60)
    for at, row in sorted(rows, key=lambda pair: pair[0]):
        journal.add(at, [row])
    return journal.tick(DAY_S)


def guarded_rules(per: Per | None) -> list[RulePlan]:
    near = Active(PERMIT, 250.0, 8 * MINUTE)
    under = Within(Around(PERMIT, 300.0, 8 * MINUTE))
    return [
        unless(smoke_match(per), near),
        only(smoke_cluster(2, per), near),
        unless(call_then_smoke(), near),
        unless(no_engine(), near),
        only(rule("under", Match(Selector("call")), per=per), under),
        unless(rule("not-under", Cluster(Selector("fire.smoke"), 300.0, 10 * MINUTE, 2)), under, near),
        rule("permits", Match(PERMIT), per=per),
    ]


@pytest.mark.parametrize("per", [None, Per(2 * MINUTE, 250.0)])
@pytest.mark.parametrize("shift", [400.0, 5000.0])
def test_in_the_end_guards_are_as_if_everything_had_been_known_in_time(per: Per | None, shift: float) -> None:
    """Permits and cancels within lateness, and beyond it."""
    rules, seen = plan(*guarded_rules(per)), Counter[str]()

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(5, 40))
    def compare(seed: int, facts: int) -> None:
        asyncio.run(same(*world(seed, facts, shift)))

    async def same(journal: Journal, in_time: Journal) -> None:
        stream, _, running = await lived(rules, journal)
        seen.update(alert.status for alert in stream.alerts if alert.late)
        assert counted(stream.last()) == counted((await told(rules, in_time)).last())
        assert not running.late.backlog.entries

    compare()
    assert min(seen[status] for status in ("raised", "retracted")) > 1
