"""What comes too late, through real processes: judged from the journal, said to be late, known from then on and not before."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from .node_world import METRES_PER_DEGREE, Node, ndjson, reading, replayed, running, smoke_feed, write_city

SLOW = smoke_feed("slow").replace("expected_every: 1 h", "expected_every: 1 h\nlateness: 10 s")
HOUR = 3600.0


@pytest.fixture(scope="module")
def late_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """`slow` may be 10 s late, `smoke` as late as the city allows: 6 h. At the end the journal is replayed."""
    folder = tmp_path_factory.mktemp("late")
    city = write_city(folder / "city", feeds={"smoke": smoke_feed(), "slow": SLOW})
    with running(city, folder / "data") as node:
        yield node
    assert replayed(city, folder / "data")["equal"]


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def alerts_at(node: Node, rule: str, east: float, **query: Any) -> list[dict[str, Any]]:
    items = node.get("/api/v1/alerts", rule=rule, limit=1000, **query)["items"]
    return [item for item in items if abs(item["lon"] - 10 - east / METRES_PER_DEGREE) < 500 / METRES_PER_DEGREE]


def metric(node: Node, line: str) -> bool:
    return line in httpx.get(node.http + "/metrics", timeout=60).text


def test_a_fact_later_than_its_feed_allows_raises_an_alert_learnt_late(late_town: Node) -> None:
    then = time.time() - 3 * HOUR + 54  # 2 h 59 min and a second, and there is nearly a minute to send it
    assert late_town.post(ndjson(reading("a1", "a1", 200, at=then))).status_code == 202
    before = now()
    assert late_town.post(ndjson(reading("a2", "a2", 200, 60, at=then + 5)), "slow").status_code == 202
    alert = late_town.alert_near(0)
    assert alert["late"] and alert["status"] == "raised" and alert["revision"] == 1
    assert abs(datetime.fromisoformat(alert["opened"]).timestamp() - then - 5) < 0.001
    assert "learnt 2 h 59 min late" in alert["reasons"][-1] and "would have fired" in alert["reasons"][-1]
    whole = late_town.get(f"/api/v1/alerts/{alert['id']}")
    assert {event["feed"] for event in whole["evidence"]} == {"smoke", "slow"}
    assert not alerts_at(late_town, "second-sensor", 0, at=before), "it was not known then"
    assert late_town.eventually("the count", lambda: metric(late_town, 'tocsin_correlate_late_facts_total{feed="slow"}'))


def test_a_late_answer_takes_an_alert_back_from_the_moment_it_was_learnt(late_town: Node) -> None:
    east, then = 20_000.0, time.time() - HOUR
    late_town.post(ndjson(reading("b1", "b1", 500, east, at=then)))
    alert = late_town.alert_near(east, "no-all-clear")
    assert alert["status"] == "raised"
    time.sleep(0.5)
    between = now()
    late_town.post(ndjson(reading("b2", "b2", 5, east + 100, at=then + 1)), "slow")
    taken = late_town.eventually(
        "the retraction", lambda: [a for a in alerts_at(late_town, "no-all-clear", east) if a["state"] == "retracted"]
    )
    assert (taken[0]["id"], taken[0]["status"], taken[0]["late"]) == (alert["id"], "retracted", True)
    assert "taken back by what was learnt" in taken[0]["reasons"][-1]
    assert [a["status"] for a in alerts_at(late_town, "no-all-clear", east, at=between)] == ["raised"], "it was believed then"


def test_inside_its_feeds_lateness_a_late_fact_counts_at_once(late_town: Node) -> None:
    east, then = 40_000.0, time.time() - 5 * HOUR
    late_town.post(ndjson(reading("c1", "c1", 200, east, at=then)))
    late_town.post(ndjson(reading("c2", "c2", 200, east + 60, at=then + 5)))
    alert = late_town.alert_near(east)
    assert alert["late"] and not any("learnt" in reason for reason in alert["reasons"])


@pytest.mark.crash
def test_killed_in_the_middle_it_tells_everything_once(late_town: Node) -> None:
    draw, then = random.Random(5), time.time() - 2 * HOUR
    places = [60_000.0 + 2_000 * i for i in range(12)]
    late_town.post(ndjson(*(reading(f"d{i}", f"d{i}", 200, east, at=then + i) for i, east in enumerate(places))))
    late_town.post(ndjson(*(reading(f"e{i}", f"e{i}", 200, east + 60, at=then + i + 5) for i, east in enumerate(places))), "slow")
    for _ in range(4):
        time.sleep(1 + 3 * draw.random())
        pid = late_town.eventually("correlate alive", lambda: late_town.child("correlate"))
        late_town.kill("correlate")
        late_town.eventually("another correlate", lambda pid=pid: late_town.child("correlate") != pid)
    for east in places:
        alert = late_town.alert_near(east)
        assert (alert["revision"], alert["status"], alert["late"]) == (1, "raised", True)
        assert len(alerts_at(late_town, "second-sensor", east)) == 1
