"""The machine's clock jumps back and forth under a running node: the journal's clock never goes back, and alerts go on."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx
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


def behind(node: Node) -> float:
    """How far the machine's clock is behind city time, in seconds, as the metrics say."""
    found = re.search(r"^tocsin_ingest_clock_ahead_seconds (\S+)$", httpx.get(node.http + "/metrics", timeout=60).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


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
        place = 60_000.0  # set back by hours, city time still goes on: a deadline two seconds after what is now there passes
        node.post(ndjson(reading("deadline", "a", 500, place, at=time.time() + 2 * HOUR)))
        node.alert_near(place, "no-all-clear")
        node.eventually("the screen of the clock", lambda: behind(node) > 1.5 * HOUR)
        node.kill("ingest")  # a new process reads from the journal how far its clock was
        node.post_until_taken(ndjson(reading("after", "a", 1, 90_000)))
        node.eventually("the last event", lambda: len(node.get("/api/v1/events", limit=1000)["items"]) == 12)
        events = sorted(node.get("/api/v1/events", limit=1000)["items"], key=lambda event: event["seq"])
        told = [event["ingest_time"] for event in events]
        assert told == sorted(told)
        assert told[6] > told[3]  # the jump forward was seen, so the test's clock did jump
    assert replayed(city, data)["equal"]


def test_readings_never_go_back_and_never_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """(seconds since the start, the machine's clock) -> city time: at half its pace while the machine's clock is behind."""
    steps = [(0, 100, 120), (2, 102, 121), (60, 160, 160), (70, 60, 165), (80, 70, 170), (400, 390, 390), (401, 391, 391)]
    passed, wall = 0, 0
    monkeypatch.setattr("time.monotonic_ns", lambda: passed * 10**9)
    monkeypatch.setattr("time.time_ns", lambda: wall * 10**9)
    monotone = Monotone(Clock(), last=120 * 10**6)
    for moment, shown, told in steps:
        passed, wall = moment, shown
        assert monotone.now() == told * 10**6
        assert monotone.ahead == max(0, told - wall) * 10**6
