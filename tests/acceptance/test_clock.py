"""The machine's clock jumps back and forth under a running node: the journal's clock never goes back, and alerts go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.kernel.clock import Clock, Monotone

from .node_world import Node, ndjson, reading, replayed, running, write_city

HOUR = 3_600

#: Python imports `sitecustomize` at its start; this one moves the wall clock of the node's processes by what a file says.
JUMPING = """
import os, time

def moved(real, factor):
    def reading():
        try:
            with open(os.environ["TEST_CLOCK_FILE"]) as file:
                return real() + type(real())(float(file.read()) * factor)
        except (OSError, ValueError):
            return real()
    return reading

time.time, time.time_ns = moved(time.time, 1), moved(time.time_ns, 10**9)
"""


def confirmed_at(node: Node, number: int) -> None:
    """Two sensors whose own clocks are right see smoke: that is an alert whatever the node's clock says."""
    place = 3_000.0 * number
    records = ndjson(reading(f"{number}a", "a", 200, place), reading(f"{number}b", "b", 300, place + 50))
    assert node.post(records).json()["accepted"] == 2
    node.alert_near(place)
    assert node.post(records).json()["duplicates"] == 2


@pytest.mark.crash
def test_a_jumping_clock_stops_no_alert(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(JUMPING)
    jump = tmp_path / "jump"
    jump.write_text("0")
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    env = {"PYTHONPATH": str(tmp_path / "site"), "TEST_CLOCK_FILE": str(jump)}
    with running(city, data, env=env) as node:
        for number, hours in enumerate((0, -1, 2, 0, -5)):
            jump.write_text(str(hours * HOUR))
            confirmed_at(node, number)
        node.kill("ingest")  # a new process reads from the journal how far its clock was
        node.post_until_taken(ndjson(reading("after", "a", 1, 90_000)))
        node.eventually("the last event", lambda: len(node.get("/api/v1/events", limit=1000)["items"]) == 11)
        events = sorted(node.get("/api/v1/events", limit=1000)["items"], key=lambda event: event["seq"])
        told = [event["ingest_time"] for event in events]
        assert told == sorted(told)
        assert told[6] > told[3]  # the jump forward was seen, so the test's clock did jump
    assert replayed(city, data)["equal"]


def test_readings_never_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [1_000, 2_000, 1_500, 2_000, 2_001, 0, 9_000]
    readings = iter(wall)
    monkeypatch.setattr("time.time_ns", lambda: next(readings) * 1_000)
    monotone = Monotone(Clock(), last=1_200)
    assert [monotone.now() for _ in wall] == [1_200, 2_000, 2_000, 2_000, 2_001, 2_001, 9_000]
