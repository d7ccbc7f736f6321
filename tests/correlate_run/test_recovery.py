"""Whatever happens on the way - a crash after any entry, a damaged snapshot, other batches - the alerts end up the same."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from runkit import (
    T0,
    Entry,
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

from tocsin.correlate import saving, snapshots
from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.meters import Counters
from tocsin.correlate.snapshots import Snapshot, decode, encode, load, plan_version, save
from tocsin.model.alert import Alert
from tocsin.model.plan import Active, Match, Per, Plan
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE


def rules() -> Plan:
    """Every operator, with and without thinning."""
    permit = Active(Selector("ops.burn_permit"), 200.0, 60 * MINUTE)
    by_source = rule("own", Match(Selector("fire.smoke", where=Compare("source", "in", ("S-1", "S-2")))), per=Per(5 * MINUTE, None, True))
    permitted = rule("permitted", Match(Selector("call.fire")), unless=(permit,))
    return plan(
        smoke_match(Per(3 * MINUTE, 300.0)),
        smoke_cluster(2, Per(5 * MINUTE, 200.0)),
        call_then_smoke(),
        no_engine(),
        silence(),
        by_source,
        permitted,
    )


def storm(seed: int, entries: int = 24, steps: tuple[float, ...] = (0.05, 1.0, 20.0, 90.0)) -> Journal:
    """Random events of all kinds with late ones, corrections in any order, and ticks."""
    draw = random.Random(seed)
    journal, names, at = Journal(), [], 0.0
    for _ in range(entries):
        at += draw.choice(steps)
        if draw.random() < 0.2:
            journal.tick(at)
            continue
        rows = []
        for _ in range(draw.randint(1, 5)):
            kind = draw.choice(["fire.smoke", "fire.smoke", "fire.smoke", "call.fire", "unit.onscene", "ops.burn_permit"])
            row = smoke(
                f"S-{draw.randint(0, 5)}", round(at - draw.choice([0, 0, 3, 200]), 2), draw.randint(0, 8) * 60, draw.choice([100, 160])
            )
            row |= {"id": f"e{len(names)}", "kind": kind} | ({} if kind == "fire.smoke" else {"value": None, "unit": None})
            if names and draw.random() < 0.2:
                target = draw.choice([draw.choice(names), f"e{len(names) + draw.randint(1, 6)}"])
                row |= {"action": int(draw.choice([Action.UPDATE, Action.CANCEL])), "refers_to": target}
            names.append(row["id"])
            rows.append(row)
        journal.add(at, rows)
    return journal.tick(at + 400)


@pytest.mark.parametrize("seed", range(4))
async def test_a_crash_after_any_entry_tells_every_revision_once(tmp_path: Path, seed: int) -> None:
    journal, plan_ = storm(seed), rules()
    whole = await told(plan_, journal)
    assert len(whole.last()) > 5 and any(alert.revision > 1 for alert in whole.alerts)
    for stop in range(1, len(journal.entries)):
        stream, file = Stream(), tmp_path / f"{seed}-{stop}.snap"
        before = correlator(plan_, journal, snapshot=file)
        await before.run(until(journal, stop), stream.publish)
        assert before.save()
        lost = random.Random(stop).randint(0, 3)
        known = {alert.id: alert.revision for alert in stream.alerts}
        after = correlator(plan_, journal, snapshot=file, published=known)
        assert after.resume() == stop
        await after.run(journal.read(stop + 1 - min(lost, stop)), stream.publish, finish=True)
        assert after.counters.repeated == min(lost, stop)
        same(stream, whole)


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_from_an_older_snapshot_does_not_tell_again(tmp_path: Path, seed: int) -> None:
    journal, plan_ = storm(seed), rules()
    whole, stream, file = await told(plan_, journal), Stream(), tmp_path / "s"
    first = correlator(plan_, journal, snapshot=file)
    await first.run(until(journal, 5), stream.publish)
    first.save()
    second = correlator(plan_, journal, snapshot=None)
    stream = Stream()
    await second.run(until(journal, 17), stream.publish)  # went on to 17, then died without a newer snapshot
    third = correlator(plan_, journal, snapshot=file, published=stream.published())
    assert third.resume() == 5
    await third.run(journal.read(6), stream.publish, finish=True)
    same(stream, whole)


@pytest.mark.parametrize("seed", range(4))
async def test_a_crash_while_telling_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    journal, plan_ = storm(seed), rules()
    whole, stream, draw, crashes = await told(plan_, journal), Stream(), random.Random(seed), 0
    file = tmp_path / "state"
    while True:
        left = draw.randint(1, 6)

        async def publish(alert: Alert) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise ConnectionError("gone")
            await stream.publish(alert)

        running = correlator(plan_, journal, snapshot=file, published=stream.published())
        start = running.resume()
        stop = min(start + draw.randint(1, 8), len(journal.entries))
        try:
            await running.run(listed(journal.entries[start:stop]), publish, finish=stop == len(journal.entries))
        except ConnectionError:
            crashes += 1
            assert not running.save()
            continue
        if stop == len(journal.entries):
            break
        assert running.save()
    assert crashes > 2
    same(stream, whole)


@pytest.mark.parametrize("seed", range(4))
async def test_the_end_does_not_depend_on_what_was_told_together(seed: int) -> None:
    journal, plan_ = storm(seed, 40, (0.02, 0.3)), rules()
    whole, each = await told(plan_, journal), Stream()
    running = correlator(plan_, journal)
    for entry in journal.entries:
        await running.run(listed([entry]), each.publish, finish=True)
    assert len(each.alerts) > len(whole.alerts)
    assert alerts_hash(each.alerts) == alerts_hash(whole.alerts)


@pytest.mark.parametrize("seed", range(6))
async def test_other_batches_give_the_same_alerts(seed: int) -> None:
    journal, plan_ = storm(seed), rules()
    whole = alerts_hash((await told(plan_, journal)).alerts)
    draw = random.Random(seed)
    for _ in range(3):
        again = journal.recut(iter(lambda: draw.randint(1, 4), 0))
        assert alerts_hash((await told(plan_, again)).alerts) == whole


async def test_evidence_read_again_from_the_journal_is_the_same() -> None:
    journal, plan_ = storm(1), rules()
    kept, reread = await told(plan_, journal), Stream()
    small = correlator(plan_, journal, recent_bytes=1)
    await small.run(journal.read(), reread.publish, finish=True)
    assert small._recent.fetched > 0
    same(reread, kept)


async def test_evidence_the_journal_no_longer_has_is_said_to_be_gone() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(1, [smoke("b", 1), smoke("c", 1)])
    forgetful = correlator(plan(smoke_cluster()), journal, recent_bytes=1)
    stream = Stream()
    entries = list(journal.entries)
    journal.entries = []
    await forgetful.run(listed(entries), stream.publish)
    gone = [event for event in stream.alerts[0].evidence if event.text == "no longer in the journal"]
    assert len(gone) == 1 and forgetful._recent.missing == 1


async def test_snapshots_are_taken_while_running_and_never_ahead_of_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SHARE", 0.0)
    journal, file, stream = storm(2), tmp_path / "deep" / "state", Stream()

    async def publish(alert: Alert) -> None:
        await asyncio.sleep(0.002)
        await stream.publish(alert)

    async def entries() -> AsyncIterator[Entry]:
        for number, entry in enumerate(journal.entries):
            yield entry
            await asyncio.sleep(0.02)
            async with asyncio.timeout(120):  # on a busy machine a snapshot takes longer than all entries
                while running.counters.snapshots < number // 8:
                    await asyncio.sleep(0.01)
            if file.exists():
                copy.write_bytes(file.read_bytes())  # as a crash right now would leave it
                fresh = correlator(rules(), journal, snapshot=copy, published=stream.published())
                rest = Stream()
                start = fresh.resume()
                assert 0 < start <= entry.seq
                await fresh.run(journal.read(start + 1), rest.publish, finish=True)
                assert alerts_hash([*stream.alerts, *rest.alerts]) == whole

    copy = tmp_path / "copy"
    whole = alerts_hash((await told(rules(), journal)).alerts)
    running = correlator(rules(), journal, snapshot=file, snapshot_every=0.0)
    await running.run(entries(), publish, finish=True)
    assert running.counters.snapshots > 1
    assert alerts_hash(stream.alerts) == whole


async def test_a_snapshot_is_of_the_moment_it_was_begun_whatever_comes_after(tmp_path: Path) -> None:
    """The child is held up until the parent has gone on; what it writes is the state at its entry all the same."""
    journal, file = storm(2), tmp_path / "state"
    gate, opened = os.pipe()
    saver = saving.Saver(file, "v", 0.0, Counters())
    state = {"last": 0}

    def snapshot() -> Snapshot:
        os.read(gate, 1)
        return Snapshot(state["last"], 7, dict(state))

    async def settled() -> None:
        assert not file.exists(), "not the snapshot before all that was told is durable"

    for entry in journal.entries[:2]:
        state["last"] = entry.seq
        if entry.seq == 1:
            saver.start(snapshot, entry.seq, settled)
        assert not saver.due(99), "one at a time"
    os.write(opened, b"x")
    await saver.close(settled=True)
    found = load(file, "v")
    assert found is not None and (found.seq, found.state["last"]) == (1, 1)
    assert saver.seq == 1
    os.close(gate)
    os.close(opened)


@pytest.mark.parametrize("how", ["raises", "dies", "hangs"])
async def test_a_child_that_cannot_write_is_reported_and_leaves_the_old_snapshot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    file, counters = tmp_path / "state", Counters()
    saver = saving.Saver(file, "v", 0.0, counters)
    saver.now(Snapshot(1, 1, {}))

    def fails() -> Snapshot:
        if how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        while how == "hangs":  # in a lock, say, that another thread held when it was forked
            signal.pause()
        raise ValueError("no such state")

    async def settled() -> None:
        return

    if how == "hangs":
        monkeypatch.setattr(saving, "_LONGEST", 0.2)
    saver.start(fails, 2, settled)
    async with asyncio.timeout(60):
        await saver.close(settled=True)
    assert (counters.snapshots, counters.snapshot_failures, saver.seq) == (1, 1, 1)
    assert ("no such state" if how == "raises" else "signal 9") in caplog.text
    found = load(file, "v")
    assert found is not None and found.seq == 1


async def test_a_disk_that_cannot_take_the_snapshot_stops_no_alert(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "full").write_text("a file where a folder should be")
    journal, stream, whole = storm(2), Stream(), await told(rules(), storm(2))
    running = correlator(rules(), journal, snapshot=tmp_path / "full" / "state", snapshot_every=0.0)

    async def slowly() -> AsyncIterator[Entry]:
        for entry in journal.entries:
            yield entry
            await asyncio.sleep(0.001)

    await running.run(slowly(), stream.publish, finish=True)
    same(stream, whole)
    assert running.counters.snapshot_failures > 0 and running.counters.snapshots == 0
    assert "Correlation goes on" in caplog.text


async def test_a_snapshot_under_other_rules_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal, file = storm(3), tmp_path / "state"
    first = correlator(rules(), journal, snapshot=file)
    await first.run(journal.read(), Stream().publish)
    first.save()
    other = correlator(plan(smoke_match()), journal, snapshot=file)
    assert other.resume() == 0
    assert "taken under other rules" in caplog.text and "replayed from its start" in caplog.text


def test_a_damaged_snapshot_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = encode(Snapshot(7, T0, {"a": np.arange(5), "names": ["x", None], "deep": {"k": [1.5, np.int64(4)]}, "flag": True}), "p")
    found = decode(good, "p")
    assert (found.seq, found.clock, found.state["names"], found.state["deep"], found.state["flag"]) == (
        7,
        T0,
        ["x", None],
        {"k": [1.5, 4]},
        True,
    )
    assert found.state["a"].tolist() == [0, 1, 2, 3, 4]
    file = tmp_path / "state"
    for position in range(0, len(good), 7):
        broken = bytearray(good)
        broken[position] ^= 0x10
        save(file, bytes(broken))
        assert load(file, "p") is None
    for length in (0, 10, 40, len(good) - 1):
        save(file, good[:length])
        assert load(file, "p") is None
    assert all("replayed from its start" in record.message for record in caplog.records)
    save(file, good)
    assert load(file, "p") is not None
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert load(tmp_path / "none", "p") is None


def test_a_snapshot_holds_data_only() -> None:
    for bad in (object(), {"x": b"bytes"}, np.array([object()]), {3: "number as a key"}):
        with pytest.raises(TypeError, match="a snapshot holds"):
            encode(Snapshot(1, 1, {"bad": bad}), "p")


def test_a_crash_while_writing_leaves_the_old_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state"
    save(file, encode(Snapshot(1, 1, {}), "p"))

    def dies(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.os, "fsync", dies)
    with pytest.raises(OSError, match="No space left"):
        save(file, encode(Snapshot(2, 2, {}), "p"))
    assert load(file, "p") == Snapshot(1, 1, {})


def test_the_plan_version_follows_meaning_not_wording() -> None:
    one = plan(smoke_match())
    assert plan_version(one) == plan_version(plan(smoke_match()))
    assert plan_version(one) != plan_version(plan(smoke_match(Per(MINUTE))))
    assert plan_version(one) != plan_version(Plan(one.rules, one.origin, delay=1))


async def until(journal: Journal, stop: int) -> AsyncIterator[Entry]:
    for entry in journal.entries[:stop]:
        yield entry


async def listed(entries: list[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


def same(stream: Stream, whole: Stream) -> None:
    """Each revision once, each as in the run that nothing disturbed."""
    told_twice = [(alert.id, alert.revision) for alert in stream.alerts]
    assert len(told_twice) == len(set(told_twice))
    assert {(alert.id, alert.revision): alert for alert in stream.alerts} == {(alert.id, alert.revision): alert for alert in whole.alerts}
