"""Why it rang, and why it did not, asked of a real node: over the API and by command, while it runs and after it was stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from .node_world import METRES_PER_DEGREE, PATIENCE, Node, last_json, ndjson, reading, running, smoke_feed, tocsin, write_city


class Town(NamedTuple):
    node: Node
    city: Path
    data: Path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("explain")
    city = write_city(folder / "city")
    with running(city, folder / "data") as node:
        yield Town(node, city, folder / "data")
        node.process.terminate()
        node.process.wait(PATIENCE)
    # the same answers from the journal of a stopped node
    done = tocsin("explain", city, "second-sensor", "--near", place(0), "--data", folder / "data", "--span", "1 h", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_json(done)["verdict"] == "rang"
    alerts = last_json(tocsin("alerts", city, "--data", folder / "data", "--json"))["items"]
    assert {one["state"] for one in alerts} == {"open", "acknowledged"}


def place(east: float) -> str:
    return f"{10 + east / METRES_PER_DEGREE},50.0"


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def why(town: Town, rule: str, east: float, **asked: Any) -> dict[str, Any]:
    told: dict[str, Any] = town.node.get(f"/api/v1/rules/{rule}/explain", near=place(east), **asked)
    return told


def settled(town: Town, seconds: float = 0.0) -> str:
    """An instant that the journal's clock has passed, with everything of before known: this one, or a later one if that was taken in slowly."""
    seconds = max(seconds, time.time() + 0.5)
    time.sleep(max(0.0, seconds - time.time()) + 0.1)
    name = f"clock-{seconds}"
    assert town.node.post(ndjson(reading(name, name, 1, -80_000.0, at=seconds))).status_code == 202
    return iso(seconds)


def test_an_alert_and_its_silence(town: Town) -> None:
    now = time.time()
    assert town.node.post(ndjson(reading("a1", "s1", 200, at=now), reading("a2", "s2", 180, 100, at=now + 0.01))).status_code == 202
    alert = town.node.alert_near(0)
    told = town.node.get(f"/api/v1/alerts/{alert['id']}/explain")
    assert told["verdict"] == "rang" and told["looks"][0]["holds"], told["summary"]
    assert [clause["clause"] for clause in told["clauses"]] == ["cluster.of", "cluster.sources", "alert"]
    assert told["clauses"][1]["words"].startswith("2 of 2 sources of fire.smoke where value >= 150 ug/m3 within 300 m in 10 min")

    done = tocsin("explain", town.city, alert["id"][:8], "--data", town.data)
    assert done.returncode == 0 and "yes  cluster.sources  2 of 2 sources" in done.stdout, done.stdout + done.stderr
    assert f"it raised the alert {alert['id'][:8]}" in done.stdout


def test_why_it_did_not_ring(town: Town) -> None:
    east, now = 30_000.0, time.time()
    records = [
        reading("b1", "s1", 200, east, at=now),
        reading("b2", "s2", 200, east + 412, at=now + 0.01),
        reading("b3", "s3", 140, east + 10, at=now),
    ]
    assert town.node.post(ndjson(*records)).status_code == 202
    asked = settled(town)
    told = why(town, "second-sensor", east, at=asked)
    assert told["verdict"] == "silent" and not told["alerts"]
    failed = told["clauses"][-1]
    assert failed["clause"] == "cluster.sources" and failed["state"] == "failed" and failed["short"] == 1
    assert "1 of 2 sources" in failed["words"] and "the nearest further one was 412 m away, 112 m too far" in failed["words"]
    assert told["known"] == "then" and told["read"] >= len(records)

    nowhere = why(town, "second-sensor", -40_000, at=asked)
    assert nowhere["clauses"][0]["found"] == "none" and "feed smoke last heard at" in nowhere["summary"]


