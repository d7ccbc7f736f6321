"""Conditions about other rules' alerts in the alert part: what is active near, what is shown with it, what it rests on, what closes it, against
brute force; with crashes, other cuts, reloads, late facts and corrections."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from runkit import SMOKY, T0, Journal, Stream, correlator, no_engine, plan, rule, smoke, smoke_cluster, told
from test_parts import away, call, last, plain_storm, with_parts
from test_recovery import same, storm, until

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.setting import Setting
from tocsin.model.alert import Alert
from tocsin.model.plan import Active, Alerts, Context, Eta, Match, Per, Plan, Resolve, SeverityRule, SeverityStep
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action, Severity
from tocsin.model.time import HOUR, MINUTE, SECOND

STRONG = Selector("alert.smoke", 155e-9, "mass concentration", None, "alert.smoke where value >= 155 ug/m3")
NEAR = Active(STRONG, 200.0, 90 * SECOND)
SHOWN = Context(Selector("alert.smoke"), 300.0, 2 * MINUTE, MINUTE, 3)
ON_CALL = Selector("alert.call", where=Compare("source", "==", "S-1"))


def rules() -> Plan:
    """`smoke` and `call` are looked at in every way there is."""
    resolve = Resolve(until=Selector("alert.smoke", 155e-9, "mass concentration"), within=300.0)
    worse = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=NEAR),))
    rests = SeverityRule(False, (SeverityStep(Severity.EXTREME, where=ON_CALL),))
    return plan(
        rule("smoke", Match(SMOKY), per=Per(MINUTE, 100.0)),
        rule("call", Match(Selector("call.fire"))),
        with_parts(no_engine(), severity_rule=worse, context=(SHOWN,)),
        with_parts(smoke_cluster(2, Per(MINUTE, 200.0)), resolve=resolve),
        with_parts(
            rule("both", Alerts(("smoke", "call"), "all", 400.0, 3 * MINUTE)),
            severity_rule=rests,
            eta=Eta(HOUR, 2 * HOUR, Selector("alert.smoke")),
            context=(Context(Selector("alert.call"), 500.0, MINUTE),),
        ),
    )


def local(at: int) -> str:
    """The minute, as headlines say it."""
    when = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{when.day} {when:%b %H:%M}"


def value(alert: Alert) -> float:
    return next(event.value for event in alert.evidence if event.role == "anchor") or 0.0


def anchor(alert: Alert) -> Any:
    return next(event for event in alert.evidence if event.role == "anchor")


def near(alert: Alert, other: Alert, within: float) -> bool:
    return away({"lon": other.lon, "lat": other.lat}, alert) <= within + 1e-6


@pytest.mark.parametrize("seed", range(10))
async def test_alerts_of_other_rules_count_as_the_guide_says(seed: int) -> None:
    alerts = [one for one in (await told(rules(), plain_storm(seed))).last().values() if one.status != "retracted"]
    of = {name: [one for one in alerts if one.rule == name] for name in ("smoke", "call", "absence", "both")}
    strong = [one for one in of["smoke"] if value(one) >= 155]
    seen = 0
    for one in of["absence"]:
        active = any(near(one, other, NEAR.within) and other.opened <= one.opened <= other.opened + NEAR.valid_for for other in strong)
        assert one.severity == (Severity.EXTREME if active else Severity.SEVERE)
        wanted = {
            anchor(other).id
            for other in of["smoke"]
            if near(one, other, SHOWN.within) and one.opened - SHOWN.before <= other.opened <= one.opened + SHOWN.after
        } - {event.id for event in one.evidence}
        shown = {event.id for event in one.context}
        sources = {name.split("@")[0] for name in wanted}
        assert shown <= wanted
        assert len(shown) == min(len(sources), SHOWN.most), "of each source the newest"
        seen += active + bool(shown)
    for one in of["both"]:
        ids = {event.id for event in one.evidence}
        calls = [other for other in of["call"] if anchor(other).id in ids]
        smokes = [other for other in of["smoke"] if anchor(other).id in ids]
        assert one.severity == (Severity.EXTREME if any(anchor(other).source == "S-1" for other in calls) else Severity.SEVERE)
        due = max(other.opened for other in smokes) + HOUR
        assert any(f"due {local(due)}" in line for line in one.reasons), one.reasons
        seen += 1
    assert seen or seed, "the worlds are not empty"


@pytest.mark.parametrize("seed", range(2))
async def test_a_crash_after_any_entry_tells_every_revision_once(tmp_path: Path, seed: int) -> None:
    journal, plan_ = storm(seed), rules()
    whole = await told(plan_, journal)
    for stop in range(1 + seed, len(journal.entries), 3):
        stream, file = Stream(), tmp_path / f"{seed}-{stop}.snap"
        before = correlator(plan_, journal, snapshot=file)
        await before.run(until(journal, stop), stream.publish)
        assert before.save()
        after = correlator(plan_, journal, snapshot=file, published=stream.published())
        assert after.resume() == stop
        await after.run(journal.read(stop + 1), stream.publish, finish=True)
        same(stream, whole)


@pytest.mark.parametrize("seed", range(4))
async def test_other_batches_give_the_same_alerts(seed: int) -> None:
    journal, plan_ = storm(seed, 40), rules()
    stream = await told(plan_, journal)
    draw = random.Random(seed)
    for _ in range(2):
        again = journal.recut(iter(lambda: draw.randint(1, 4), 0))
        assert alerts_hash((await told(plan_, again)).alerts) == alerts_hash(stream.alerts)


@pytest.mark.parametrize("seed", range(3))
async def test_a_reload_of_other_rules_changes_nothing(seed: int) -> None:
    journal, plan_ = storm(seed, 30), rules()
    whole = await told(plan_, journal)
    other = replace(plan_, rules=(rule("more", Match(Selector("zz"))), *plan_.rules))
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


def closed_by(resolve: Resolve) -> Plan:
    return plan(with_parts(rule("call", Match(Selector("call.fire"))), resolve=resolve), rule("smoke", Match(SMOKY)))


async def test_an_alert_of_another_rule_closes_it_and_a_withdrawn_one_opens_it_again() -> None:
    plan_ = closed_by(Resolve(until=Selector("alert.smoke"), within=300.0))
    journal = Journal().add(0, [call(0)]).add(50, [smoke("far", 50, 400)]).add(60, [smoke("a", 60, 100)]).tick(100)
    alert = (await last(plan_, journal))["call"]
    assert (alert.closed, alert.reasons[-1].split(": ")[-1]) == (T0 + 60 * SECOND, "fire.smoke of a")
    journal.add(110, [smoke("a", 110, action=int(Action.CANCEL), refers_to="a@60")]).tick(120)
    stream = await told(plan_, journal, corrects=None)
    assert [alert.closed for alert in stream.alerts if alert.rule == "call"] == [None, T0 + 60 * SECOND, None]


async def test_only_alerts_that_pass_close_it() -> None:
    plan_ = closed_by(Resolve(until=STRONG))
    journal = Journal().add(0, [call(0)]).add(50, [smoke("weak", 50, value=152)]).tick(60)
    assert (await last(plan_, journal))["call"].closed is None
    assert (await last(plan_, journal.add(70, [smoke("b", 70)]).tick(80)))["call"].closed == T0 + 70 * SECOND


async def test_a_late_alert_of_another_rule_closes_it_at_its_own_time() -> None:
    plan_ = closed_by(Resolve(until=Selector("alert.smoke")))
    journal = Journal().add(0, [call(0)]).tick(50).add(200, [smoke("a", 20)]).tick(210)
    assert (await last(plan_, journal))["call"].closed == T0 + 20 * SECOND


@pytest.mark.parametrize("first", ["smoke", "call"])
async def test_what_is_active_counts_whichever_was_known_first_until_it_is_retracted(first: str) -> None:
    worse = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=replace(NEAR, of=Selector("alert.smoke"))),))
    plan_ = plan(rule("smoke", Match(SMOKY)), with_parts(rule("call", Match(Selector("call.fire"))), severity_rule=worse))
    rows = [[smoke("a", 9, 100)], [call(10)]]
    journal = Journal()
    for at, one in enumerate(rows if first == "smoke" else rows[::-1]):
        journal.add(20 + at, one)
    assert (await last(plan_, journal))["call"].severity == Severity.EXTREME
    journal.add(40, [smoke("a", 40, action=int(Action.CANCEL), refers_to="a@9")])
    assert (await last(plan_, journal, corrects=None))["call"].severity == Severity.SEVERE


async def test_linked_alerts_only() -> None:
    linked = Active(Selector("alert.smoke", where=Compare("attrs.deep", "==", "yes")), float("inf"), MINUTE, ("attrs.site",))
    worse = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=linked),))
    plan_ = plan(rule("smoke", Match(SMOKY)), with_parts(rule("call", Match(Selector("call.fire"))), severity_rule=worse))
    types = {"site": "string", "deep": "string"}
    for site, deep, severity in (("A", "yes", Severity.EXTREME), ("B", "yes", Severity.SEVERE), ("A", "no", Severity.SEVERE)):
        journal = Journal().add(0, [smoke("P", 0, attrs={"site": site, "deep": deep})], types)
        journal.add(10, [call(10, attrs={"site": "A", "deep": None})], types)
        assert (await last(plan_, journal))["call"].severity == severity


async def test_an_arrival_counts_from_the_newest_alert_and_goes_with_it() -> None:
    """`both` rests on two calls: when the newer one is taken back it counts from what is left."""
    cluster = with_parts(smoke_cluster(2, Per(HOUR)), eta=Eta(HOUR, 2 * HOUR, Selector("alert.smoke")))
    plan_ = plan(rule("smoke", Match(SMOKY)), cluster)
    journal = Journal().add(0, [smoke("a", 0)]).add(90, [smoke("b", 90)]).add(200, [smoke("c", 200)]).tick(300)
    due = lambda alert: [line for line in alert.reasons if line.startswith("due ")]  # noqa: E731
    assert local(T0 + 200 * SECOND + HOUR) in due((await last(plan_, journal))["cluster"])[0]
    journal.add(400, [smoke("c", 400, action=int(Action.CANCEL), refers_to="c@200")]).tick(500)
    assert local(T0 + 90 * SECOND + HOUR) in due((await last(plan_, journal, corrects=None))["cluster"])[0]
