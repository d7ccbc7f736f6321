"""A retracted alert is a cancelled fact (SEMANTICS 21), also where a correction takes back what a rule of the kernels found."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runkit import SMOKY, Journal, Stream, correlator, plan, rule, smoke, told
from test_parts import call
from test_recovery import same, until

from tocsin.correlate.sphere import distance
from tocsin.model.alert import Alert
from tocsin.model.plan import Absence, Active, Alerts, AlertsNear, Cluster, Match, Operator, Per, Plan, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE

BOTH = Alerts(("smoke", "call"), "all", 500.0, 5 * MINUTE)
CALL = Selector("call.fire", text="call.fire")
FOUND: dict[str, Operator] = {"match": Match(SMOKY), "samples": Match(SMOKY, 2), "cluster": Cluster(SMOKY, 300.0, 10 * MINUTE, 2)}


def gone(name: str, target: str, at: float, **more: Any) -> dict[str, Any]:
    return smoke(name, at, action=int(Action.CANCEL), refers_to=target, **more)


def rules(found: Operator, per: Per | None = None, more: tuple[RulePlan, ...] = ()) -> Plan:
    return plan(rule("smoke", found, per=per), rule("call", Match(CALL)), rule("both", BOTH), *more)


async def statuses(plan_: Plan, journal: Journal, name: str = "both") -> list[str]:
    return [alert.status for alert in (await told(plan_, journal, corrects=None)).alerts if alert.rule == name]


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
async def test_what_rests_on_a_retracted_alert_falls_with_it(found: Operator) -> None:
    source = ["a", "a"] if isinstance(found, Match) else ["a", "b"]
    journal = Journal().add(0, [smoke(source[0], 0)]).add(1, [smoke(source[1], 1)]).add(10, [call(10)]).tick(20)
    journal.add(30, [gone(source[0], f"{source[0]}@0", 30), gone(source[1], f"{source[1]}@1", 30.5)]).tick(50)
    assert await statuses(rules(found), journal) == ["raised", "retracted"]


async def test_a_call_after_the_cancel_finds_no_alert() -> None:
    """In one journal entry, too: what is cancelled is gone for what comes after it."""
    journal = Journal().add(0, [smoke("a", 0)]).add(30, [gone("a", "a@0", 30), call(31)]).tick(50)
    assert await statuses(rules(FOUND["match"]), journal) == []
    journal = Journal().add(0, [smoke("a", 0)]).add(30, [call(31), gone("a", "a@0", 30)]).tick(50)
    assert await statuses(rules(FOUND["match"]), journal) == ["retracted"]


async def test_an_alert_that_stands_again_is_a_fact_again() -> None:
    """A reading that joins the fallen alert lets it stand again; what was cancelled before an update is one fact, not two."""
    plan_ = rules(FOUND["match"], Per(10 * MINUTE, 300.0))
    journal = Journal().add(0, [smoke("a", 0)]).add(10, [call(10)]).add(30, [gone("a", "a@0", 30)])
    journal.add(60, [smoke("b", 60, 50)]).tick(90)
    assert await statuses(plan_, journal) == ["raised", "retracted", "raised"]
    update = smoke("a", 5, action=int(Action.UPDATE), refers_to="a@0") | {"id": "a-new"}
    journal = Journal().add(0, [smoke("a", 0)]).add(10, [call(10)]).add(30, [update]).tick(90)
    last = {one.rule: one for one in (await told(plan_, journal, corrects=None)).last().values()}
    assert (last["both"].status != "retracted", last["both"].count) == (True, 1)


@pytest.mark.parametrize("key", ["unless", "only"])
async def test_a_retracted_alert_guards_nothing(key: str) -> None:
    near = AlertsNear(("smoke",), "any", 10 * MINUTE, 500.0)
    active = Active(Selector("alert.smoke"), 500.0, 10 * MINUTE)
    for guard in (near, active):
        guarded = replace(rule("guarded", Match(Selector("unit.onscene"))), **{key: (guard,)})
        unit = smoke("U", 60, kind="unit.onscene", value=None, unit=None)
        journal = Journal().add(0, [smoke("a", 0)]).add(30, [gone("a", "a@0", 30)]).add(60, [unit]).tick(90)
        found = await statuses(rules(FOUND["match"], more=(guarded,)), journal, "guarded")
        assert found == (["raised"] if key == "unless" else [])


def storm(seed: int) -> Journal:
    """Readings and calls, many of them cancelled or updated, together and apart."""
    draw, journal, at, known = random.Random(seed), Journal(), 0.0, list[str]()
    for number in range(40):
        at += draw.choice((0.5, 5.0, 20.0, 60.0))
        rows = []
        for place in range(draw.randint(0, 4)):
            name, north = f"S-{draw.randint(0, 4)}", draw.randint(0, 6) * 100
            row = (smoke(name, at, north) if draw.random() < 0.7 else call(at, source=name, lat=smoke("x", 0, north)["lat"])) | {
                "id": f"e{number}-{place}"
            }
            if known and draw.random() < 0.4:
                action = draw.choice((Action.CANCEL, Action.UPDATE))
                row |= {"action": int(action), "refers_to": draw.choice(known)}
            known.append(row["id"])
            rows.append(row)
        journal = journal.add(at, rows) if rows else journal.tick(at)
    return journal.tick(at + 400)


def everything() -> Plan:
    guarded = replace(rule("guarded", Match(CALL)), unless=(AlertsNear(("smoke",), "any", MINUTE, 300.0),))
    absence = rule("late", Absence(Selector("alert.both"), CALL, 300.0, MINUTE))
    return rules(
        FOUND["cluster"], Per(2 * MINUTE, 300.0), (guarded, absence, rule("again", Alerts(("both", "smoke"), "any", 500.0, 5 * MINUTE, 2)))
    )


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_stands_on_alerts_that_do_not(seed: int) -> None:
    """Every alert about alerts has standing ones, near enough in place and time, for all that it rests on."""
    alerts = [one for one in (await told(everything(), storm(seed), corrects=None)).last().values() if one.status != "retracted"]
    of = {name: [one for one in alerts if one.rule == name] for name in ("smoke", "call", "both")}
    seen = 0
    for one in of["both"]:
        made_of = [other for name in ("smoke", "call") for other in of[name] if other.opened == one.opened]
        assert any(near(made, other) for made in made_of for other in of["call" if made.rule == "smoke" else "smoke"]), one
        seen += 1
    assert seen or seed % 3, "the worlds are not empty"


def near(one: Alert, other: Alert) -> bool:
    """Facts are where their anchors were, which may be 300 m from what is left of a cluster."""
    return abs(one.opened - other.opened) <= BOTH.during and distance(one.lon, one.lat, other.lon, other.lat) <= BOTH.within + 300.0


@pytest.mark.parametrize("seed", range(3))
async def test_the_same_after_a_crash_at_any_entry(tmp_path: Path, seed: int) -> None:
    journal, plan_ = storm(seed), everything()
    whole = await told(plan_, journal, corrects=None)
    for stop in range(1 + seed, len(journal.entries), 4):
        stream, file = Stream(), tmp_path / f"{stop}.snap"
        before = correlator(plan_, journal, snapshot=file, corrects=None)
        await before.run(until(journal, stop), stream.publish)
        assert before.save()
        after = correlator(plan_, journal, snapshot=file, corrects=None, published=stream.published())
        assert after.resume() == stop
        await after.run(journal.read(stop + 1), stream.publish, finish=True)
        same(stream, whole)


@pytest.mark.parametrize("seed", range(6))
async def test_entries_cut_otherwise_end_the_same(seed: int) -> None:
    journal, plan_ = storm(seed), everything()
    draw = random.Random(seed)
    again = journal.recut(iter(lambda: draw.randint(1, 3), 0))
    final = lambda stream: {(one.id, one.count) for one in stream.last().values() if one.status != "retracted"}  # noqa: E731
    assert final(await told(plan_, journal, corrects=None)) == final(await told(plan_, again, corrects=None))
