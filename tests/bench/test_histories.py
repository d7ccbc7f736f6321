"""The programs that measure operators with a history, and snapshots: every job is one that the engine runs and that finds something."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import histories, history_jobs, jobs, snapshots
from bench.stream import generate

STREAM = generate(20_000, 1200)


@pytest.mark.parametrize("name", history_jobs.names())
def test_a_job_looks_at_events_and_finds_something(name: str) -> None:
    job = f"history-{name}-20"
    assert jobs.known(job) and len(jobs.operators(job)) == 20
    row = histories.measure(job, STREAM, 60.0)
    assert row["events"] == len(STREAM) and row["firings"] > 0
    assert (row["looks"] > 0) == (name != "alerts")
    assert histories.shown(row)[0] == name


def test_what_is_no_job() -> None:
    assert not any(map(jobs.known, ("history-rate-0", "history-rate", "history--5", "history-cluster-5", "history-rate-x")))


def test_snapshots_are_taken_while_events_come(tmp_path: Path) -> None:
    feeding = snapshots.Feeding(20, STREAM)
    feeding.batch()
    pauses, beside, counters = asyncio.run(snapshots._snapshots(feeding, tmp_path / "engine", 3))
    assert len(pauses) == counters.snapshots == 3 and counters.snapshot_failures == 0
    assert all(pause > 0 for pause in pauses) and len(beside) * snapshots.BATCH <= len(STREAM)
    assert (tmp_path / "engine").stat().st_size == counters.snapshot_bytes > 0
