"""Late facts are looked at more than once, together with these or those: in the end every match counts once."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import at_once, counted, judged, lived, reconciler, rest
from runkit import (
    Journal,
    Stream,
    call_then_smoke,
    correlator,
    no_engine,
    plan,
    rule,
    smoke,
    smoke_cluster,
    smoke_match,
    told,
)

from tocsin.correlate.reconcile.backlog import LateEntry
from tocsin.correlate.reconcile.learnt import Learnt, decode, encode
from tocsin.model.plan import Active, Match, Per
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import HOUR, MINUTE

HOURS = 3600
DAY_S = 24 * HOURS
EXAMPLES = 8


async def both_looks(journal: Journal, later: Journal, *rules: Any, **options: Any) -> Stream:
    """What is told when the journal is read and looked at, then what comes later as well, and looked at once more a day after."""
    known, stream = plan(*rules), Stream()
    running, judge = correlator(known, journal, **options), reconciler(known, journal, **options)
    await running.run(journal.read(), stream.publish)
    assert await judged(running, judge, journal)
    for entry in later.entries:
        journal.entries.append(type(entry)(len(journal.entries) + 1, entry.subject, entry.ingest, 0, entry.batch))
    for end in (journal, journal.tick(2 * DAY_S)):
        while True:
            await running.run(rest(end, running.seq), stream.publish)
            if not await judged(running, judge, journal):
                break
    await running.run(rest(journal, running.seq), stream.publish, finish=True)
    assert not running.late.backlog.entries
    return stream


@pytest.mark.parametrize("between", [0, 400, 1300])
async def test_two_late_facts_looked_at_one_by_one_and_then_together_count_once(between: float) -> None:
    """The second one widens what is looked at together; the last look is at both."""
    stay = smoke_match(Per(30 * MINUTE, 300.0))
    journal = Journal().tick(0).add(3 * HOURS, [smoke("a", between)]).tick(3 * HOURS + 10)
    stream = await both_looks(journal, Journal().add(3 * HOURS + 60, [smoke("b", 0)]).tick(3 * HOURS + 90), stay)
    (alert,) = [alert for alert in stream.last().values() if alert.status != "retracted"]
    assert (alert.count, alert.sources, alert.revision) == (2, 2, 2)


async def test_one_late_fact_is_told_once_however_often_it_is_looked_at() -> None:
    """An alert that a late fact raised; others come late near it in time, far in space."""
    stay = smoke_match(Per(30 * MINUTE, 300.0))
    journal = Journal().tick(0).add(3 * HOURS, [smoke("a", 1000)]).tick(3 * HOURS + 10)
    far = Journal()
    for i in range(5):
        far.add(3 * HOURS + 60 * (i + 1), [smoke(f"b{i}", 200 * i, 5_000 * (i + 1))]).tick(3 * HOURS + 60 * (i + 1) + 20)
    stream = await both_looks(journal, far, stay)
    assert Counter((alert.count, alert.revision, alert.status) for alert in stream.alerts) == {(1, 1, "raised"): 6}


async def test_a_first_look_is_put_right_by_facts_that_come_in_time_after_it() -> None:
    """A call learnt late without an engine; the engine's feed is slow, and in time for itself."""
    journal = Journal().tick(-60).add(2 * HOURS, [smoke("F", 0) | {"kind": "call.fire", "value": None}]).tick(2 * HOURS + 10)
    engine = smoke("E", 200, 100, feed="slow") | {"kind": "unit.onscene", "value": None}
    options = {"lateness": {"slow": 5 * HOUR}}
    stream = await both_looks(journal, Journal().add(3 * HOURS, [engine]), no_engine(), **options)
    assert [(alert.status, alert.late) for alert in stream.alerts] == [("raised", True), ("retracted", True)]
    assert stream.alerts[1].reasons[-1] == (
        "taken back at 2017-07-16T02:40:00Z: with all that was learnt since, what had been learnt late does not show it"
    )


async def test_what_a_first_look_took_back_stands_again_when_its_reason_is_gone() -> None:
    """A permit learnt late is cancelled."""
    permit = Active(Selector("ops.burn_permit"), 500.0, HOUR)
    allowed = rule("smoke", Match(Selector("fire.smoke")), unless=(permit,))
    late = smoke("p", 50) | {"kind": "ops.burn_permit"}
    journal = Journal().add(100, [smoke("a", 100)]).add(2 * HOURS, [late]).tick(2 * HOURS + 10)
    cancel = smoke("x", 40) | {"kind": "ops.burn_permit", "action": int(Action.CANCEL), "refers_to": "p@50"}
    stream = await both_looks(journal, Journal().add(2 * HOURS + 60, [cancel]), allowed)
    assert [(alert.status, alert.count) for alert in stream.alerts] == [("raised", 1), ("retracted", 1), ("amended", 1)]
    assert [event.id for event in stream.alerts[-1].evidence] == ["a@100"]


