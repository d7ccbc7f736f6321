"""SEMANTICS 7: what updates and cancels leave of an alert, against a plain account of which facts stand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runkit import METRE, SMOKY, T0, Journal, call_then_smoke, no_engine, plan, rule, silence, smoke, smoke_cluster, smoke_match, told

from tocsin.correlate.recheck import Piece, holds
from tocsin.correlate.sphere import distance
from tocsin.model.alert import Alert, Evidence
from tocsin.model.ids import alert_id
from tocsin.model.plan import Active, Cluster, Match, Per
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE, SECOND

CANCEL, UPDATE = {"action": int(Action.CANCEL)}, {"action": int(Action.UPDATE)}


def call(name: str, at: float, north: float = 0.0, kind: str = "call.fire", **more: Any) -> dict[str, Any]:
    return smoke(name, at, north) | {"kind": kind, "value": None, "unit": None} | more


def piece(name: str, at: float, north: float = 0.0, role: int = 1, kind: str = "fire.smoke") -> Piece:
    event = Evidence(hash((name, at, north)), "f", name, kind, name, T0, T0, 0.0, 50 + north * METRE, 160, "ug/m3", None, "", None, None)
    return Piece(event, role, T0 + round(at * SECOND))


@pytest.mark.parametrize(
    ("when", "pieces", "matches", "stands"),
    [
        (Match(SMOKY), [piece("a", 0, role=0)], 1, True),
        (Match(SMOKY), [], 0, False),
        (smoke_cluster(2).when, [piece("a", 0), piece("a", 1)], 1, False),
        (smoke_cluster(2).when, [piece("a", 0), piece("b", 1)], 0, True),
        (smoke_cluster(2).when, [piece("a", 0), piece("b", 600)], 1, True),
        (smoke_cluster(2).when, [piece("a", 0), piece("b", 600.001)], 1, False),
        (smoke_cluster(2).when, [piece("a", 0), piece("b", 0, 299)], 1, True),
        (smoke_cluster(2).when, [piece("a", 0), piece("b", 0, 302)], 1, False),
        (Cluster(SMOKY, 300.0, MINUTE, 1, 3), [piece("a", 0), piece("a", 1)], 1, False),
        (Cluster(SMOKY, 300.0, MINUTE, 1, 3), [piece("a", 0), piece("a", 30), piece("b", 60)], 1, True),
        (Cluster(SMOKY, 300.0, MINUTE, 3), [piece("a", 0, 0), piece("b", 0, 250), piece("c", 0, 500)], 1, True),
        (Cluster(SMOKY, 300.0, MINUTE, 2, 1, 10 * SECOND), [piece("a", 0), piece("b", 9)], 1, False),
        (Cluster(SMOKY, 300.0, MINUTE, 2, 1, 10 * SECOND), [piece("a", 0), piece("b", 10)], 1, True),
        (call_then_smoke().when, [piece("s", 5, role=11)], 1, False),
        (call_then_smoke().when, [piece("s", 5, role=11), piece("c", 0, role=10, kind="call.fire")], 1, True),
        (call_then_smoke().when, [piece("s", 0, role=11), piece("c", 5, role=10, kind="call.fire")], 1, False),
        (no_engine().when, [piece("c", 0, role=30, kind="call.fire")], 1, True),
        (no_engine().when, [piece("c", 0, role=30, kind="call.fire")], 0, False),
        (silence().when, [], 1, True),
    ],
)
def test_what_is_left_is_asked_again(when: Any, pieces: Sequence[Piece], matches: int, stands: bool) -> None:
    assert holds(when, pieces, matches) is stands


async def test_an_alert_of_hundreds_stands_as_long_as_one_is_left() -> None:
    """Also those beyond the 64 that are shown; each has its own source."""
    names, crowd = [f"s{i}" for i in range(150)], plan(smoke_match(Per(30 * MINUTE)))
    journal = Journal().add(0, [smoke(name, 0) for name in names])
    gone = [smoke(f"x{name}", 60, **CANCEL, refers_to=f"{name}@0") for name in names]
    kept = Random(3).sample(names, 2)
    journal.add(60, [row for row in gone if row["refers_to"][:-2] not in kept])
    stream = await told(crowd, journal)
    alert = stream.alerts[-1]
    assert (alert.status, alert.count, sorted(event.source or "" for event in alert.evidence)) == ("amended", 2, sorted(kept))
    journal.add(70, [row | {"id": row["id"] + "!"} for row in gone if row["refers_to"][:-2] in kept])
    assert (await told(crowd, journal)).alerts[-1].status == "retracted"


async def test_matches_nobody_can_withdraw_carry_an_alert() -> None:
    """Two feeds in one alert, one of which cancels all it said."""
    crowd = plan(smoke_match(Per(30 * MINUTE)))
    rows = [smoke(f"s{i}", 0, feed="cad" if i < 100 else "sensors") for i in range(300)]
    journal = Journal().add(0, rows[:200]).add(1, rows[200:])
    journal.add(60, [smoke(f"x{i}", 60, feed="cad", **CANCEL, refers_to=f"s{i}@0") for i in range(100)])
    alert = (await told(crowd, journal, corrects=frozenset({"cad"}))).alerts[-1]
    assert (alert.status, alert.count) == ("amended", 200)


async def test_a_cancelled_answer_restores_the_same_alert() -> None:
    for arrives in (200, 320):  # in time; after the alert
        journal = (
            Journal().add(0, [call("F1", 0)]).tick(min(arrives - 1, 310)).add(arrives, [call("E5", 200, 300, "unit.onscene")]).tick(330)
        )
        journal.add(400, [call("x", 400, kind="unit.onscene", **CANCEL, refers_to="E5@200")])
        stream = await told(plan(no_engine()), journal)
        assert [alert.status for alert in stream.alerts] == (["raised"] if arrives == 200 else ["raised", "retracted", "amended"])
        alert = stream.alerts[-1]
        assert (alert.opened - T0, alert.id) == (300 * SECOND, stream.alerts[0].id)
        assert [event.id for event in alert.evidence] == ["F1@0"]


async def test_an_alert_of_two_absences_falls_when_one_is_answered_and_the_other_cancelled() -> None:
    rules = plan(rule("absence", no_engine().when, per=Per(30 * MINUTE)))
    journal = Journal().add(0, [call("F1", 0), call("F2", 10)]).tick(320)
    journal.add(330, [call("E5", 5, 100, "unit.onscene")]).add(340, [call("x", 340, **CANCEL, refers_to="F2@10")])
    stream = await told(rules, journal)
    assert [(alert.status, alert.count) for alert in stream.alerts] == [("raised", 2), ("amended", 1), ("retracted", 1)]
    journal.add(350, [call("y", 350, kind="unit.onscene", **CANCEL, refers_to="E5@5")])
    last = (await told(rules, journal)).alerts[-1]
    assert (last.status, [event.id for event in last.evidence]) == ("amended", ["F1@0"]), "the first is unanswered again"
    journal.add(360, [call("z", 360, **CANCEL, refers_to="F1@0")])
    assert (await told(rules, journal)).alerts[-1].status == "retracted"


async def test_a_warning_is_in_force_until_the_time_of_its_cancel() -> None:
    permit = Active(Selector("ops.burn_permit"), 500.0, 60 * MINUTE)
    rules = plan(rule("smoke", Match(SMOKY), unless=(permit,)))
    journal = Journal().add(0, [call("p", 0, kind="ops.burn_permit")])
    journal.add(200, [call("x", 100, kind="ops.burn_permit", **CANCEL, refers_to="p@0")])
    journal.add(201, [smoke("before", 99), smoke("after", 100)])
    assert [alert.evidence[0].source for alert in (await told(rules, journal)).alerts] == ["after"]


# ---- random streams


def stream_of(seed: int, count: int) -> list[tuple[float, dict[str, Any]]]:
    """(arrival, row): reports, and corrections of the reports at any time before or after them; everything inside lateness."""
    draw, rows = Random(seed), []
    for i in range(count):
        at = draw.randint(0, 200)
        kind = draw.choice(["fire.smoke", "fire.smoke", "call.fire", "call.fire", "unit.onscene", "unit.onscene"])
        make = smoke if kind == "fire.smoke" else call
        more = {"kind": kind} | ({"value": float(draw.choice([100, 160]))} if kind == "fire.smoke" else {})
        row = make(f"S-{draw.randint(0, 4)}", at, draw.randint(0, 4) * 100, **more) | {"id": f"r{i}", "action": 0, "refers_to": None}
        rows.append((at + draw.choice([0, 1, 50, 150]), row))
        for j in range(draw.choice([0, 0, 1, 1, 2, 3])):
            arrival = draw.randint(0, 400)
            again = row | {"id": f"r{i}.{j}", "refers_to": f"r{i}", "event_time": T0 + min(draw.randint(0, 200), arrival) * SECOND}
            again |= CANCEL if draw.random() < 0.3 else UPDATE
            if kind == "fire.smoke":
                again["value"] = float(draw.choice([100, 160]))
            rows.append((arrival, again))
    draw.shuffle(rows)
    return sorted(rows, key=lambda pair: pair[0])


def account(rows: Sequence[tuple[float, dict[str, Any]]]) -> tuple[dict[str, dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
    """By report: the fact that stands after everything; and every fact that ever stood, with its report."""
    standing: dict[str, dict[str, Any]] = {}
    corrected, final, ever = set(), set(), []
    for _, row in rows:
        report = row["refers_to"] or row["id"]
        if row["action"] == int(Action.CANCEL):
            final.add(report)
            corrected.add(report)
            standing.pop(report, None)
        elif report not in final and not (row["refers_to"] is None and report in corrected):
            standing[report] = row
            ever.append((report, row))
            if row["refers_to"] is not None:
                corrected.add(report)
    return standing, ever


def away(a: dict[str, Any], b: dict[str, Any]) -> float:
    return distance(a["lon"], a["lat"], b["lon"], b["lat"])


def smoky(row: dict[str, Any]) -> bool:
    return bool(row["kind"] == "fire.smoke" and row["value"] >= 150)


def unanswered(a: dict[str, Any], facts: Sequence[dict[str, Any]]) -> bool:
    return a["kind"] == "call.fire" and not any(
        b["kind"] == "unit.onscene" and 0 < b["event_time"] - a["event_time"] <= 5 * MINUTE and away(a, b) <= 500 for b in facts
    )


def pair_stands(alert: Alert) -> bool:
    return any(
        a.source != b.source
        and abs(a.event_time - b.event_time) <= 10 * MINUTE
        and distance(a.lon or 0, a.lat or 0, b.lon or 0, b.lat or 0) <= 300
        for a, b in itertools.combinations(alert.evidence, 2)
    )


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.integers(0, 1 << 30), st.integers(1, 12), st.booleans())
async def test_after_everything_alerts_rest_on_what_stands(seed: int, count: int, one_by_one: bool) -> None:
    rows = stream_of(seed, count)
    journal = Journal()
    for at, members in itertools.groupby(rows, key=lambda pair: pair[0]):
        batch = [row for _, row in members]
        for part in [[row] for row in batch] if one_by_one else [batch]:
            journal.add(at, part)
    journal.tick(1000).tick(2000)
    last = (await told(plan(smoke_match(), no_engine(), smoke_cluster(2)), journal)).last()
    standing, ever = account(rows)

    def alerts(name: str, reports: set[str]) -> set[str]:
        return {alert_id(f"v-{name}", "", "sensors", report) for report in reports}

    def told_of(name: str) -> dict[str, Alert]:
        return {alert.id: alert for alert in last.values() if alert.rule == name}

    def up(name: str) -> set[str]:
        return {alert.id for alert in told_of(name).values() if alert.status != "retracted"}

    assert set(told_of("smoke")) == alerts("smoke", {report for report, row in ever if smoky(row)})
    assert up("smoke") == alerts("smoke", {report for report, row in standing.items() if smoky(row)})
    facts = list(standing.values())
    assert up("absence") == alerts("absence", {report for report, row in standing.items() if unanswered(row, facts)})
    assert set(told_of("absence")) <= alerts("absence", {report for report, row in ever if row["kind"] == "call.fire"})
    live = {row["id"] for row in facts}
    for alert in told_of("cluster").values():
        assert {event.id for event in alert.evidence} <= live
        assert (alert.status != "retracted") is pair_stands(alert)
