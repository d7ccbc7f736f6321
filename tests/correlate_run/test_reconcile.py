"""Facts that come too late: what they change is worked out from the journal, journaled, and the same in every replay."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import append, at_once, judged, lived, reconciler, rest, standing
from runkit import (
    T0,
    Journal,
    Stream,
    call_then_smoke,
    correlator,
    no_engine,
    plan,
    rule,
    silence,
    smoke,
    smoke_cluster,
    smoke_match,
    told,
)

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.model.plan import Active, Match, Per, Plan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import HOUR, MINUTE, SECOND

DAY_S = 86_400
CANCEL = {"action": int(Action.CANCEL)}


def call(name: str, at: float, north: float = 0.0, kind: str = "call.fire", **more: Any) -> dict[str, Any]:
    return smoke(name, at, north) | {"kind": kind, "value": None, "unit": None} | more


async def test_a_late_fact_raises_and_says_how_late() -> None:
    journal = Journal().add(0, [smoke("near", 0, 100)]).add(3 * 3600, [smoke("slow", 60)]).tick(3 * 3600 + 10).tick(DAY_S)
    stream, told_late, running = await lived(plan(smoke_cluster(2)), journal)
    (alert,) = stream.alerts
    assert (alert.status, alert.revision, alert.late) == ("raised", 1, True)
    assert (alert.opened, alert.known_at) == (T0 + 60 * SECOND, T0 + DAY_S * SECOND)
    assert [(event.id, event.role) for event in alert.evidence] == [("slow@60", "anchor"), ("near@0", "member")]
    assert (
        alert.reasons[-1].startswith("learnt 2 h 59 min late, at ") and "it would have fired at 2017-07-14T02:41:00Z" in alert.reasons[-1]
    )
    assert [(len(one.changes), one.closed) for one in told_late] == [(1, True)]
    assert (len(running.late.backlog), running.late.backlog.done) == (0, 1)
    assert 'tocsin_correlate_late_facts_total{feed="sensors"} 1' in running.metrics()


async def test_each_feed_has_its_own_lateness() -> None:
    rows = [smoke("a", 0, feed="slow"), smoke("b", 0, feed="quick"), smoke("c", 0, feed="other")]
    for at, live in ((60, {"a", "b", "c"}), (61, {"a", "c"}), (600, {"a", "c"}), (601, {"a"}), (3600, {"a"}), (3601, set())):
        journal = Journal().add(0, [smoke("x", 0, value=3.0)]).add(at, rows)
        stream = await told(plan(smoke_match()), journal, lateness={"slow": HOUR, "quick": MINUTE})
        assert {alert.evidence[0].source for alert in stream.alerts} == live


async def test_a_late_answer_takes_an_absence_back() -> None:
    journal = Journal().add(0, [call("F1", 0)]).tick(400).add(2 * 3600, [call("E5", 200, 300, "unit.onscene")]).tick(DAY_S)
    stream, _, _ = await lived(plan(no_engine()), journal)
    assert [(alert.status, alert.late) for alert in stream.alerts] == [("raised", False), ("retracted", True)]
    assert stream.alerts[-1].reasons[-1].startswith("taken back by what was learnt 1 h 56 min late")
    assert "E5@200" in {event.id for event in stream.alerts[-1].evidence}


async def test_a_late_fact_amends_what_stands_and_keeps_its_id() -> None:
    journal = Journal().add(0, [smoke("a", 0), smoke("b", 10, 50)]).add(7200, [smoke("c", 5, 30)]).tick(DAY_S)
    stream, _, _ = await lived(plan(smoke_cluster(2, Per(30 * MINUTE, 300.0))), journal)
    assert [(alert.status, alert.sources) for alert in stream.alerts] == [("raised", 2), ("amended", 3)]
    assert stream.alerts[0].id == stream.alerts[1].id
    assert stream.alerts[1].reasons[-1].startswith("learnt 1 h 59 min late")


async def test_a_permit_learnt_late_takes_back_what_it_would_have_suppressed() -> None:
    permit = Active(Selector("ops.burn_permit"), 500.0, 60 * MINUTE)
    rules = plan(rule("smoke", Match(Selector("fire.smoke")), unless=(permit,)))
    journal = Journal().add(100, [smoke("a", 100), smoke("b", 100, 5_000)]).add(7200, [call("p", 50, kind="ops.burn_permit")]).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    assert [(a.status, min(e.id for e in a.evidence)) for a in stream.alerts] == [
        ("raised", "a@100"),
        ("raised", "b@100"),
        ("retracted", "a@100"),
    ]


async def test_what_comes_later_but_in_time_still_meets_the_late_fact() -> None:
    """A slow feed may still deliver after the first look; the second one, when nothing can come any more, finds it."""
    journal = Journal().add(0, [smoke("x", 0, value=3.0)])
    journal.add(700, [smoke("late", 0)]).tick(710)
    rules, options = plan(smoke_cluster(2)), {"lateness": {"slow": 2 * HOUR}}
    running, stream = correlator(rules, journal, **options), Stream()
    judge = reconciler(rules, journal, **options)
    await running.run(journal.read(), stream.publish)
    (first,) = await judged(running, judge, journal)
    assert not first.closed and not first.changes
    journal.add(5000, [smoke("slow", 60, feed="slow")]).tick(5010)
    await running.run(rest(journal, running.seq), stream.publish)
    assert not stream.alerts and not judge.due(running.late.backlog, running.clock)
    journal.tick(DAY_S)
    await running.run(rest(journal, running.seq), stream.publish)
    (second,) = await judged(running, judge, journal)
    assert second.closed
    await running.run(rest(journal, running.seq), stream.publish)
    assert [sorted(event.id for event in alert.evidence) for alert in stream.alerts] == [["late@0", "slow@60"]]
    assert not running.late.backlog.entries


async def test_cancelled_and_superseded_facts_do_not_count() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(4000, [smoke("b", 10), smoke("c", 10)])
    journal.add(4001, [smoke("x", 4001, **CANCEL, refers_to="b@10"), smoke("y", 4001, **CANCEL, refers_to="c@10")]).tick(DAY_S)
    stream, (learnt,), _ = await lived(plan(smoke_cluster(2)), journal)
    assert not stream.alerts and not learnt.changes


async def test_a_fact_cancelled_while_it_was_judged_raises_nothing_and_one_cancelled_later_retracts() -> None:
    rules = plan(no_engine(), smoke_match())
    journal = Journal().tick(0).add(4000, [call("F", 10), smoke("s", 10)]).tick(5000)
    running, stream, judge = correlator(rules, journal), Stream(), reconciler(rules, journal)
    await running.run(journal.read(), stream.publish)
    (group,) = judge.due(running.late.backlog, running.clock)
    learnt = await judge.judge(group, running.seq, running.clock, at_once)
    assert {change.alert.rule for change in learnt.changes} == {"absence", "smoke"}
    journal.add(5001, [call("x", 5001, **CANCEL, refers_to="F@10")])
    append(journal, learnt, T0 + 5001 * SECOND)
    journal.add(5002, [smoke("y", 5002, **CANCEL, refers_to="s@10")])
    await running.run(rest(journal, running.seq), stream.publish)
    assert [(alert.rule, alert.status) for alert in stream.alerts] == [("smoke", "raised"), ("smoke", "retracted")]


async def test_times_the_journal_no_longer_holds_are_said_and_counted() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).tick(5000).add(9000, [smoke("b", 10)]).tick(DAY_S)
    stream, (learnt,), running = await lived(plan(smoke_cluster(2)), journal, first=2)
    assert not stream.alerts and "no longer holds" in learnt.problem
    assert (len(running.late.backlog), running.late.backlog.gone, running.late.backlog.done) == (0, 1, 0)
    assert "tocsin_correlate_late_unreachable_total 1" in running.metrics()


async def test_an_entry_that_comes_twice_is_told_once_and_damage_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(7200, [smoke("b", 10)]).tick(7300)
    running, stream, judge = correlator(plan(smoke_cluster(2)), journal), Stream(), reconciler(plan(smoke_cluster(2)), journal)
    await running.run(journal.read(), stream.publish)
    (learnt,) = await judged(running, judge, journal)
    append(journal, learnt, running.clock)
    journal.entries.append(type(journal.entries[0])(len(journal.entries) + 1, "learnt", running.clock, 0, None, b"{}"))
    await running.run(rest(journal, running.seq), stream.publish, finish=True)
    assert [(alert.status, alert.revision) for alert in stream.alerts] == [("raised", 1)]
    assert "does not say what was learnt late" in caplog.text


def rules_of_all_kinds() -> Plan:
    return plan(
        smoke_match(),
        smoke_cluster(2),
        call_then_smoke(),
        no_engine(),
        rule("thinned", Match(Selector("call")), per=Per(3 * MINUTE, 300.0)),
        silence(),
    )


def day(seed: int, entries: int, late: float) -> tuple[Journal, Journal]:
    """A journal in which some facts come hours late, and one with the same facts all in time. No two happen at once: those the journal orders."""
    draw = Random(seed)
    made: list[tuple[float, dict[str, Any]]] = []
    for i, at in enumerate(map(float, draw.sample(range(1500), entries))):
        kind = draw.choice(["fire.smoke", "fire.smoke", "call.fire", "unit.onscene"])
        row = smoke(f"S-{draw.randint(0, 4)}", at, draw.randint(0, 5) * 100, draw.choice([100.0, 160.0])) | {"id": f"e{i}", "kind": kind}
        if kind != "fire.smoke":
            row |= {"value": None, "unit": None}
        made.append((at, row))
    made.sort(key=lambda pair: pair[0])
    with_late, in_time, behind = Journal().tick(-60), Journal().tick(-60), []
    for at, row in made:
        in_time.add(at, [row])
        if draw.random() < late:
            behind.append(row)
        else:
            with_late.add(at, [row])
    draw.shuffle(behind)
    with_late.tick(2400)
    at = 9000.0
    while behind:
        size = draw.randint(1, 6)
        with_late.add(at, behind[:size])
        behind, at = behind[size:], at + draw.choice((1, 20, 4000))
    return with_late.tick(DAY_S), in_time.tick(2400).tick(DAY_S)


@pytest.mark.parametrize("thinned", [False, True])
def test_in_the_end_everything_is_as_if_it_had_come_in_time(thinned: bool) -> None:
    """Facts in the order they happened, some of them hours later: after the reconciliation the same alerts stand."""
    counted: Counter[str] = Counter()
    per = Per(5 * MINUTE, 250.0) if thinned else None
    rules = plan(smoke_match(per), smoke_cluster(2, per), call_then_smoke(), no_engine())

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(1, 25), st.sampled_from((0.1, 0.5, 1.0)))
    def compare(seed: int, entries: int, late: float) -> None:
        asyncio.run(both(seed, entries, late))

    async def both(seed: int, entries: int, late: float) -> None:
        journal, in_time = day(seed, entries, late)
        stream, told_late, running = await lived(rules, journal)
        counted.update(change.what for learnt in told_late for change in learnt.changes)
        assert standing(stream.last()) == standing((await told(rules, in_time)).last())
        assert not running.late.backlog.entries
        again = Stream()
        await correlator(rules, journal).run(journal.read(), again.publish, finish=True)
        assert alerts_hash(again.alerts) == alerts_hash(stream.alerts)

    compare()
    assert min(counted[what] for what in ("raise", "amend", "retract")) > 1


@pytest.mark.parametrize("seed", range(3))
async def test_a_crash_anywhere_changes_nothing(tmp_path: Path, seed: int) -> None:
    """Killed after any entry, with or without a snapshot, before or after what was learnt was journaled."""
    rules, (journal, _) = rules_of_all_kinds(), day(seed, 20, 0.4)
    stream, _, _ = await lived(rules, journal)
    whole, draw = {(alert.id, alert.revision): alert for alert in stream.alerts}, Random(seed)
    assert any(alert.late for alert in stream.alerts)
    for stop in range(1, len(journal.entries)):
        again, file = Stream(), tmp_path / f"{stop}"
        before = correlator(rules, journal, snapshot=file)
        await before.run(listed(journal, 0, stop), again.publish)
        if draw.random() < 0.7:
            assert before.save()
        after = correlator(rules, journal, snapshot=file, published=again.published())
        await after.run(rest(journal, after.resume()), again.publish, finish=True)
        assert len(again.alerts) == len(whole)
        assert {(alert.id, alert.revision): alert for alert in again.alerts} == whole


async def listed(journal: Journal, start: int, stop: int) -> Any:
    for entry in journal.entries[start:stop]:
        yield entry