def test_what_was_not_known_then(town: Town) -> None:
    east, now = 60_000.0, time.time()
    town.node.post(ndjson(reading("c1", "s1", 200, east, at=now - 60)))
    asked = settled(town)
    town.node.post(ndjson(reading("c2", "s2", 200, east + 50, at=now - 50)))
    alert = town.node.alert_near(east)
    then = why(town, "second-sensor", east, at=asked)
    assert then["verdict"] == "silent" and "1 of 2 sources" in then["summary"]
    assert any("learnt only after" in note for note in then["notes"])
    late = why(town, "second-sensor", east, at=asked, with_late="true")
    assert late["verdict"] == "rang" and late["alerts"][0]["id"] == alert["id"] and late["known"] == "now"

    moved = {"to": "acknowledged", "by": "Kim"}
    before = iso(time.time())
    assert httpx.post(f"{town.node.http}/api/v1/alerts/{alert['id']}/transitions", json=moved, timeout=60).status_code == 201
    states = {}
    for at in (asked, before, None):
        words = ["alerts", town.city, "--data", town.data, "--json", *(["--at", at] if at else [])]
        states[at] = {one["id"]: one["state"] for one in last_json(tocsin(*words))["items"]}
        listed = town.node.get("/api/v1/alerts", limit=1000, **({"at": at} if at else {}))["items"]
        assert states[at] == {one["id"]: one["state"] for one in listed}
    assert alert["id"] not in states[asked] and states[before][alert["id"]] == "open" and states[None][alert["id"]] == "acknowledged"


def test_an_absence_that_was_answered(town: Town) -> None:
    east, now = 90_000.0, time.time()
    town.node.post(ndjson(reading("d1", "s1", 500, east, at=now), reading("d2", "s2", 10, east + 20, at=now + 1)))
    told = why(town, "no-all-clear", east, at=settled(town, now + 3.5))
    (failed,) = [clause for clause in told["clauses"] if clause["state"] == "failed"]
    assert failed["clause"] == "absence.expect" and "answered it after 1 s, 1 s before the time was up" in failed["words"]


def test_what_is_asked_wrongly(town: Town) -> None:
    answer = httpx.get(f"{town.node.http}/api/v1/rules/second-senser/explain", timeout=60)
    assert answer.status_code == 404 and "did you mean 'second-sensor'?" in answer.json()["detail"]
    for words in (["--near", "10"], ["--at", "noon"], ["--within", "5 kg"], ["--span", "soon"]):
        done = tocsin("explain", town.city, "second-sensor", "--data", town.data, *words)
        assert done.returncode == 1 and words[0] in done.stderr, done.stderr
    done = tocsin("explain", town.city, "second-senser", "--data", town.data, "--at", "2020-01-01")
    assert done.returncode == 1 and "did you mean 'second-sensor'?" in done.stderr
    assert tocsin("explain", town.city, "second-sensor", "--data", town.city, "--at", "2020-01-01").returncode == 2
    assert tocsin("alerts", town.city, "--data", town.data, "--state", "opne").returncode == 1


def test_an_outage_is_told(tmp_path: Path) -> None:
    """A feed that promises a word a second says one, and then nothing."""
    city = write_city(tmp_path / "city", feeds={"smoke": smoke_feed().replace("expected_every: 1 h", "expected_every: 1 s")})
    with running(city, tmp_path / "data") as node:
        town = Town(node, city, tmp_path / "data")
        assert node.post(ndjson(reading("e1", "s1", 200, at=time.time()))).status_code == 202

        def outage() -> dict[str, Any] | None:
            told = why(town, "second-sensor", 0)
            return told if "nothing new of feed smoke came since" in told["summary"] and told["read"] else None

        told = node.eventually("the feed is named", outage)
        assert told["verdict"] == "silent" and told["clauses"][-1]["clause"] == "feed" and told["clauses"][-1]["state"] == "unknown"
        assert "1 of 2 sources" in told["summary"]  # what the rule itself lacked comes first
        done = tocsin("explain", city, "second-sensor", "--near", place(0), "--data", tmp_path / "data")
        assert done.returncode == 0 and re.search(r"^ *\? +feed +nothing new of feed smoke came since", done.stdout, re.MULTILINE), (
            done.stdout
        )
