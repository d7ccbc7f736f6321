"""Parents and children: found before and after one another, moved, amended, retracted, back again; outages of areas; what is never folded."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from runkit import SMOKY, Journal, plan, rule, silence, smoke, told
from test_parts import call, expected_parent, with_parts

from tocsin.model.alert import Alert
from tocsin.model.plan import AreaOutage, Fold, Match, Per, Plan, Silence
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE

FOLD = Fold("parent", 300.0, 2 * MINUTE)
CALL = Selector("call.fire", text="call.fire")


def family(per: Per | None = None) -> Plan:
    return plan(with_parts(rule("parent", Match(CALL), per=per)), with_parts(rule("child", Match(SMOKY)), fold=FOLD))


async def last(plan_: Plan, journal: Journal) -> list[Alert]:
    return list((await told(plan_, journal, corrects=None)).last().values())


def parents(alerts: list[Alert], rule_: str = "child") -> dict[str, str]:
    return {alert.evidence[0].source or "": alert.parent for alert in alerts if alert.rule == rule_ and alert.evidence}


@pytest.mark.parametrize("known", ["parent first", "children first"])
async def test_a_parent_that_moves_leaves_its_children_and_finds_others(known: str) -> None:
    """An update says that the call was 2 km away."""
    journal = Journal()
    first, children = [call(0)], [smoke("near", 0, 100), smoke("far", 1, 2100)]
    for at, rows in enumerate([first, children] if known == "parent first" else [children, first]):
        journal.add(5 + at, rows)
    before = parents(await last(family(), journal))
    assert [bool(before[name]) for name in ("near", "far")] == [True, False]
    moved = smoke("C-1", 2, 2000, kind="call.fire", value=None, unit=None) | {"id": "u", "action": int(Action.UPDATE), "refers_to": "C-1@0"}
    after = parents(await last(family(), journal.add(20, [moved]).tick(60)))
    assert [bool(after[name]) for name in ("near", "far")] == [False, True]


async def test_a_parent_that_is_retracted_and_comes_back_has_its_children_back() -> None:
    journal = Journal().add(0, [call(0)]).add(1, [smoke("a", 1)]).add(20, [call(20, action=int(Action.CANCEL), refers_to="C-1@0")])
    assert not parents(await last(family(Per(MINUTE, 300.0)), journal))["a"]
    alerts = await last(family(Per(MINUTE, 300.0)), journal.add(30, [call(30) | {"id": "again"}]).tick(60))
    (parent,) = (alert for alert in alerts if alert.rule == "parent")
    assert (parent.status != "retracted", parents(alerts)["a"]) == (True, parent.id)


def outage(never_fold: bool = False) -> Plan:
    when = Silence(Selector("fire.smoke", text="fire.smoke"), 2 * MINUTE, area=AreaOutage(0.5, 2, 400.0, 5 * MINUTE))
    return plan(with_parts(replace(silence(), when=when, alert=replace(silence().alert, per=None)), never_fold=never_fold))


def row(times: dict[str, float], spacing: float = 300.0) -> Journal:
    """Sources in a row, each heard for the last time at its own time."""
    journal = Journal()
    for place, (name, at) in enumerate(times.items()):
        journal.add(at, [smoke(name, at, place * spacing)])
    return journal.tick(1000)


async def test_singles_fold_under_the_outage_of_their_area_whichever_came_first() -> None:
    alerts = await last(outage(), row({"a": 0, "b": 10, "c": 20}))
    whole = [alert for alert in alerts if alert.sources > 1]
    singles = [alert for alert in alerts if alert.sources == 1]
    assert len(singles) == 3
    assert whole
    assert all(alert.parent in {one.id for one in whole} for alert in singles)
    assert {alert.opened for alert in singles} != {whole[0].opened}, "some were silent before the outage was one"
    assert all(not alert.parent for alert in whole)


async def test_a_single_of_a_grown_outage_folds_under_it_however_far() -> None:
    """A row of sources falls silent one after the other: one outage, longer than its circle is wide."""
    alerts = await last(outage(), row({f"s{i}": 20.0 * i for i in range(6)}))
    whole = {alert.id: alert for alert in alerts if alert.sources > 1}
    for alert in alerts:
        if alert.sources == 1:
            rests = {one.id for one in whole.values() if alert.evidence[0].id in {event.id for event in one.evidence}}
            assert alert.parent in whole
            assert not rests or alert.parent in rests or any(one.id == alert.parent for one in whole.values())
    assert all(alert.status == "retracted" or alert.closed is None for alert in alerts), "nothing closes a sibling"


async def test_what_is_never_folded_is_not() -> None:
    alerts = await last(outage(never_fold=True), row({"a": 0, "b": 10, "c": 20}))
    assert len(alerts) > 3
    assert all(not alert.parent for alert in alerts)


def storm(seed: int) -> Journal:
    """Calls and readings, some of which are cancelled or updated to another place."""
    draw, journal, at, known = random.Random(seed), Journal(), 0.0, list[tuple[str, str]]()
    for number in range(60):
        at += draw.choice((0.5, 5.0, 20.0, 60.0))
        kind = draw.choice(("fire.smoke", "call.fire"))
        made: dict[str, Any] = smoke(f"S-{draw.randint(0, 5)}", at, draw.uniform(0, 800)) | {"id": f"e{number}", "kind": kind}
        of = [name for name, other in known if other == kind]
        if of and draw.random() < 0.35:
            made |= {"action": int(draw.choice((Action.CANCEL, Action.UPDATE))), "refers_to": draw.choice(of)}
        known.append((f"e{number}", kind))
        journal.add(at, [made])
    return journal.tick(at + 300)


@pytest.mark.parametrize("seed", range(10))
async def test_whoever_is_moved_or_taken_back_the_parent_is_the_nearest_that_stands(seed: int) -> None:
    alerts = await last(family(), storm(seed))
    standing, seen = [alert for alert in alerts if alert.status != "retracted"], 0
    for alert in standing:
        if alert.rule == "child":
            assert alert.parent == expected_parent(alert, standing, FOLD)
            seen += bool(alert.parent)
    assert seen
    assert {alert.status for alert in alerts} >= {"retracted"}
