"""An exercise on a real node beside real life: marked everywhere, nothing of it leaves, no real alert is touched, and it is scored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tocsin.app.health import endpoint_of
from tocsin.app.layout import Layout, NodeFile
from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import connect
from tocsin.journal.encode import entry_headers
from tocsin.journal.reader import read

from .node_world import PATIENCE, Node, last_json, ndjson, reading, running, tocsin, write_city

SCENARIO = """
exercise: two-smokes
title: Smoke in two places
purpose: see it, take it
events:
  - {at: 0, kind: fire.smoke, source: x1, id: a, value: 300 ug/m3}
  - {at: 200 ms, kind: fire.smoke, source: x2, id: b, east: 100 m, value: 300 ug/m3}
  - {at: 300 ms, kind: fire.smoke, source: x3, id: c, east: 9 km, value: 300 ug/m3}
  - {at: 400 ms, kind: fire.smoke, source: x4, id: d, east: 9.1 km, value: 300 ug/m3}
  - {at: 500 ms, kind: fire.smoke, source: x5, id: e, east: 20 km, value: 300 ug/m3}
expect:
  - {name: smoke downtown, rule: second-sensor, after: 200 ms, within: 30 s, acknowledged: 60 s, radius: 1 km}
  - {name: smoke far out, rule: second-sensor, within: 30 s, east: 30 km, radius: 1 km}
