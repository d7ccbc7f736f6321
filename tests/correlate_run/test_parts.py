"""Alert parts from the journal to the alerts: folding, budget, context and severity steps against brute force; the same after crashes,
other cuts, a reload, and with late and withdrawn facts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from runkit import LAT, SMOKY, T0, Journal, Stream, correlator, no_engine, plan, rule, silence, smoke, smoke_cluster, told
from test_recovery import same, storm, until

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.setting import Setting
from tocsin.correlate.sphere import distance
from tocsin.model.alert import Alert
from tocsin.model.plan import (
    Active,
    Budget,
    Context,
    Dedup,
    Fold,
    Match,
    Per,
    Plan,
    Rate,
    Resolve,
    RulePlan,
    SeverityRule,
    SeverityStep,
    Silence,
)
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action, Severity
from tocsin.model.time import MINUTE, SECOND

PERMIT = Active(Selector("ops.burn_permit", text="ops.burn_permit"), 200.0, 90 * SECOND)
NEAR_SMOKE = Context(Selector("fire.smoke"), 300.0, 2 * MINUTE, MINUTE, 3)


def with_parts(one: RulePlan, **parts: Any) -> RulePlan:
    return replace(one, alert=replace(one.alert, **parts))


def rules() -> Plan:
    """Every part, on operators of the kernels and beside them."""
    worse = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=PERMIT),))
    smoky = rule("smoke", Match(SMOKY), per=Per(3 * MINUTE, 300.0))
    call = rule("call", Match(Selector("call.fire", text="call.fire")))
    return plan(
        with_parts(smoky, resolve=Resolve(after=2 * MINUTE), budget=Budget(3, 5 * MINUTE)),
        with_parts(smoke_cluster(2, Per(MINUTE, 200.0)), fold=Fold("smoke", 500.0, 5 * MINUTE), severity_rule=worse),
        with_parts(call, dedup=Dedup(("source",), MINUTE), context=(NEAR_SMOKE,), budget=Budget(2, MINUTE, "minor")),
        with_parts(no_engine(), fold=Fold("call", 400.0, 10 * MINUTE), context=(NEAR_SMOKE,)),
        with_parts(silence(), resolve=Resolve(below_for=0)),
        with_parts(
            rule("lasting", Match(SMOKY, lasting=3 * SECOND, max_gap=MINUTE)), resolve=Resolve(below_for=0, until=Selector("unit.onscene"))
        ),
    )


def facts_of(journal: Journal) -> list[dict[str, Any]]:
    """All events of a journal without corrections, in order, with their place in it."""
    return [
        row | {"entry": entry.seq, "time": time}
        for entry in journal.entries
        if entry.batch is not None
        for row, time in zip(entry.batch.to_pylist(), entry.batch.column("event_time").cast(pa.int64()).to_pylist(), strict=True)
    ]


def away(a: Any, b: Any) -> float:
    return distance(a["lon"], a["lat"], b.lon, b.lat)


def expected_parent(alert: Alert, alerts: list[Alert], fold: Fold) -> str:
    """By the words of the guide."""
    near = [
        (distance(one.lon, one.lat, alert.lon, alert.lat), abs(one.opened - alert.opened), one.id)
        for one in alerts
        if one.rule == fold.under and one.status != "retracted" and abs(one.opened - alert.opened) <= fold.during
        if one.closed is None or one.closed > alert.opened
        if distance(one.lon, one.lat, alert.lon, alert.lat) <= fold.within + 1e-6
    ]
    return min(near, default=("", "", ""))[2]


def expected_budget(first: list[Alert], budget: Budget) -> dict[str, tuple[int, str]]:
    """Alerts in the order they were told first."""
    within: list[Alert] = []
    found, beyond = {}, 0
    for alert in first:
        used = [one for one in within if one.known_at >= alert.known_at - budget.per]
        beyond = beyond + 1 if len(used) >= budget.alerts else 0
        found[alert.id] = (beyond, within[-1].id if beyond else "")
        if not beyond:
            within.append(alert)
    return found


def expected_context(alert: Alert, facts: list[dict[str, Any]], of: Context) -> set[str]:
    """Ids of the events; ties in distance are left to the engine."""
    chosen: dict[str, dict[str, Any]] = {}
    for fact in facts:
        inside = alert.opened - of.before <= fact["time"] <= alert.opened + of.after and away(fact, alert) <= of.within + 1e-6
        if fact["kind"] == of.of.kind and inside and fact["id"] not in {event.id for event in alert.evidence}:
            known = chosen.get(fact["source"])
            if known is None or (fact["time"], fact["entry"]) >= (known["time"], known["entry"]):
                chosen[fact["source"]] = fact
    ordered = sorted(chosen.values(), key=lambda fact: round(away(fact, alert)))
    limit = round(away(ordered[of.most - 1], alert)) if len(ordered) > of.most else 10**9
    return {fact["id"] for fact in ordered if round(away(fact, alert)) <= limit}


@pytest.mark.parametrize("seed", range(8))
async def test_parts_are_what_the_guide_says(seed: int) -> None:
    journal, plan_ = plain_storm(seed), rules()
    stream, facts = await told(plan_, journal), facts_of(journal)
    alerts = list(stream.last().values())
    first = [alert for alert in stream.alerts if alert.revision == 1]
    of = {one.name: one.alert for one in plan_.rules}
    counts = {"fold": 0, "budget": 0, "context": 0, "extreme": 0, "closed": 0}
    for name in ("smoke", "call"):
        beyond = expected_budget([alert for alert in first if alert.rule == name], of[name].budget)
        for alert in alerts:
            if alert.rule == name:
                assert (alert.over_budget, alert.parent) == (beyond[alert.id][0], beyond[alert.id][1] if name == "smoke" else "")
                assert alert.severity == (Severity.MINOR if name == "call" and alert.over_budget else Severity.SEVERE)
                counts["budget"] += alert.over_budget > 0
    for alert in alerts:
        fold = of[alert.rule].fold
        if fold is not None:
            assert alert.parent == expected_parent(alert, alerts, fold)
            counts["fold"] += bool(alert.parent)
        if of[alert.rule].context:
            shown = {event.id for event in alert.context}
            wanted = expected_context(alert, facts, NEAR_SMOKE)
            assert shown <= wanted and len(shown) == min(len(wanted), NEAR_SMOKE.most)
            assert {event.role for event in alert.context} <= {"context"}
            counts["context"] += bool(shown)
        if alert.rule == "cluster":
            newest = max(event.event_time for event in alert.evidence if event.role in ("anchor", "joined"))
            active = any(
                fact["kind"] == "ops.burn_permit"
                and away(fact, alert) <= PERMIT.within + 1e-6
                and fact["time"] <= newest
                and alert.opened <= fact["time"] + PERMIT.valid_for
                for fact in facts
            )
            assert alert.severity == (Severity.EXTREME if active else Severity.SEVERE)
            counts["extreme"] += active
        counts["closed"] += alert.closed is not None
    assert sum(count > 0 for count in counts.values()) >= 3, "the worlds are not empty"


def plain_storm(seed: int) -> Journal:
    """A storm in which nothing is corrected."""
    draw, journal, at, made = random.Random(seed), Journal(), 0.0, 0
    for _ in range(45):
        at += draw.choice((0.05, 1.0, 20.0, 90.0))
        rows = []
        for _ in range(draw.randint(0, 5)):
            kind = draw.choice(["fire.smoke", "fire.smoke", "fire.smoke", "call.fire", "unit.onscene", "ops.burn_permit"])
            late = draw.choice([0, 0, 3, 200])
            row = smoke(f"S-{draw.randint(0, 5)}", round(at - late, 2), draw.randint(0, 8) * 60, draw.choice([100, 160]))
            row |= {"id": f"e{made}", "kind": kind} | ({} if kind == "fire.smoke" else {"value": None, "unit": None})
            made += 1
            rows.append(row)
        journal = journal.add(at, rows) if rows else journal.tick(at)
    return journal.tick(at + 400)


@pytest.mark.parametrize("seed", range(2))
async def test_a_crash_after_any_entry_tells_every_revision_once(tmp_path: Path, seed: int) -> None:
    journal, plan_ = storm(seed), rules()
    whole = await told(plan_, journal)
    for stop in range(1 + seed, len(journal.entries), 2):
        stream, file = Stream(), tmp_path / f"{seed}-{stop}.snap"
        before = correlator(plan_, journal, snapshot=file)
        await before.run(until(journal, stop), stream.publish)
        assert before.save()
        after = correlator(plan_, journal, snapshot=file, published=stream.published())
        assert after.resume() == stop
        await after.run(journal.read(stop + 1), stream.publish, finish=True)
        same(stream, whole)


@pytest.mark.parametrize("seed", range(5))
async def test_other_batches_give_the_same_alerts(seed: int) -> None:
    journal, plan_ = storm(seed, 40), rules()
    stream = await told(plan_, journal)
    assert any(alert.closed for alert in stream.alerts) and any(alert.parent for alert in stream.alerts)
    draw = random.Random(seed)
    for _ in range(2):
        again = journal.recut(iter(lambda: draw.randint(1, 4), 0))
        assert alerts_hash((await told(plan_, again)).alerts) == alerts_hash(stream.alerts)


@pytest.mark.parametrize("seed", range(3))
async def test_unchanged_rules_keep_their_parts_over_a_reload(seed: int) -> None:
    journal, plan_ = storm(seed, 30), rules()
    whole = await told(plan_, journal)
    other = replace(plan_, rules=(rule("more", Silence(Selector("zz"), MINUTE)), *plan_.rules))
    settings = {b"more": Setting(other, _nowhere, None, version="more"), b"less": Setting(plan_, _nowhere, None, version="less")}

    async def configure(entry: Any) -> Setting:
        return settings[entry.content]

    switched = Journal()
    for number, entry in enumerate(journal.entries):
        switched.entries.append(replace(entry, seq=len(switched.entries) + 1))
        if number % 7 == 3:
            switched.rules("more" if number % 2 else "less")
    stream = Stream()
    running = correlator(plan_, switched, corrects=None, configure=configure)
    await running.run(switched.read(), stream.publish, finish=True)
    assert running.counters.settings > 1
    final = lambda of: alerts_hash(replace(alert, place="", seq=0) for alert in of.alerts)  # noqa: E731
    assert final(stream) == final(whole)


def _nowhere(_lon: float, _lat: float) -> str:
    return "near Pike Place"


def call(at: float, **more: Any) -> dict[str, Any]:
    return smoke("C-1", at, kind="call.fire", value=None, unit=None) | more


async def last(plan_: Plan, journal: Journal, **options: Any) -> dict[str, Alert]:
    return {alert.rule: alert for alert in (await told(plan_, journal, **options)).last().values()}


async def test_context_that_comes_later_amends_and_a_cancelled_one_goes() -> None:
    plan_ = plan(with_parts(rule("call", Match(Selector("call.fire"))), context=(NEAR_SMOKE,)))
    journal = Journal().add(0, [smoke("a", 0, 100)]).add(10, [call(10)]).add(40, [smoke("b", 40, 200)])
    assert [event.source for event in (await last(plan_, journal))["call"].context] == ["a", "b"]
    journal.add(50, [smoke("x", 50, action=int(Action.CANCEL), refers_to="a@0")])
    assert [event.source for event in (await last(plan_, journal, corrects=None))["call"].context] == ["b"]


async def test_a_fact_too_late_for_the_rules_is_still_shown() -> None:
    plan_ = plan(with_parts(rule("call", Match(Selector("call.fire"))), context=(NEAR_SMOKE,)))
    journal = Journal().add(10, [call(10)]).add(5000, [smoke("a", 0, 100)])
    assert [event.source for event in (await last(plan_, journal))["call"].context] == ["a"]


@pytest.mark.parametrize(("cancelled", "severity"), [(None, Severity.EXTREME), (5, Severity.SEVERE), (11, Severity.EXTREME)])
async def test_what_is_active_counts_until_it_is_cancelled(cancelled: int | None, severity: Severity) -> None:
    """Learnt after the alert; a cancel takes effect from its own time."""
    worse = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=PERMIT),))
    plan_ = plan(with_parts(rule("call", Match(Selector("call.fire"))), severity_rule=worse))
    permit = {"kind": "ops.burn_permit", "value": None, "unit": None}
    journal = Journal().add(10, [call(10)]).add(20, [smoke("P", 1, 150, **permit)])
    if cancelled is not None:
        journal.add(30, [smoke("Q", cancelled, action=int(Action.CANCEL), refers_to="P@1", **permit)])
    alert = (await last(plan_, journal, corrects=None))["call"]
    assert alert.severity == severity
    assert ("ops.burn_permit is active near it: extreme" in alert.reasons) == (severity == Severity.EXTREME)


async def test_linked_facts_only() -> None:
    """`same` of an active fact looks at the anchor's own fields."""
    linked = replace(PERMIT, same=("attrs.site",))
    worse = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=linked),))
    plan_ = plan(with_parts(rule("call", Match(Selector("call.fire"))), severity_rule=worse))
    permit = {"kind": "ops.burn_permit", "value": None, "unit": None}
    for site, severity in (("A", Severity.EXTREME), ("B", Severity.SEVERE)):
        journal = Journal().add(0, [smoke("P", 0, **permit, attrs={"site": site})], {"site": "string"})
        journal.add(10, [call(10, attrs={"site": "A"})], {"site": "string"})
        assert (await last(plan_, journal))["call"].severity == severity