def spread(seed: int, entries: int, late: float, over: int) -> tuple[Journal, Journal]:
    """A journal in which some facts come hours late, and one with the same facts all in time."""
    draw = Random(seed)
    made: list[tuple[float, dict[str, Any]]] = []
    for i, at in enumerate(map(float, draw.sample(range(over), entries))):
        kind = draw.choice(["fire.smoke", "fire.smoke", "call.fire", "unit.onscene", "ops.burn_permit"])
        row = smoke(f"S-{draw.randint(0, 4)}", at, draw.randint(0, 5) * 100, draw.choice([100.0, 160.0])) | {"id": f"e{i}", "kind": kind}
        made.append((at, row if kind == "fire.smoke" else row | {"value": None, "unit": None}))
    made.sort(key=lambda pair: pair[0])
    with_late, in_time, behind = Journal().tick(-60), Journal().tick(-60), []
    for at, row in made:
        in_time.add(at, [row])
        behind += [row] if draw.random() < late else []
        if not behind or behind[-1] is not row:
            with_late.add(at, [row])
    draw.shuffle(behind)
    with_late.tick(over + 900)
    for i, row in enumerate(behind):
        with_late.add(over + 5 * HOURS + 7 * i, [row])
    return with_late.tick(over + 8 * HOURS), in_time.tick(over + 900).tick(over + 8 * HOURS)


async def looked_at(known: Any, journal: Journal, draw: Random, times: int) -> Stream:
    """Any late facts together, in any order, at any time; at last every one of them at least once, with others or alone."""
    running, stream = correlator(known, journal), Stream()
    judge, seen = reconciler(known, journal), dict[int, LateEntry]()

    async def look(group: list[LateEntry]) -> None:
        learnt: Learnt = await judge.judge(sorted(group, key=lambda entry: entry.oldest), running.seq, running.clock, at_once)
        for content in encode(learnt):
            running.late.learning.apply(decode(content), running.clock, running.seq, {})

    cuts = sorted(draw.randint(1, len(journal.entries)) for _ in range(times))
    for cut in [*cuts, len(journal.entries)]:
        await running.run(journal_part(journal, running.seq, cut), stream.publish)
        seen.update(running.late.backlog.entries)
        if seen and cut < len(journal.entries):
            await look(draw.sample(list(seen.values()), draw.randint(1, len(seen))))
    left = list(seen.values())
    draw.shuffle(left)
    while left:
        size = draw.randint(1, len(left))
        await look([*left[:size], *draw.sample(list(seen.values()), draw.randint(0, len(seen)))])
        left = left[size:]
    journal.tick(3 * DAY_S)
    await running.run(rest(journal, running.seq), stream.publish, finish=True)
    return stream


async def journal_part(journal: Journal, start: int, stop: int) -> Any:
    for entry in journal.entries[start:stop]:
        yield entry


@pytest.mark.parametrize("per", [None, Per(2 * MINUTE, 250.0)])
def test_looks_in_any_order_at_any_late_facts_end_with_the_same_alerts(per: Per | None) -> None:
    """The truth: the same facts, all in time."""
    permit = Active(Selector("ops.burn_permit"), 250.0, 4 * MINUTE)
    rules = plan(
        smoke_match(per),
        smoke_cluster(2, per),
        call_then_smoke(),
        no_engine(),
        rule("unpermitted", Match(Selector("call")), per=per, unless=(permit,)),
    )
    told_late = Counter[str]()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(2, 25), st.sampled_from((0.2, 0.5, 1.0)), st.sampled_from((600, 1500, 6000)))
    def compare(seed: int, entries: int, late: float, over: int) -> None:
        journal, in_time = spread(seed, entries, late, over)
        asyncio.run(same(journal, in_time, Random(seed)))

    async def same(journal: Journal, in_time: Journal, draw: Random) -> None:
        stream = await looked_at(rules, journal, draw, draw.randint(0, 4))
        told_late.update(alert.status for alert in stream.alerts if alert.late)
        assert counted(stream.last()) == counted((await told(rules, in_time)).last())

    compare()
    assert min(told_late[status] for status in ("raised", "amended", "retracted")) > 0


@pytest.mark.parametrize("per", [None, Per(2 * MINUTE, 250.0)])
def test_the_looks_of_a_running_node_count_every_match_once(per: Per | None) -> None:
    """As they come due by themselves, soon and for good."""
    rules = plan(smoke_match(per), smoke_cluster(2, per), call_then_smoke(), no_engine())

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(2, 25), st.sampled_from((0.2, 0.5, 1.0)))
    def compare(seed: int, entries: int, late: float) -> None:
        journal, in_time = spread(seed, entries, late, 2500)
        asyncio.run(same(journal.tick(3 * DAY_S), in_time))

    async def same(journal: Journal, in_time: Journal) -> None:
        stream, _, running = await lived(rules, journal)
        assert counted(stream.last()) == counted((await told(rules, in_time)).last())
        assert not running.late.backlog.entries

    compare()
