"""Samples that are cancelled or updated: in the end every rule that goes by them says what it would say had they never been there (SEMANTICS 7, 20)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latekit import lived, rest, written
from runkit import SMOKY, Journal, Stream, correlator, plan, rule, smoke, told
from shardkit import FOUR, TWO, Party

from tocsin.correlate.shards.regions import Regions
from tocsin.model.plan import Absence, Accumulate, Change, Match, Per, Plan, Rate
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE

DAY_S = 86_400
CLEAN = Selector("fire.smoke", where=Compare("value", "<=", 50e-9))
READING = Selector("fire.smoke")


def high(at: float, name: str = "a") -> dict[str, Any]:
    return smoke(name, at)


def low(at: float, name: str = "a") -> dict[str, Any]:
    return smoke(name, at, value=20.0)


def cancel(of: str, at: float) -> dict[str, Any]:
    return smoke("x", at, action=int(Action.CANCEL), refers_to=of) | {"id": f"x-{of}"}


def strict(*rules: Any, lateness: int = MINUTE) -> Plan:
    return replace(plan(*rules), lateness=lateness)


TWICE = rule("twice", Match(SMOKY, 2))


async def test_two_in_a_row_that_rest_on_a_cancelled_one_were_none() -> None:
    journal = Journal().add(0, [high(0)]).add(20, [high(20)]).add(40, [cancel("a@0", 40)]).tick(80).tick(DAY_S)
    stream, _, _ = await lived(plan(TWICE), journal)
    assert [(alert.status, alert.late) for alert in stream.alerts] == [("raised", False), ("retracted", True)]
    assert stream.alerts[-1].reasons[-1].startswith("taken back by what was learnt 40 s late")
    assert {event.id for event in stream.alerts[-1].evidence} == {"a@20"}


async def test_a_cancelled_low_sample_lets_those_around_it_be_in_a_row() -> None:
    journal = Journal().add(0, [high(0)]).add(10, [low(10)]).add(20, [high(20)]).add(40, [cancel("a@10", 40)]).tick(80).tick(DAY_S)
    stream, _, _ = await lived(plan(TWICE), journal)
    assert [(alert.status, alert.late) for alert in stream.alerts] == [("raised", True)]


def world(seed: int, facts: int, odd: float, far: int) -> tuple[Journal, Journal]:
    """Readings of three sources, some of which are cancelled or updated up to `far` seconds later; and what is left of them, in order."""
    draw, came, happened = Random(seed), [], []
    for number, at in enumerate(map(float, sorted(draw.sample(range(2400), facts)))):
        name, where = f"S-{draw.randint(0, 2)}", draw.randint(0, 2) * 100
        row = smoke(name, at, where, draw.choice([20.0, 100.0, 160.0, 160.0])) | {"id": f"e{number}"}
        came.append((at, number, row))
        if draw.random() >= odd:
            happened.append((at, number, row))
            continue
        corrected = at + draw.choice([1, draw.randint(1, 50), draw.randint(1, far)])
        fixed = {"id": f"x{number}", "refers_to": f"e{number}", "action": int(Action.CANCEL)}
        if draw.random() < 0.3:
            fixed |= {"action": int(Action.UPDATE), "value": draw.choice([20.0, 160.0]), "event_time": row["event_time"]}
            happened.append((at, number, row | fixed | {"action": 0, "refers_to": None}))
        came.append((corrected, 1000 + number, row | fixed))
    return written(came), written(happened)


Told = tuple[str, int, frozenset[str]]


def stands(stream: Any) -> Counter[Told]:
    last = [one for one in stream.last().values() if one.status != "retracted"]
    return Counter((one.rule, one.count, frozenset(event.id for event in one.evidence)) for one in last)


def beyond(ours: Counter[Told], truth: Counter[Told]) -> Counter[Told]:
    """Of ours, what is not there in truth. An alert whose match moved may show more than what it rests on: what it once rested on."""
    left, more = truth - ours, Counter[Told]()
    for one in (ours - truth).elements():
        twin = next((other for other in left if other[:2] == one[:2] and other[2] < one[2]), None)
        if twin is None:
            more[one] += 1
        else:
            left = left - Counter([twin])
    return more + left


def in_a_row(per: Per | None) -> list[Any]:
    return [rule("twice", Match(SMOKY, 2), per=per), rule("state", Match(SMOKY, 2, CLEAN), per=per)]


def histories(per: Per | None) -> list[Any]:
    return [
        rule("rate", Rate(READING, 5 * MINUTE, above=3.0), per=per),
        rule("rise", Change(READING, 4 * MINUTE, 60e-9), per=per),
        rule("sum", Accumulate(SMOKY, 8 * MINUTE, 2 * MINUTE, total=3 * MINUTE), per=per),
        rule("lasting", Match(SMOKY, 2, None, 3 * MINUTE, 10 * MINUTE), per=per),
    ]


def unanswered(per: Per | None) -> list[Any]:
    after = Selector("fire.smoke", where=Compare("value", ">", 120e-9))
    return [rule("near", Absence(after, CLEAN, 150.0, 3 * MINUTE), per=per), rule("same", Absence(after, CLEAN, 1e9, MINUTE, ("source",)))]


@pytest.mark.parametrize(("rules", "per"), [(in_a_row, None), (in_a_row, Per(3 * MINUTE, 500.0)), (histories, None), (unanswered, None)])
def test_in_the_end_it_is_as_if_what_was_taken_back_had_never_been(rules: Any, per: Per | None) -> None:
    seen = Counter[str]()
    these = strict(*rules(per))

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), st.integers(20, 50), st.sampled_from((0.2, 0.4)))
    def compare(seed: int, facts: int, odd: float) -> None:
        asyncio.run(same(*world(seed, facts, odd, 500)))

    async def same(corrected: Journal, plain: Journal) -> None:
        stream, _, running = await lived(these, corrected)
        seen.update(alert.status for alert in stream.alerts if alert.late)
        assert not beyond(stands(stream), stands(await told(these, plain)))
        assert not running.late.backlog.entries

    compare()
    assert min(seen[status] for status in ("raised", "retracted")) > 1


@pytest.mark.parametrize("regions", [TWO, FOUR], ids=["two", "four"])
async def test_shards_leave_the_same_to_be_judged_again(regions: Regions) -> None:
    rules, seen = strict(*in_a_row(None), *histories(None)), 0
    for seed in range(2):
        journal, _ = world(seed, 40, 0.4, 500)
        alone = correlator(rules, journal)
        await alone.run(journal.read(), Stream().publish)
        party = Party(rules, journal, regions, crash=0.2)
        shared = party.correlator()
        await shared.run(party.entries(), Stream().publish)
        assert shared.late.backlog.entries == alone.late.backlog.entries
        seen += len(alone.late.backlog.entries)
    assert seen > 4


@pytest.mark.parametrize("seed", range(2))
async def test_a_crash_anywhere_changes_nothing_of_what_is_taken_back(tmp_path: Path, seed: int) -> None:
    """Killed after any entry, with or without a snapshot, before or after what was learnt was journaled."""
    rules, (journal, _) = strict(*in_a_row(None), *histories(None)), world(seed, 20, 0.4, 500)
    stream, _, _ = await lived(rules, journal)
    whole, draw = {(alert.id, alert.revision): alert for alert in stream.alerts}, Random(seed)
    assert any(alert.late for alert in stream.alerts)
    for stop in range(1, len(journal.entries), 2):
        again, file = Stream(), tmp_path / f"{stop}"
        before = correlator(rules, journal, snapshot=file)
        await before.run(first(journal, stop), again.publish)
        if draw.random() < 0.7:
            assert before.save()
        after = correlator(rules, journal, snapshot=file, published=again.published())
        await after.run(rest(journal, after.resume()), again.publish, finish=True)
        assert {(alert.id, alert.revision): alert for alert in again.alerts} == whole


async def first(journal: Journal, stop: int) -> AsyncIterator[Any]:
    for entry in journal.entries[:stop]:
        yield entry


async def test_a_total_that_stood_on_a_reading_cancelled_after_hours_is_taken_back() -> None:
    """Its alert rests on it, so that it is still remembered; the reading before it is what moves the alert."""
    rules = plan(rule("rate", Rate(READING, 10 * MINUTE, above=2.0), per=Per(30 * MINUTE)))
    journal = Journal().add(0, [low(0)]).add(60, [low(60)]).add(120, [low(120)]).add(180, [low(180)])
    journal.add(7200, [cancel("a@60", 7200)]).tick(DAY_S)
    stream, _, _ = await lived(rules, journal)
    (alert,) = [one for one in stream.last().values() if one.status != "retracted"]
    assert {event.id for event in alert.evidence} >= {"a@0", "a@120", "a@180"}
    assert (alert.late, "a@60" in {event.id for event in alert.evidence}) == (True, False)