async def test_a_child_known_before_its_parent_comes_under_it_and_out_again() -> None:
    parent = with_parts(rule("parent", Match(Selector("call.fire"))), resolve=Resolve(after=MINUTE))
    plan_ = plan(parent, with_parts(rule("child", Match(SMOKY)), fold=Fold("parent", 300.0, MINUTE)))
    journal = Journal().add(0, [smoke("a", 0)]).add(10, [call(10)])
    alerts = await last(plan_, journal)
    assert (alerts["child"].parent, alerts["child"].folded) == (alerts["parent"].id, "fold")
    assert "shown under an alert of parent" in alerts["child"].reasons
    journal.add(20, [call(20, action=int(Action.CANCEL), refers_to="C-1@10")])
    assert (await last(plan_, journal, corrects=None))["child"].parent == ""


async def test_a_closed_parent_takes_no_new_children() -> None:
    parent = with_parts(rule("parent", Match(Selector("call.fire"))), resolve=Resolve(after=MINUTE))
    plan_ = plan(parent, with_parts(rule("child", Match(SMOKY)), fold=Fold("parent", 300.0, 10 * MINUTE)))
    stream = await told(plan_, Journal().add(0, [call(0)]).add(30, [smoke("a", 30)]).add(90, [smoke("b", 90)]))
    children = {alert.evidence[0].source: alert.parent for alert in stream.last().values() if alert.rule == "child"}
    assert bool(children["a"]) and not children["b"]


