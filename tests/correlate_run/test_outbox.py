"""Publishing: order within an alert, nothing twice, faults that stop the run, and what is measured on the way."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from runkit import Entry, Journal, Stream, correlator, plan, smoke, smoke_cluster, smoke_match, told

from tocsin.correlate.ledger import TRACED_MAX, Case, Ledger
from tocsin.correlate.meters import Latency
from tocsin.correlate.outbox import Outbox
from tocsin.kernel.fault import Fatal
from tocsin.model.alert import Alert
from tocsin.model.plan import Per
from tocsin.model.severity import Action
from tocsin.model.time import DAY, MINUTE


async def alert(revision: int = 1, name: str = "x") -> Alert:
    stream = await told(plan(smoke_match()), Journal().add(0, [smoke("a", 0)]))
    return replace(stream.alerts[0], id=name, revision=revision)


async def test_revisions_of_one_alert_stay_in_order_and_different_alerts_go_side_by_side() -> None:
    gates = {("x", 1): asyncio.Event(), ("y", 1): asyncio.Event()}
    sent: list[tuple[str, int]] = []

    async def publish(item: Alert) -> None:
        if (item.id, item.revision) in gates:
            await gates[item.id, item.revision].wait()
        sent.append((item.id, item.revision))

    outbox = Outbox(publish, {}, lambda _alert, _wall: None)
    for item in (await alert(1), await alert(2), await alert(1, "y")):
        await outbox.put(item, 0)
    gates["y", 1].set()
    await asyncio.sleep(0.01)
    assert sent == [("y", 1)]
    gates["x", 1].set()
    await outbox.drain()
    assert sent == [("y", 1), ("x", 1), ("x", 2)]


async def test_what_is_durable_already_is_not_published_again() -> None:
    stream = Stream()
    outbox = Outbox(stream.publish, {"x": 2}, lambda _alert, _wall: None)
    for revision in (1, 2, 3, 4):
        await outbox.put(await alert(revision), 0)
    await outbox.drain()
    assert [item.revision for item in stream.alerts] == [3, 4]
    assert outbox.skipped == 2


async def test_only_so_many_are_on_their_way_at_once() -> None:
    running, most = 0, 0

    async def publish(_alert: Alert) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    outbox = Outbox(publish, {}, lambda _alert, _wall: None, at_once=4)
    one = await alert()
    for i in range(40):
        await outbox.put(replace(one, id=f"a{i}"), 0)
    await outbox.drain()
    assert most == 4


async def test_a_publish_that_fails_stops_the_run_and_is_not_followed_by_later_revisions(tmp_path: Path) -> None:
    sent = []

    async def publish(item: Alert) -> None:
        sent.append(item.revision)
        raise ConnectionError("the journal is away")

    journal = Journal()
    for i in range(50):
        journal.add(i, [smoke(f"S-{i}", i)])
    running = correlator(plan(smoke_match(Per(30 * MINUTE))), journal, snapshot=tmp_path / "state")
    with pytest.raises(ConnectionError, match="the journal is away"):
        await running.run(journal.read(), publish)
    assert sent == [1]
    assert not running.save() and not (tmp_path / "state").exists(), "its state contains what was never told"
    with pytest.raises(Fatal, match="make a new one"):
        await running.run(journal.read(), publish)


async def test_latency_is_taken_from_receipt_to_durable_for_new_alerts_that_are_live() -> None:
    journal, now = Journal(), time.time_ns()
    journal.add(0, [smoke("a", 0)]).add(100, [smoke("b", 100)]).add(101, [smoke("c", 101)]).tick(103)
    walls = [now - 9_000_000_000, now - 3_000_000_000, now - 4_000_000_000, 0]
    journal.entries = [Entry(e.seq, e.subject, e.ingest, wall, e.batch) for e, wall in zip(journal.entries, walls, strict=True)]
    running = correlator(plan(smoke_match(Per(MINUTE))), journal, live_from=1)
    await running.run(journal.read(), Stream().publish)
    assert len(running.latency.newest) == 1, "not the catch-up, not the amendment"
    assert 3.0 <= running.latency.quantile(0.5) <= 3.0 + (time.time_ns() - now) / 1e9 + 0.01


def test_latency_quantiles_and_buckets() -> None:
    latency = Latency()
    assert latency.quantile(0.5) is None
    for milliseconds in range(1, 101):
        latency.note(milliseconds / 1000)
    assert (latency.quantile(0.5), latency.quantile(0.99), latency.quantile(1.0)) == (0.051, 0.1, 0.1)
    text = latency.text("x_seconds", "Words.")
    assert 'x_seconds_bucket{le="0.01"} 10\n' in text and 'x_seconds_bucket{le="+Inf"} 100\n' in text
    assert text.endswith("x_seconds_sum 5.050000\nx_seconds_count 100\n")


async def test_metrics_are_clean() -> None:
    journal = Journal().add(0, [smoke("a", 0), smoke("b", 99), smoke("c", 0, unit="wibble", lat=99.0)]).tick(1).tick(2)
    journal.add(3, [smoke("x", 3, action=int(Action.CANCEL), refers_to="a@0"), smoke("y", 3, action=int(Action.UPDATE))])
    running = correlator(plan(smoke_match(), smoke_cluster()), journal)
    await running.run(journal.read(), Stream().publish)
    text = running.metrics()
    for name, value in {
        "entries_total": 4, "events_total": 5, "raised_total": 3, "retracted_total": 1, "withdrawn_total": 1, 'clamped_times_total{feed="sensors"}': 1,
        "bad_coordinates_total": 1, "unknown_units_total": 1, "corrections_dangling_total": 1, "last_sequence": 4, "alerts_remembered": 3,
    }.items():  # fmt: skip
        assert f"\ntocsin_correlate_{name} {value}\n" in text
    for line in text.splitlines():
        assert line.startswith(("# HELP tocsin_correlate_", "# TYPE tocsin_correlate_", "tocsin_correlate_"))
    promtool = shutil.which("promtool")
    if promtool is not None:  # where it is not installed the lines above have to do
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_ledger_forgets_the_oldest_and_says_so() -> None:
    ledger = Ledger(DAY, most=3)
    for i in range(5):
        case = ledger.open(Case(f"c{i}", 0, 0, 0, 1, i, "f", None, updated=i))
        case.matches[i] = 1
        ledger.groups[i] = case.id
        ledger.add_evidence(case, [i, 100], [0, 1])
    assert (list(ledger.cases), ledger.forgotten) == (["c2", "c3", "c4"], 2)
    assert ledger.of_group(0) is None and ledger.of_group(4) is ledger.cases["c4"]
    assert [case.id for case in ledger.resting_on(100)] == ["c2", "c3", "c4"]
    assert ledger.resting_on(0) == []
    ledger.prune(DAY + 4)
    assert list(ledger.cases) == ["c4"]
    again = Ledger(DAY)
    again.restore(ledger.snapshot())
    assert again.cases == ledger.cases and again.groups == ledger.groups and again.resting_on(100) == [again.cases["c4"]]


def test_evidence_stops_at_its_limit_and_is_counted() -> None:
    ledger = Ledger(DAY)
    case = ledger.open(Case("c", 0, 0, 0, 1, 0, "f", None, matches={1: TRACED_MAX + 1}, seen=TRACED_MAX + 1))
    ledger.add_evidence(case, range(TRACED_MAX + 6), [1] * (TRACED_MAX + 6))
    assert case.evidence == list(range(TRACED_MAX)) and ledger.untraced == 6
    assert case.joined > case.seen, "it stands by what is not known here"
    assert ledger.remove_evidence(case, 10) == 1
    ledger.add_evidence(case, [5, 9_000], [1, 1])
    assert case.evidence[-1] == 9_000 and len(case.evidence) == TRACED_MAX


async def test_a_firing_of_a_forgotten_alert_is_counted_and_left_out() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(1, [smoke("b", 1)])
    running, stream = correlator(plan(smoke_match(Per(MINUTE))), journal), Stream()
    entries = journal.read()

    async def read():  # type: ignore[no-untyped-def]
        async for entry in entries:
            yield entry
            running._assembler.ledger.groups.clear()

    await running.run(read(), stream.publish, finish=True)
    assert running._assembler.orphans == 1
    assert [item.count for item in stream.alerts] == [1]