runs: 1 h
"""


class Town(NamedTuple):
    node: Node
    city: Path
    data: Path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("exercise")
    city = write_city(folder / "city")
    (city / "exercises").mkdir()
    (city / "exercises" / "smoke.yaml").write_text(SCENARIO)
    with running(city, folder / "data") as node:
        yield Town(node, city, folder / "data")
        node.process.terminate()
        node.process.wait(PATIENCE)
    # the real alerts follow from the real entries of the journal alone
    done = tocsin("replay", city, "--data", folder / "data", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_json(done)["equal"]
    scored = tocsin("exercise", "score", city, "two-smokes", "--data", folder / "data", "--json")
    assert scored.returncode == 1, "one detection was missed"
    assert last_json(scored)["summary"]["missed"] == 1
    assert "EXERCISE Smoke confirmed" in tocsin("alerts", city, "--data", folder / "data").stdout


def alerts(node: Node) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = node.get("/api/v1/alerts")["items"]
    return items


async def outside(town: Town) -> tuple[list[str], list[str]]:
    """Feeds of the events and headlines of the alerts that whoever reads the journal gets, unless he asks for exercises."""
    async with await connect(endpoint_of(NodeFile.read(Layout(town.data))), name="outside") as journal:
        feeds = [str(e.batch.column("feed")[0]) async for e in read(journal, 1, follow=False) if e.batch is not None]
        subjects = [subject async for _, subject, _ in read_alerts(journal, 1, follow=False)]
    return feeds, subjects


def test_an_exercise_beside_real_life(town: Town) -> None:
    node = town.node
    # half of a real alert is there before: the exercise, at the same place, must not complete it
    assert node.post(ndjson(reading("real-1", "s1", 300, 0))).status_code == 202
    before = node.eventually("the reading in the view", lambda: (found := node.get("/api/v1/status")["events"]["total"]) == 1 and found)
    began = tocsin("exercise", "start", town.city, "two-smokes", "--by", "Ann", "--data", town.data, "--json")
    assert began.returncode == 0, began.stderr
    run = last_json(began)["run"]
    assert node.eventually("the mark", lambda: node.get("/api/v1/status")["running"])["run"] == run
    again = tocsin("exercise", "start", town.city, "two-smokes", "--data", town.data)
    assert (again.returncode, "is running" in again.stderr) == (2, True)
    found = node.eventually("both alerts", lambda: len(alerts(node)) == 2 and alerts(node))
    assert {(one["run"], one["exercise"], one["rule"]) for one in found} == {(run, True, "second-sensor")}
    near = min(found, key=lambda one: one["lon"])
    whole = node.get(f"/api/v1/alerts/{near['id']}")
    assert {one["feed"] for one in whole["evidence"]} == {"exercise.test"}
    assert {one["source"] for one in whole["evidence"]} == {"x1", "x2"}, "the real reading has no part in it"
    wanted = {("smoke", False), ("exercise.test", True)}
    node.eventually("both in the view", lambda: {(one["feed"], one["exercise"]) for one in node.get("/api/v1/events")["items"]} == wanted)
    # a real alert rings as ever, from real readings alone
    assert node.post(ndjson(reading("real-2", "s2", 300, 50))).status_code == 202
    [real] = node.eventually("the real alert", lambda: [one for one in alerts(node) if one["run"] is None])
    assert not real["exercise"]
    assert {one["source"] for one in node.get(f"/api/v1/alerts/{real['id']}")["evidence"]} == {"s1", "s2"}
    body = {"to": "acknowledged", "by": "Bob"}
    assert httpx.post(f"{node.http}/api/v1/alerts/{near['id']}/transitions", json=body, timeout=60).status_code == 201
    # nothing live counts it
    node.eventually("the second reading in the view", lambda: node.get("/api/v1/status")["events"]["total"] == before + 1)
    assert sum(sum(row["counts"]) for row in node.get("/api/v1/timeline")["rows"]) == before + 1
    assert {feed["name"] for feed in node.get("/api/v1/feeds")["items"]} == {"smoke"}
    node.eventually("the feed's count", lambda: node.feed("smoke")["accepted"] == before + 1)
    # nothing leaves
    feeds, subjects = asyncio.run(outside(town))
    assert set(feeds) == {"smoke"}
    assert subjects == ["alert.second-sensor"]
    # and it is over when it is stopped
    stopped = httpx.post(f"{node.http}/api/v1/exercises/stop", json={"by": "Ann"}, timeout=60)
    assert (stopped.status_code, stopped.json()["run"]) == (200, run)
    node.eventually("the end", lambda: node.get("/api/v1/status")["running"] is None)
    node.eventually("a clear queue", lambda: {one["state"] for one in alerts(node) if one["run"]} == {"resolved"})
    [left] = [one for one in alerts(node) if one["state"] != "resolved"]
    assert left["id"] == real["id"]
    score = node.get(f"/api/v1/exercises/runs/{run}/score")
    assert [(row["name"], row["verdict"], row["by"]) for row in score["detections"]] == [
        ("smoke downtown", "detected", "Bob"),
        ("smoke far out", "missed", None),
    ]
    assert score["detections"][0]["acknowledged_in_time"] is True
    assert [one["rule"] for one in score["false"]] == ["second-sensor"]
    assert (score["why"], score["by"]) == ("stopped by Ann", "Ann")
    listed = node.get("/api/v1/exercises")
    assert ([one["name"] for one in listed["items"]], [one["run"] for one in listed["runs"]], listed["running"]) == (
        ["two-smokes"],
        [run],
        None,
    )


def test_a_run_goes_on_after_its_processes_were_killed(town: Town) -> None:
    node = town.node
    (town.city / "exercises" / "slow.yaml").write_text(
        "exercise: slow\ntitle: Slow\npurpose: a crash in between\nruns: 40 s\nevents:\n"
        "  - {at: 0, kind: fire.smoke, source: y1, id: a, east: 40 km, value: 300 ug/m3}\n"
        "  - {at: 6 s, kind: fire.smoke, source: y2, id: b, east: 40 km, value: 300 ug/m3}\n"
        "expect: [{rule: second-sensor, after: 6 s, within: 30 s}]\n"
    )
    begun = httpx.post(f"{node.http}/api/v1/exercises/slow/start", json={"by": "Ann"}, timeout=60)
    assert begun.status_code == 201, begun.text
    run = begun.json()["run"]
    time.sleep(1.0)
    node.kill("ingest")
    node.kill("correlate")
    found = node.eventually("the alert", lambda: [one for one in alerts(node) if one["run"] == run])
    assert (len(found), found[0]["sources"]) == (1, 2)
    httpx.post(f"{node.http}/api/v1/exercises/stop", json={"by": "Ann"}, timeout=60).raise_for_status()
    node.eventually("the end", lambda: [one["state"] for one in alerts(node) if one["run"] == run] == ["resolved"])
    assert node.get(f"/api/v1/exercises/runs/{run}/score")["summary"]["detected"] == 1


def test_the_whole_evening_is_replayed_as_it_was_known(town: Town) -> None:
    """After the tests above: a thousand times as fast, from the first reading on, while the node goes on."""
    node = town.node
    live_alerts, live_events = alerts(node), node.get("/api/v1/events", limit=1000)["items"]
    first = min(one["ingest_time"] for one in live_events)
    body = {"from": first, "speed": 1000.0, "playing": False}
    begun = httpx.post(f"{node.http}/api/v1/replays", json=body, timeout=60)
    assert begun.status_code == 201, begun.text
    replay = f"/api/v1/replays/{begun.json()['id']}"
    node.eventually("the first moment", lambda: not node.get(replay)["loading"])
    assert node.get(f"{replay}/alerts")["items"] == []
    assert [one["id"] for one in node.get(f"{replay}/events")["items"]] == ["rreal-1"]
    httpx.post(node.http + replay, json={"playing": True}, timeout=60).raise_for_status()
    node.eventually("the end", lambda: node.get(replay)["ended"])
    node.eventually("all alerts", lambda: node.get(f"{replay}/alerts")["items"] == live_alerts)
    shown = [(one["seq"], one["id"], one["exercise"]) for one in node.get(f"{replay}/events", limit=1000)["items"]]
    assert shown == [(one["seq"], one["id"], one["exercise"]) for one in live_events]
    # the moment before somebody acknowledged it, told from the same tables
    taken = next(one for one in live_alerts if one["run"] and one["owner"] == "Bob")
    step = next(one for one in node.get(f"/api/v1/alerts/{taken['id']}")["history"] if one["to"] == "acknowledged")
    between = max(one["at"] for one in node.get(f"/api/v1/alerts/{taken['id']}")["history"] if one["at"] < step["at"])
    httpx.post(node.http + replay, json={"at": between, "playing": False}, timeout=60).raise_for_status()
    node.eventually("open again", lambda: node.get(f"{replay}/alerts/{taken['id']}")["state"] == "open")
    httpx.post(node.http + replay, json={"by": "event"}, timeout=60).raise_for_status()
    node.eventually("as it happened", lambda: not node.get(replay)["loading"])
    assert alerts(node) == live_alerts
    assert httpx.delete(node.http + replay, timeout=60).status_code == 204


def test_a_broken_exercise_stops_nothing_real(town: Town) -> None:
    node = town.node

    async def spoil() -> None:
        async with await connect(endpoint_of(NodeFile.read(Layout(town.data))), name="spoiler") as journal:
            for subject, content in (("exercise.ev.testville.x", b"no batch"), ("exercise.begin", b"{}"), ("exercise.end", b"no json")):
                await journal.append(subject, content, entry_headers(content, 1, 0, 0, f"spoilt {subject}"))

    asyncio.run(spoil())
    before = node.child("correlate"), node.child("ingest"), node.child("serve")
    assert node.post(ndjson(reading("after-1", "t1", 300, 70_000), reading("after-2", "t2", 300, 70_010))).status_code == 202
    assert node.alert_near(70_000)["run"] is None
    assert (node.child("correlate"), node.child("ingest"), node.child("serve")) == before
    assert node.get("/api/v1/status")["running"] is None
    assert len(node.get("/api/v1/exercises")["runs"]) == 2


def test_a_recorded_stretch_is_played_again_as_it_was_learnt(town: Town) -> None:
    """Two sensors smelt smoke; the same minute is an exercise later, with its own alert, and everything real as it was."""
    node, east = town.node, 150_000.0
    sent = [reading("past-1", "p1", 300, east), reading("past-2", "p2", 310, east + 60)]
    time.sleep(2)  # what the tests before this one sent lies before the stretch
    first, before = time.time(), node.get("/api/v1/status")["events"]["total"]
    assert node.post_until_taken(ndjson(sent[0])).status_code == 202
    time.sleep(0.6)
    assert node.post_until_taken(ndjson(sent[1])).status_code == 202
    past = node.alert_near(east)
    time.sleep(0.2)
    span = f"{{from: {iso(first - 1.5)}, to: {iso(time.time())}, at: 1 s, feeds: [smoke]}}"
    (town.city / "exercises" / "past.yaml").write_text(
        f"exercise: past\ntitle: Once more\npurpose: what happened\nrecorded: [{span}]\nruns: 1 h\n"
        f"expect: [{{rule: second-sensor, after: 1 s, within: 60 s, east: {east / 1000} km, radius: 1 km}}]\n"
    )
    [total] = node.eventually("both counted", lambda: [n for n in [node.get("/api/v1/status")["events"]["total"]] if n == before + 2])
    begun = httpx.post(f"{node.http}/api/v1/exercises/past/start", json={"by": "Ann"}, timeout=60)
    assert begun.status_code == 201, begun.text
    run = begun.json()["run"]
    [again] = node.eventually("the alert", lambda: [one for one in alerts(node) if one["run"] == run])
    old, new = (node.get(f"/api/v1/alerts/{one['id']}")["evidence"] for one in (past, again))
    same = [[(one["source"], one["value"], one["lon"], one["lat"], one["gap_s"]) for one in some] for some in (old, new)]
    assert same[0] == same[1] and len(same[0]) == 2, "the same readings, as far apart"
    assert {(one["feed"], one["id"]) for one in new} == {("exercise.smoke", "rpast-1"), ("exercise.smoke", "rpast-2")}
    assert min(one["event_time"] for one in new) > max(one["event_time"] for one in old)
    assert [one["id"] for one in alerts(node) if one["run"] is None and one["lon"] == past["lon"]] == [past["id"]]
    assert node.get("/api/v1/status")["events"]["total"] == total
    httpx.post(f"{node.http}/api/v1/exercises/stop", json={"by": "Ann"}, timeout=60).raise_for_status()
    node.eventually("the end", lambda: [one["state"] for one in alerts(node) if one["run"] == run] == ["resolved"])
    score = node.get(f"/api/v1/exercises/runs/{run}/score")
    assert ([row["verdict"] for row in score["detections"]], score["false"]) == (["detected"], [])


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
