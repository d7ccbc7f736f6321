"""What late facts change about alerts that their rule closes (`resolve`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import judged, lived, reconciler, rest
from runkit import SMOKY, T0, Journal, Stream, correlator, plan, rule, smoke, told

from tocsin.model.alerting import Resolve
from tocsin.model.plan import Active, Cluster, Match, Per, RulePlan
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE, SECOND

DAY_S = 86_400
CLEAR = Selector("ops.clear", text="ops.clear")


def closing(base: RulePlan, resolve: Resolve) -> RulePlan:
    return replace(base, alert=replace(base.alert, resolve=resolve))


def clear(name: str, at: float, north: float = 0.0, **more: Any) -> dict[str, Any]:
    return smoke(name, at, north) | {"kind": "ops.clear", "value": None, "unit": None} | more


def kept(resolve: Resolve, per: Per | None = None) -> RulePlan:
    return closing(rule("smoke", Match(Selector("fire.smoke")), per=per), resolve)


def closed(alert: Any) -> float | None:
    return None if alert.closed is None else (alert.closed - T0) / SECOND


async def test_an_alert_learnt_late_is_closed_by_its_rule() -> None:
    rules = plan(kept(Resolve(until=CLEAR, within=300.0)))
    journal = Journal().add(300, [clear("c", 300)]).add(7200, [smoke("a", 100)]).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    (alert,) = stream.last().values()
    assert (alert.status, closed(alert), alert.late) == ("raised", 300.0, True)


async def test_an_alert_learnt_late_closes_after_its_time() -> None:
    rules = plan(kept(Resolve(after=20 * MINUTE)))
    stream, _, _ = await lived(rules, Journal().tick(0).add(7200, [smoke("a", 100)]).tick(DAY_S))
    (alert,) = stream.last().values()
    assert closed(alert) == 1300.0


async def test_an_all_clear_learnt_late_closes_what_was_open() -> None:
    rules = plan(kept(Resolve(until=CLEAR, within=300.0, after=60 * MINUTE)))
    journal = Journal().add(100, [smoke("a", 100)]).tick(5000).add(7200, [clear("c", 300)]).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    assert [closed(alert) for alert in stream.alerts] == [None, 3700.0, 300.0]
    assert stream.alerts[-1].late


async def test_a_match_learnt_late_keeps_an_alert_open_for_longer() -> None:
    rules = plan(kept(Resolve(after=10 * MINUTE), Per(60 * MINUTE, 300.0)))
    journal = Journal().add(100, [smoke("a", 100)]).tick(5000).add(7200, [smoke("b", 600, 50)]).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    assert [(alert.count, closed(alert)) for alert in stream.alerts] == [(1, None), (1, 700.0), (2, 1200.0)]


async def test_an_all_clear_after_the_second_look_closes_it_too_unless_it_is_taken_back() -> None:
    """The alert has no match of the engine: it was learnt late, and judged for good long before."""
    rules = plan(kept(Resolve(until=CLEAR, within=300.0, same=("attrs.site",))))
    site = {"site": "string"}
    journal = Journal().tick(0).add(7200, [smoke("a", 100, attrs={"site": "A"})], site).tick(DAY_S)
    stream, running, judge = Stream(), correlator(rules, journal, corrects=None), reconciler(rules, journal, corrects=None)
    await running.run(journal.read(), stream.publish)
    while await judged(running, judge, journal):
        await running.run(rest(journal, running.seq), stream.publish)
    assert not running.late.backlog.entries
    journal.add(
        2 * DAY_S, [clear("far", 2 * DAY_S, 900) | {"attrs": {"site": "A"}}, clear("other", 2 * DAY_S) | {"attrs": {"site": "B"}}], site
    )
    await running.run(rest(journal, running.seq), stream.publish)
    assert closed(stream.alerts[-1]) is None
    journal.add(2 * DAY_S + 60, [clear("c", 2 * DAY_S + 50) | {"attrs": {"site": "A"}}], site).tick(2 * DAY_S + 120)
    await running.run(rest(journal, running.seq), stream.publish)
    assert closed(stream.alerts[-1]) == 2 * DAY_S + 50
    assert stream.alerts[-1].reasons[-1].endswith("ops.clear of c")
    back = clear("c", 2 * DAY_S + 130, action=int(Action.CANCEL), refers_to=f"c@{2 * DAY_S + 50:g}") | {"attrs": {"site": "A"}}
    journal.add(2 * DAY_S + 130, [back], site).tick(2 * DAY_S + 300)
    await running.run(rest(journal, running.seq), stream.publish, finish=True)
    assert (closed(stream.alerts[-1]), {alert.id for alert in stream.alerts}) == (None, {stream.alerts[0].id})


async def test_an_alert_of_another_rule_closes_it_after_the_second_look_too_until_that_one_is_retracted() -> None:
    """As it closes those that were not learnt late, by what anchors it."""
    calm = rule("calm", Match(CLEAR))
    rules = plan(kept(Resolve(until=Selector("alert.calm"), within=300.0)), calm)
    journal = Journal().tick(0).add(7200, [smoke("a", 100)]).tick(DAY_S)
    stream, running, judge = Stream(), correlator(rules, journal, corrects=None), reconciler(rules, journal, corrects=None)
    await running.run(journal.read(), stream.publish)
    while await judged(running, judge, journal):
        await running.run(rest(journal, running.seq), stream.publish)
    assert not running.late.backlog.entries

    async def then(at: float, *rows: dict[str, Any]) -> Any:
        journal.add(at, list(rows)).tick(at + 60)
        await running.run(rest(journal, running.seq), stream.publish)
        return next(one for one in stream.last().values() if one.rule == "smoke")

    assert closed(await then(2 * DAY_S, clear("far", 2 * DAY_S, 900))) is None
    late, at_once = await then(2 * DAY_S + 90, clear("c", 2 * DAY_S + 80)), 2 * DAY_S + 80
    assert (closed(late), late.late) == (at_once, True)
    back = clear("c", 2 * DAY_S + 180, action=int(Action.CANCEL), refers_to=f"c@{at_once:g}")
    again = await then(2 * DAY_S + 180, back)
    assert closed(again) is None and again.status != "retracted"
    assert closed(await then(2 * DAY_S + 300, clear("d", 2 * DAY_S + 300))) == 2 * DAY_S + 300


@pytest.mark.parametrize(
    "resolve",
    [Resolve(after=8 * MINUTE), Resolve(until=CLEAR, within=300.0), Resolve(below_for=5 * MINUTE)],
    ids=["after", "until", "below"],
)
def test_in_the_end_alerts_are_closed_as_if_everything_had_come_in_time(resolve: Resolve) -> None:
    per = Per(5 * MINUTE, 300.0)
    rules = plan(kept(resolve), closing(rule("cluster", Cluster(Selector("fire.smoke"), 300.0, 10 * MINUTE, 2), per=per), resolve))
    seen = Counter[bool]()

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(4, 20), st.sampled_from((0.3, 0.7)))
    def compare(seed: int, facts: int, late: float) -> None:
        asyncio.run(same(seed, facts, late))

    async def same(seed: int, facts: int, late: float) -> None:
        draw = Random(seed)
        rows = [(float(at), i) for i, at in enumerate(draw.sample(range(2400), facts))]
        made = {i: (clear if draw.random() < 0.3 else smoke)(f"S{i}", at, draw.randint(0, 4) * 120) for at, i in rows}
        behind = {i for _, i in rows if draw.random() < late}
        journal, in_time = Journal().tick(-60), Journal().tick(-60)
        for at, i in sorted(rows):
            in_time.add(at, [made[i]])
            if i not in behind:
                journal.add(at, [made[i]])
        for at, i in enumerate(sorted(behind)):
            journal.add(9000 + 20 * at, [made[i]])
        stream, _, _ = await lived(rules, journal.tick(DAY_S))
        ours, truth = (alerts(one) for one in (stream.last(), (await told(rules, in_time.tick(DAY_S))).last()))
        seen.update(bool(when) for (_, _, _, when), _ in truth.items())
        assert ours == truth

    compare()
    assert seen[True] > 1


def alerts(last: Any) -> Counter[Any]:
    return Counter(
        (one.rule, frozenset(event.id for event in one.evidence if event.role != "closer"), one.count, closed(one))
        for one in last.values()
        if one.status != "retracted"
    )


CLEAN = Selector("fire.smoke", where=Compare("value", "<=", 50e-9))
PERMIT = Selector("ops.burn_permit", text="ops.burn_permit")
HIGH = Match(SMOKY, 2, CLEAN)


def permit(name: str, at: float, **more: Any) -> dict[str, Any]:
    return clear(name, at, **more) | {"kind": "ops.burn_permit"}


def burning(until: int, late: bool) -> Journal:
    """High from 600 s on, low from `until` on, every 300 s; under a permit that had been taken back before, which is known at once or `late`."""
    rows = [(0, permit("p", 0)), (3900 if late else 300, permit("x", 300, action=int(Action.CANCEL), refers_to="p@0"))]
    rows += [(at, smoke("a", at, value=160.0 if at < until else 20.0)) for at in range(600, until + 1200, 300)]
    journal = Journal().tick(-60)
    for at, row in sorted(rows, key=lambda pair: pair[0]):
        journal.add(at, [row])
    return journal.tick(3 * DAY_S)


@pytest.mark.parametrize("hours", [1, 4, 20])
async def test_an_alert_that_a_state_keeps_open_long_after_the_second_look_is_closed_when_that_ends(hours: int) -> None:
    """The state is the same with what was learnt late as without; the alert is not."""
    state = closing(rule("state", HIGH, unless=(Active(PERMIT, 500.0, 60 * MINUTE),)), Resolve(below_for=10 * MINUTE))
    truth = (await told(plan(state), burning(hours * 3600, late=False))).last()
    stream, _, running = await lived(plan(state), burning(hours * 3600, late=True))
    assert [closed(alert) for alert in truth.values()] == [hours * 3600 + 300 + 600]
    assert alerts(stream.last()) == alerts(truth)
    assert not running.late.backlog.entries


async def test_a_state_that_only_a_late_sample_shows_is_followed_until_its_alert_is_closed() -> None:
    """High at once and once more, learnt late; in between it is not heard."""
    state = closing(rule("state", HIGH), Resolve(below_for=10 * MINUTE))
    low = [(at, [smoke("a", at, value=20.0)]) for at in (30_000, 30_100)]
    journal = Journal().add(600, [smoke("a", 600)])
    for at, entry in [(9000, [smoke("a", 700)]), *low]:
        journal.add(at, entry)
    stream, _, running = await lived(plan(state), journal.tick(3 * DAY_S))
    assert [(alert.status, closed(alert)) for alert in stream.last().values()] == [("amended", 30_100 + 600)]
    assert not running.late.backlog.entries
