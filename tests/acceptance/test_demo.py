"""`tocsin demo`: the first thing anybody types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .node_world import ROOT, last_json, running, tocsin


@pytest.mark.crash
def test_demo_ends_by_itself_and_says_what_it_came_to(tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "tocsin",
        "demo",
        "--no-browser",
        "--port",
        "0",
        "--ingest-port",
        "0",
        "--mqtt-port",
        "0",
        "--for",
        "30s",
        "--keep",
        str(tmp_path / "kept"),
        "--json",
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["events"] > 200
    assert told["alerts"] >= 3
    assert told["correlated_to_the_end"]
    assert len(told["alerts_hash"]) == 64
    assert told["ingest_to_alert_ms"]["p50"] > 0
    assert told["ingest_to_alert_ms"]["p99"] >= told["ingest_to_alert_ms"]["p50"]
    assert set(told["feeds"]) == {"sfd.calls", "sfd.calls-august", "usgs.earthquakes", "nws.warnings", "air.pm25"}
    assert (told["quarantined"], told["duplicates"]) == (0, 0)
    assert "EXERCISE" in done.stderr and "read and write for everyone on this machine" in done.stderr
    assert "http://127.0.0.1:" in done.stderr
    shared_out(tmp_path / "kept", told)


def shared_out(data: Path, live: dict[str, Any]) -> None:
    """What was told live is told again, also when the matching is shared among shards, and the node's last words lacked nothing of it."""
    for shards in (1, 2, 4):
        done = tocsin("replay", "examples/seattle", "--data", data, "--shards", str(shards), "--json")
        assert done.returncode == 0, done.stderr
        told = last_json(done)
        assert (told["shards"], told["equal"], told["alerts_hash"]) == (shards, True, told["live_alerts_hash"])
        assert (told["alerts"], told["alerts_hash"]) == (live["alerts"], live["alerts_hash"])


def test_every_rule_of_the_example_city_means_something_on_its_recorded_data() -> None:
    """From the first record to the end of the exercise, each event known when it happened. `calls-silent` is the one rule that must not ring:
    dispatch never broke, and a recording that is over is not silent. Of the monitors the one rings that really stopped."""
    done = tocsin("check", "examples/seattle", "--dry-run", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = last_json(done)["dry_run"]
    assert (told["to"], told["refused"]) == ("2017-07-08T07:00:00Z", 0)
    alerts = {row["rule"]: row["alerts"] for row in told["rules"]}
    assert {rule for rule, count in alerts.items() if not count} == {"calls-silent"}
    assert (alerts["alarm-then-fire"], alerts["crash-with-spill"], alerts["smoke-monitor-silent"]) == (1, 1, 1)


def test_the_most_severe_rule_has_rung_when_the_demo_opens(tmp_path: Path) -> None:
    """The alarm of 3 July that a fire call confirmed lies before the start, so nobody waits for it, and it is where a person looks first."""
    with running(ROOT / "examples" / "seattle", tmp_path / "data") as node:
        (alert,) = node.alerts(1, rule="alarm-then-fire")
        whole = node.get(f"/api/v1/alerts/{alert['id']}")
    assert (whole["severity"], whole["rank"], whole["opened"]) == ("extreme", 1, "2017-07-04T02:15:00Z")
    assert [event["kind"] for event in whole["evidence"]] == ["call.fire.structure", "call.alarm"]
    assert whole["known_at"] < "2017-07-04T03:00:00Z"  # as it was heard, not when the node started


def test_the_example_city_is_sound() -> None:
    for command in ("check", "test"):
        done = subprocess.run(
            [sys.executable, "-m", "tocsin", command, "examples/seattle", "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failed"] == 0
    assert told["passed"] >= 20