@pytest.mark.parametrize(
    ("above", "words"), [("fold", "shown under the newest within it"), ("minor", "so it is minor"), ("tell", "told all the same")]
)
async def test_beyond_the_budget_every_alert_says_so(above: str, words: str) -> None:
    plan_ = plan(with_parts(rule("call", Match(Selector("call.fire"))), budget=Budget(2, MINUTE, above)))
    journal = Journal()
    for at in (0, 10, 20, 60, 61, 62):
        journal.add(at, [call(at)])
    running = correlator(plan_, journal)
    stream = Stream()
    await running.run(journal.read(), stream.publish, finish=True)
    alerts = sorted(stream.last().values(), key=lambda alert: alert.opened)
    assert [alert.over_budget for alert in alerts] == [0, 0, 1, 2, 0, 1], "a span is closed at both ends"
    assert alerts[2].reasons[-1] == f"the first beyond the budget of 2 alerts in 1 min: {words}"
    assert [bool(alert.parent) for alert in alerts] == [above == "fold" and alert.over_budget > 0 for alert in alerts]
    assert alerts[5].parent == (alerts[4].id if above == "fold" else "")
    assert 'tocsin_correlate_alerts_over_budget_total{rule="call"} 3' in running.metrics()


RESOLVES: list[tuple[Resolve, Callable[[Journal], object], float, str]] = [
    (Resolve(after=MINUTE), lambda journal: journal.tick(100), 60, "no further match for 1 min"),
    (Resolve(below_for=30 * SECOND), lambda journal: journal.tick(100), 30, "it has not held for 30 s"),
    (
        Resolve(until=Selector("unit.onscene")),
        lambda journal: journal.add(50, [smoke("E-1", 50, kind="unit.onscene")]),
        50,
        "unit.onscene of E-1",
    ),
]


