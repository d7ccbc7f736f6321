"""`inside`: areas, their updates and their cancels, learnt after the largest lateness, and events learnt after an area has ended (SEMANTICS 7, 18)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import lived, written
from runkit import LAT, LON, METRE, T0, Journal, plan, rule, smoke, told

from tocsin.model.operators import Around, Inside, WarnedArea
from tocsin.model.plan import Per, Plan, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import DAY, MINUTE, SECOND

DAY_S = 86_400
SMOKE, WARNING = Selector("fire.smoke"), Selector("ops.warning", text="ops.warning")
WARNED = WarnedArea(WARNING, 60 * MINUTE)


def box(north: float, metres: float = 150.0) -> bytes:
    """A square round a place so many metres north of the origin."""
    half, lat = metres * METRE, LAT + north * METRE
    return bytes(shapely.to_wkb(shapely.box(LON - half, lat - half, LON + half, lat + half)))


def warning(name: str, at: float, north: float = 0.0, until: float | None = None, **more: Any) -> dict[str, Any]:
    ends = None if until is None else T0 + round(until * SECOND)
    return smoke(name, at, north) | {"kind": "ops.warning", "value": None, "unit": None, "area": box(north), "valid_until": ends} | more


def cancel(of: str, at: float) -> dict[str, Any]:
    return warning(f"x-{of}", at, action=int(Action.CANCEL), refers_to=of)


def inside(standing: bool = False, per: Per | None = None, area: Any = WARNED) -> RulePlan:
    return rule("inside", Inside(SMOKE, area, standing, 20 * MINUTE if standing else 0), per=per)


def alerts(stream: Any) -> set[tuple[str, str]]:
    return {(one.evidence[0].id, one.status) for one in stream.last().values()}


async def test_an_alert_raised_under_a_warning_that_had_been_cancelled_is_taken_back_however_late_that_is_learnt() -> None:
    journal = Journal().add(0, [warning("w", 0)]).add(300, [smoke("before", 300)]).add(900, [smoke("after", 900)])
    journal.add(9000, [cancel("w@0", 600)]).tick(DAY_S)
    stream, _, running = await lived(plan(inside()), journal)
    assert alerts(stream) == {("before@300", "amended"), ("after@900", "retracted")}
    assert stream.alerts[-1].late and stream.alerts[-1].reasons[-1].startswith("taken back by what was learnt 2 h 20 min late")
    assert not running.late.backlog.entries


async def test_an_event_learnt_late_is_inside_a_warning_that_has_been_cancelled_since() -> None:
    journal = Journal().add(0, [warning("w", 0)]).add(600, [cancel("w@0", 600)])
    journal.add(9000, [smoke("before", 300), smoke("after", 900)]).tick(DAY_S)
    stream, _, _ = await lived(plan(inside()), journal)
    assert alerts(stream) == {("before@300", "raised")}


async def test_a_warning_learnt_late_counts_until_it_was_cancelled() -> None:
    journal = Journal().add(300, [smoke("before", 300)]).add(900, [smoke("after", 900)])
    journal.add(9000, [warning("w", 0)]).add(9001, [cancel("w@0", 600)]).tick(DAY_S)
    stream, _, _ = await lived(plan(inside()), journal)
    assert alerts(stream) == {("before@300", "raised")}


async def test_an_update_learnt_late_moves_the_area_from_when_it_was_sent() -> None:
    journal = Journal().add(0, [warning("w", 0)]).add(300, [smoke("a", 300)]).add(900, [smoke("b", 900), smoke("c", 900, 1000)])
    journal.add(9000, [warning("u", 600, 1000, action=int(Action.UPDATE), refers_to="w@0")]).tick(DAY_S)
    stream, _, _ = await lived(plan(inside()), journal)
    assert alerts(stream) == {("a@300", "amended"), ("b@900", "retracted"), ("c@900", "raised")}


async def test_a_cancel_of_a_warning_that_had_ended_by_itself_changes_nothing() -> None:
    journal = Journal().add(0, [warning("w", 0, until=600)]).add(300, [smoke("a", 300)]).add(9000, [cancel("w@0", 900)]).tick(DAY_S)
    stream, learnt, _ = await lived(plan(inside()), journal)
    assert {status for _, status in alerts(stream)} <= {"raised", "amended"}
    assert not [change for one in learnt for change in one.changes]


async def test_a_standing_alert_stays_when_a_warning_is_cancelled_after_it_had_ended() -> None:
    for known in (700, 9000):
        journal = Journal().add(0, [smoke("a", 0)]).add(100, [warning("w", 100, until=600)]).add(known, [cancel("w@100", 650)]).tick(DAY_S)
        stream, _, _ = await lived(plan(inside(standing=True)), journal)
        assert [status for _, status in alerts(stream)] == ["amended"]


def world(seed: int, facts: int, shift: int) -> tuple[Journal, Journal]:
    """Smoke, and warnings that end, are cancelled or moved, all of it learnt up to `shift` seconds later; and the same all in time."""
    draw, came, happened = Random(seed), list[Any](), list[Any]()

    def learn(at: float, row: dict[str, Any], after: float = 0.0) -> float:
        known = max(after, at + draw.choice([0, 0, draw.randint(1, shift)]))
        came.append((known, len(came), row))
        happened.append((at, len(happened), row))
        return known

    for i, at in enumerate(map(float, draw.sample(range(3000), facts))):
        north = draw.randint(0, 5) * 120
        if draw.random() < 0.6:
            learn(at, smoke(f"S-{draw.randint(0, 3)}", at, north) | {"id": f"e{i}"})
            continue
        ends = at + draw.randint(1, 1500) + 0.25 if draw.random() < 0.4 else None
        known = learn(at, warning(f"W-{i}", at, north, ends, id=f"e{i}"))
        if draw.random() < 0.7:
            ended = at + draw.randint(1, 1200) + 0.5
            way = {"action": int(Action.CANCEL)} if draw.random() < 0.6 else {"action": int(Action.UPDATE)}
            learn(ended, warning(f"W-{i}", ended, draw.randint(0, 5) * 120, id=f"x{i}", refers_to=f"e{i}", **way), known)
    return written(came), written(happened)


def stands(stream: Any) -> Counter[Any]:
    """By anchor: what was a warning once is not shown any more when it is cancelled."""
    last = [one for one in stream.last().values() if one.status != "retracted"]
    return Counter((one.rule, one.count, frozenset(event.id for event in one.evidence if event.kind == "fire.smoke")) for one in last)


@pytest.mark.parametrize("shift", [500, 8000])
@pytest.mark.parametrize("standing", [False, True], ids=["passing", "standing"])
@pytest.mark.parametrize("area", [WARNED, Around(WARNING, 200.0, 15 * MINUTE)], ids=["polygon", "circle"])
def test_in_the_end_areas_are_as_if_everything_had_been_known_in_time(area: Any, standing: bool, shift: int) -> None:
    seen = Counter[str]()
    rules: Plan = replace(plan(inside(standing, area=area)), lateness=5 * MINUTE)

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(5, 40))
    def compare(seed: int, facts: int) -> None:
        asyncio.run(same(*world(seed, facts, shift)))

    async def same(late: Journal, in_time: Journal) -> None:
        stream, _, running = await lived(rules, late)
        seen.update(alert.status for alert in stream.alerts if alert.late)
        assert stands(stream) == stands(await told(replace(rules, lateness=DAY), in_time))  # which forgets nothing of it
        assert not running.late.backlog.entries

    compare()
    assert sum(seen.values()) > 1
