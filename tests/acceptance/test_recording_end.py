"""A recording that has ended is not a feed that has fallen silent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from .node_world import CITY, ndjson, reading, running, smoke_feed, write_city

START = 1_499_180_400.0  # 4 July 2017, 15:00 UTC
MINUTE = 60.0
SPEED = 3600
EXERCISE = """
exercise: {{title: Recorded, start: 2017-07-04T15:00:00Z, end: 2017-07-04T15:30:00Z, speed: {speed}}}
"""
RULES = """
rule: sensor-silent
title: A sensor is not heard
why: Somebody has to look.
when:
  silence: {of: fire.smoke, during: 20 min}
alert:
  headline: "{source} not heard"
"""


def moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


@pytest.mark.crash
def test_what_was_heard_until_recorded_time_was_over_is_not_silent_after_it(tmp_path: Path) -> None:
    """One sensor stopped an hour before the end, the other one goes on past it: only the first is told, however long the node stays up."""
    city = write_city(tmp_path / "city", RULES, {"smoke": smoke_feed(transport="{replay: {files: [recorded.ndjson]}}")})
    (city / "city.yaml").write_text(CITY + EXERCISE.format(speed=SPEED))
    stopped = [reading(f"a{n}", "stopped", 20, at=START - 60 * MINUTE + n * 5 * MINUTE) for n in range(6)]
    heard = [reading(f"b{n}", "heard", 20, at=START - 60 * MINUTE + n * 5 * MINUTE) for n in range(36)]
    (city / "recorded.ndjson").write_bytes(ndjson(*stopped, *heard))
    with running(city, tmp_path / "data") as node:
        node.eventually("the recording has ended", lambda: node.feed("smoke")["state"] == "ended")
        assert node.feed("smoke")["accepted"] == 6 + 18  # from an hour before the start to the end, which is not played any more
        late = START + 30 * MINUTE + 120 * MINUTE
        node.eventually("two more hours of the city", lambda: moment(node.get("/api/v1/status")["clock"]["now"]) > late)
        told = {alert["headline"] for alert in node.alerts(1, rule="sensor-silent")}
    assert told == {"stopped not heard"}
