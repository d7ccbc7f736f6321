"""`tocsin demo`: the first thing anybody types."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .node_world import ROOT


@pytest.mark.crash
def test_demo_ends_by_itself_and_says_what_it_came_to() -> None:
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
    assert told["quarantined"] == 0
    assert "EXERCISE" in done.stderr


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