@pytest.mark.parametrize(("resolve", "more", "at", "words"), RESOLVES)
async def test_why_it_closed(resolve: Resolve, more: Callable[[Journal], object], at: float, words: str) -> None:
    journal = Journal().add(0, [call(0)])
    more(journal)
    stream = await told(plan(with_parts(rule("call", Match(Selector("call.fire"))), resolve=resolve)), journal.tick(200))
    assert [(alert.revision, alert.closed) for alert in stream.alerts] == [(1, None), (2, T0 + round(at * SECOND))]
    assert stream.alerts[-1].reasons[-1].endswith(words)


async def test_a_silence_closes_when_the_source_is_heard_again() -> None:
    plan_ = plan(with_parts(silence(), resolve=Resolve(below_for=0)))
    journal = Journal().add(0, [smoke("a", 0)]).tick(130).add(200, [smoke("a", 200)]).tick(210)
    alert = (await last(plan_, journal))["silence"]
    assert (alert.closed, alert.reasons[-1].split(": ")[-1]) == (T0 + 200 * SECOND, "it no longer holds")


async def test_an_alert_far_away_is_nobodys_child() -> None:
    """Places on both sides of the antimeridian are near."""
    plan_ = plan(rule("parent", Match(Selector("call.fire"))), with_parts(rule("child", Match(SMOKY)), fold=Fold("parent", 300.0, MINUTE)))
    for lon, near in ((-179.9995, True), (-179.9, False)):
        journal = Journal().add(0, [call(0, lon=179.9995)]).add(1, [smoke("a", 1) | {"lon": lon, "lat": LAT}])
        assert bool((await last(plan_, journal))["child"].parent) == near


