"""What is told and when: joins counted in arrays, raises before amendments, revisions of one alert in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runkit import Entry, Journal, Stream, correlator, plan, smoke, smoke_match

from tocsin.correlate import telling
from tocsin.correlate.firing import Firings, What
from tocsin.correlate.joins import Joins
from tocsin.correlate.outbox import Outbox
from tocsin.correlate.telling import Teller
from tocsin.correlate.wording import Telling, Wording
from tocsin.model.alert import Alert, Evidence
from tocsin.model.plan import Per
from tocsin.model.time import MINUTE, SECOND

HOLD = Per(30 * MINUTE)


def firings(rows: list[tuple[What, int, int, int]]) -> Firings:
    """Rows of (what, group, count, new evidence)."""
    out = np.zeros(len(rows), [("what", np.int64), ("group", np.int64), ("count", np.int64), ("first", np.int64)])
    for at, (what, group, count, _) in enumerate(rows):
        out[at] = (what, group, count, sum(more for *_, more in rows[:at]))
    return Firings(out, np.zeros(sum(more for *_, more in rows), [("seq", np.int64), ("role", np.int64)]))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.integers(0, 6)),
        st.tuples(st.just("forget"), st.integers(0, 6)),
        st.tuples(st.just("push"), st.lists(st.tuples(st.sampled_from(list(What)), st.integers(0, 8), st.integers(0, 1)), max_size=12)),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_joins_are_counted_as_a_dictionary_would(steps: list[tuple[str, object]]) -> None:
    joins, plain, counts = Joins(), {}, dict.fromkeys(range(9), 0)
    for clock, (step, what) in enumerate(steps, 1):
        if step == "watch":
            joins.watch(what)
            plain.setdefault(what, (0, 0))
        elif step == "forget":
            assert joins.look(what) == plain.get(what, (0, 0))
            joins.forget(what)
            plain.pop(what, None)
        else:
            rows, expected = [], []
            for kind, group, more in what:
                counts[group] += 1
                rows.append((kind, group, counts[group], more))
                counted = kind == What.JOIN and not more and group in plain
                expected.append(not counted)
                if counted:
                    plain[group] = (counts[group], clock)
            assert joins.take(firings(rows), clock).tolist() == expected
    assert {group: joins.look(group) for group in plain} == plain
    assert set(joins.groups()) <= set(plain) and len(joins) >= len(plain)


def crowd(seed: int, entries: int = 60) -> Journal:
    """Many matches of a few standing alerts, one place after the other, with silence in between."""
    draw, journal, at = random.Random(seed), Journal(), 0.0
    for number in range(entries):
        at += draw.choice([0.02, 0.3, 5.0])
        rows = [
            smoke(f"S-{draw.randint(0, 9)}", at, draw.randint(0, 3) * 5000, id=f"e{number}-{i}") for i in range(draw.choice([1, 2, 90]))
        ]
        journal.add(at, rows)
    return journal.tick(at + 100)


@pytest.mark.parametrize("seed", range(3))
async def test_counting_in_arrays_changes_nothing_that_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of feeds that correct nothing: the matches of others are all known one by one."""
    journal, per = crowd(seed), Per(30 * MINUTE, 300.0)
    taken = 0
    take = Joins.take

    def counting(self: Joins, firings: Firings, clock: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        nonlocal taken
        left = take(self, firings, clock)
        taken += int((~left).sum())
        return left

    monkeypatch.setattr(Joins, "take", counting)
    fast, slow = Stream(), Stream()
    await correlator(plan(smoke_match(per)), journal, corrects=frozenset()).run(journal.read(), fast.publish, finish=True)
    assert taken > 50
    monkeypatch.setattr(Joins, "take", lambda _self, firings, _clock: np.ones(len(firings), np.bool_))
    await correlator(plan(smoke_match(per)), journal, corrects=frozenset()).run(journal.read(), slow.publish, finish=True)
    assert {(alert.id, alert.revision): alert for alert in fast.alerts} == {(alert.id, alert.revision): alert for alert in slow.alerts}
    assert sum(alert.count for alert in fast.last().values()) == sum(len(e.batch or ()) for e in journal.entries)


async def test_a_raise_does_not_wait_for_the_amendments_of_its_entry() -> None:
    journal = Journal().add(0, [smoke(f"S-{i}", 0, i * 5000) for i in range(40)])
    journal.add(2, [smoke(f"S-{i}", 2, i * 5000) for i in range(40)] + [smoke("new", 2, 40 * 5000)])
    stream, per = Stream(), Per(30 * MINUTE, 300.0)
    await correlator(plan(smoke_match(per)), journal).run(journal.read(), stream.publish, finish=True)
    assert [alert.status for alert in stream.alerts] == ["raised"] * 41 + ["amended"] * 40
    assert {alert.updated - stream.alerts[0].updated for alert in stream.alerts[41:]} == {2 * SECOND}


async def test_amendments_are_told_while_nothing_comes() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(2, [smoke("b", 2)])
    stream, seen = Stream(), asyncio.Event()

    async def publish(alert: Alert) -> None:
        await stream.publish(alert)
        if alert.revision == 2:
            seen.set()

    async def entries() -> AsyncIterator[Entry]:
        for entry in journal.entries:
            yield entry
        async with asyncio.timeout(120):
            await seen.wait()

    await correlator(plan(smoke_match(HOLD)), journal).run(entries(), publish)
    assert [(alert.revision, alert.count) for alert in stream.alerts] == [(1, 1), (2, 2)]


def one(name: str, revision: int, urgent: bool) -> Telling:
    rule = smoke_match()
    return Telling(name, rule, revision, "raised", 0, 0, 0, 1, 1, "f", None, False, revision, (1,), (0,), (), urgent)


def fact(seq: int) -> Evidence:
    return Evidence(seq, "f", "e", "fire.smoke", "s", 0, 0, None, None, None, None, None, "")


class Desk:
    """A teller over an outbox that writes down what it is given. `broken`: looking up fails."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()
        outbox = Outbox(self.publish, {}, lambda _alert, _wall: None)
        self.teller = Teller(Wording(lambda _lon, _lat: "", lambda _feed: 0, False), self.lookup, outbox, lambda _alert: None)

    async def lookup(self, seqs: Iterable[int]) -> dict[int, Evidence]:
        await self.gate.wait()
        if self.broken:
            raise ConnectionError("the journal is away")
        return {seq: fact(seq) for seq in seqs}

    async def publish(self, alert: Alert) -> None:
        self.said.append((alert.id, alert.revision))


async def test_what_waits_about_an_alert_goes_before_its_retraction() -> None:
    desk = Desk()
    await desk.teller.tell([one("x", 1, True), one("y", 1, True)], 0, 0)
    await desk.teller.tell([one("y", 2, False), one("x", 2, False), one("x", 3, False)], 0, 0)
    await desk.teller.tell([one("x", 4, True)], 0, 0)
    await desk.teller.flush()
    await desk.teller.settled()
    assert [said for said in desk.said if said[0] == "x"] == [("x", revision) for revision in (1, 2, 3, 4)]
    await desk.teller.close()


async def test_settled_waits_for_amendments_that_were_decided_before() -> None:
    desk = Desk()
    desk.gate.clear()
    await desk.teller.tell([one("x", 2, False)], 0, 0)
    waiting = asyncio.create_task(desk.teller.settled())
    await asyncio.sleep(0.1)
    assert not waiting.done() and desk.teller.waiting == 1
    desk.gate.set()
    await waiting
    assert desk.said == [("x", 2)]
    await desk.teller.close()


async def test_too_many_waiting_are_told_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "WAITING_MAX", 10)
    desk = Desk()
    await desk.teller.tell([one(f"a{i}", 2, False) for i in range(50)], 0, 0)
    assert desk.teller.waiting == 10
    await desk.teller.close()


async def test_a_fault_in_the_background_is_raised_by_the_next_call() -> None:
    desk = Desk()
    desk.broken = True
    await desk.teller.tell([one("x", 2, False)], 0, 0)
    while not desk.teller._task.done():
        await asyncio.sleep(0.01)
    with pytest.raises(ConnectionError, match="the journal is away"):
        await desk.teller.tell([], 0, 0)
    await desk.teller.close()


@pytest.mark.parametrize("behind", [False, True])
async def test_amendments_give_way_to_entries_that_wait(behind: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each burst they rest for a multiple of what it took: a small one in peace, a large one while entries wait."""
    rests: list[float] = []
    sleep = asyncio.sleep

    async def counting(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    monkeypatch.setattr(telling.asyncio, "sleep", counting)
    monkeypatch.setattr(Teller, "_some", _one_second)
    desk = Desk()
    desk.teller.behind = behind
    await desk.teller.tell([one("x", 1, False), one("y", 1, False)], 0, 0)
    while desk.teller.waiting:
        await sleep(0)
    await desk.teller.close()
    assert [rest for rest in rests if rest >= 1] == [25.0 if behind else 2.0] * 2


async def _one_second(self: Teller) -> float:
    await self._one()
    return 1.0


async def test_the_correlator_knows_when_entries_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry received long ago waited for others; one of the past is only caught up with; a tick does not wait."""
    journal = Journal().add(0, [smoke("a", 0)]).tick(1).add(2, [smoke("b", 2)])
    worker, seen = correlator(plan(smoke_match(HOLD)), journal), []
    take = worker._take
    longest = 60 * 10**9

    async def taking(entry: Entry, teller: Teller) -> None:
        await take(entry, teller)
        seen.append(teller.behind)

    monkeypatch.setattr(worker, "_take", taking)
    worker.live_from = 1
    waited = [replace(entry, wall=time.time_ns() - longest if entry.batch is not None else 0) for entry in journal.entries]

    async def entries() -> AsyncIterator[Entry]:
        for entry in waited:
            yield entry

    await worker.run(entries(), Stream().publish)
    assert seen == [False, False, True]