async def closes(when: Any, journal: Journal, below: int = 0) -> float | None:
    """When the only alert of a rule has closed, seconds after the start."""
    (alert,) = (
        (await told(plan(with_parts(rule("r", when), per=Per(60 * MINUTE), resolve=Resolve(below_for=below))), journal)).last().values()
    )
    return None if alert.closed is None else (alert.closed - T0) / SECOND


async def test_a_rate_closes_when_events_have_left_its_span() -> None:
    """No event says so: the third of three in a minute leaves it after a minute."""
    journal = Journal()
    for at in (0, 10, 20):
        journal.add(at, [smoke("a", at)])
    when = Rate(Selector("fire.smoke"), MINUTE, "count", 2.0)
    assert await closes(when, journal.tick(59)) is None
    assert await closes(when, journal.tick(100)) == 60
    assert await closes(when, journal.tick(200), 30 * SECOND) == 90


async def test_a_state_with_hysteresis_closes_when_it_turns_off() -> None:
    when = Match(SMOKY, 2, Selector("fire.smoke", where=Compare("value", "<=", 50e-9)))
    journal = Journal().add(0, [smoke("a", 0)]).add(10, [smoke("a", 10)]).add(20, [smoke("a", 20, value=100)])
    assert await closes(when, journal.tick(30)) is None
    journal.add(40, [smoke("a", 40, value=20)]).add(50, [smoke("a", 50, value=20)])
    assert await closes(when, journal.tick(60)) == 50


async def test_an_alert_of_two_sources_closes_when_both_are_over() -> None:
    when = Match(SMOKY, 2)
    journal = Journal()
    for at in (0, 10):
        journal.add(at, [smoke("a", at), smoke("b", at)])
    journal.add(20, [smoke("a", 20, value=100)])
    assert await closes(when, journal.tick(30)) is None
    assert await closes(when, journal.add(40, [smoke("b", 40, value=100)]).tick(60)) == 40


async def test_a_late_reading_moves_the_closing() -> None:
    when = Match(SMOKY, 2)
    journal = Journal().add(0, [smoke("a", 0)]).add(10, [smoke("a", 10)]).add(40, [smoke("a", 40, value=100)]).tick(60)
    assert await closes(when, journal) == 40
    assert await closes(when, journal.add(70, [smoke("a", 30, value=100)]).tick(80)) == 30
