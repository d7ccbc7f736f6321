"""Rules, feeds and layers of a running node are edited and put in force: whole or not at all, without a gap, the same in every replay."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .node_world import ROOT, RULES, Node, last_json, ndjson, reading, replayed, running, seen, smoke_feed, tocsin, write_city

LAYERS = """
- {name: stations, title: Fire stations, kind: points, path: stations.geojson, licence: CC0, places: true}
"""
HOT = """---
rule: hot
title: Very heavy smoke
why: One sensor is enough then.
when:
  match: {of: "fire.smoke where value >= 900 ug/m3"}
alert:
  severity: extreme
  headline: "Very heavy smoke {place}"
"""
TEST = """
test: fires at once
rule: hot
events:
  - {at: 0 s, kind: fire.smoke, source: s, value: 950 ug/m3}
fires:
  - {}
"""


def station(name: str) -> str:
    point = {"type": "Point", "coordinates": [10.0, 50.0]}
    return json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": point, "properties": {"name": name}}]})


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Node]]:
    folder = tmp_path_factory.mktemp("reload")
    city = write_city(folder / "city", feeds={"smoke": smoke_feed(), "calm": smoke_feed("calm")})
    (city / "layers.yaml").write_text(LAYERS)
    (city / "stations.geojson").write_text(station("Station One"))
    with running(city, folder / "data") as node:
        yield city, node


def reload(city: Path, node: Node) -> subprocess.CompletedProcess[str]:
    return tocsin("reload", city, "--data", node.data, "--json")


def names(node: Node, what: str) -> list[str]:
    return [item["name"] for item in node.get(f"/api/v1/{what}")["items"]]


def test_one_mistake_and_nothing_changes(town: tuple[Path, Node]) -> None:
    city, node = town
    before = node.get("/api/v1/status")["config"], names(node, "rules"), names(node, "feeds")
    good = {path: path.read_text() for path in city.rglob("*") if path.is_file()}
    edits: list[tuple[str, str, str]] = [
        ("rules/rules.yaml", RULES.replace("within: 300 m", "within: 300 kg"), "rules/rules.yaml:6"),
        ("rules/hot.yaml", HOT.replace("match", "mtach"), "rules/hot.yaml:"),
        ("feeds/calm.yaml", smoke_feed("calm", "webhok"), "feeds/calm.yaml:"),
        ("stations.geojson", '{"type": "FeatureCollection"', "stations.geojson"),
        ("tests/hot.yaml", TEST.replace("rule: hot", "rule: second-sensor"), "tests/hot.yaml:2"),
        ("feeds/gauges.yaml", smoke_feed("gauges", "mqtt"), "feeds/gauges.yaml:"),
        ("city.yaml", good[city / "city.yaml"] + "region: elsewhere\n", "city.yaml"),
    ]
    for name, text, where in edits:
        path = city / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        done = reload(city, node)
        assert done.returncode == 1, (name, done.stderr)
        assert where in done.stderr
        assert "Nothing has changed" in done.stderr and "Traceback" not in done.stderr
        if path in good:
            path.write_text(good[path])
        else:
            path.unlink()
    (city / "city.yaml").write_text("city: [")  # from here on no process could start from the directory
    for victim in ("ingest", "correlate", "serve"):  # what is in force does not depend on what lies in the directory
        pid = node.child(victim)
        node.kill(victim)
        node.eventually(f"another {victim}", lambda victim=victim, pid=pid: node.child(victim) != pid)  # type: ignore[misc]
    (city / "city.yaml").write_text(good[city / "city.yaml"])
    node.post_until_taken(ndjson(reading("m1", "a", 200, -5_000), reading("m2", "b", 200, -4_960)))
    assert node.alert_near(-5_000)["sources"] == 2
    assert (node.get("/api/v1/status")["config"], names(node, "rules"), names(node, "feeds")) == before


def test_an_edited_city_comes_into_force(town: tuple[Path, Node]) -> None:
    city, node = town
    first, received = ndjson(reading(1, "a", 200)), node.feed("smoke")["received"]
    node.post(first)  # one of two sensors, before the switch
    since = node.get("/api/v1/status")["config"]
    (city / "rules" / "hot.yaml").write_text(HOT)
    (city / "tests" / "hot.yaml").write_text(TEST)
    (city / "feeds" / "calm.yaml").unlink()
    (city / "feeds" / "doors.yaml").write_text(smoke_feed("doors"))
    (city / "feeds" / "smoke.yaml").write_text("# moved down\n\n" + smoke_feed())
    (city / "stations.geojson").write_text(station("Station Two"))
    done = reload(city, node)
    assert done.returncode == 0, done.stderr
    told = last_json(done)
    assert told["rules"] == {"unchanged": 2, "changed": 0, "new": 1, "removed": 0}
    assert told["feeds"] == {"unchanged": 1, "changed": 0, "new": 1, "removed": 1}
    assert told["layers"] == {"unchanged": 0, "changed": 1, "new": 0, "removed": 0}
    assert told["entry"] > since == 1
    assert node.get("/api/v1/status")["config"] == told["entry"]
    assert names(node, "rules") == ["hot", "second-sensor", "no-all-clear"]
    node.eventually("feeds", lambda: names(node, "feeds") == ["doors", "smoke"])
    assert "Station Two" in json.dumps(node.get("/api/v1/layers/stations"))
    frame = asyncio.run(seen(node.http, "feeds", lambda frame: frame.event == "clock"))
    assert frame.data["config"] == told["entry"]
    # its counters go on: it was not even stopped (the health that `received` came from may have been a second old)
    node.eventually("received", lambda: node.feed("smoke")["received"] > received)

    assert node.send("doors", ndjson(reading(2, "b", 950, 60))).status_code == 202
    assert node.send("calm", ndjson(reading(3, "c", 950)), "x").status_code == 404
    assert node.post(first).json()["duplicates"] == 1
    alert = node.alert_near(60, "hot")
    assert alert["headline"] == "Very heavy smoke near Station Two, 60 m E"
    assert node.alert_near(60)["sources"] == 2  # with the sensor that spoke before the switch
    again = reload(city, node)
    assert (last_json(again)["changed"], last_json(again)["entry"]) == (False, told["entry"])


def test_killed_around_the_switch(tmp_path: Path) -> None:
    """Sensors keep speaking while rules change back and forth and processes are killed before, at and after it: nothing is lost or doubled,
    and a replay of the journal gives the same alerts."""
    city = write_city(tmp_path / "city")
    hot, sites = city / "rules" / "hot.yaml", iter(range(1, 100))

    def fire(node: Node) -> None:
        site = next(sites)
        east, now = 2_000.0 * site, time.time()
        for part, value in (("a", 200), ("b", 950)):
            node.post_until_taken(ndjson(reading(f"{site}{part}", f"{part}{site}", value, east + (part == "b") * 50, now)))

    with running(city, tmp_path / "data", "--json") as node:
        for kill in ("before", "meanwhile", "after"):
            fire(node)
            hot.unlink() if hot.exists() else hot.write_text(HOT)
            if kill == "before":
                node.kill("correlate")
            done = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "reload", city, "--data", node.data, "--json"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            if kill == "meanwhile":
                since = node.get("/api/v1/status")["config"]
                node.eventually("the switch", lambda since=since: node.get("/api/v1/status")["config"] > since)  # type: ignore[misc]
                node.kill("correlate")
                node.kill("ingest")
            out, err = done.communicate(timeout=200)
            assert done.returncode == 0, (out, err)
            if kill == "after":
                node.kill("correlate")
            fire(node)
        count = next(sites) - 1
        node.eventually("every alert", lambda: len(node.get("/api/v1/alerts", rule="second-sensor", limit=1000)["items"]) == count)
        node.eventually("the hot ones", lambda: len(node.get("/api/v1/alerts", rule="hot", limit=1000)["items"]) == 3)
    again = replayed(city, node.data)
    assert again["equal"] and again["settings"] == 3 and again["events"] == 2 * count
    hot.unlink()  # edited while nothing ran: in force with the next start, and the past stays as it was
    with running(city, node.data, "--json") as node:
        fire(node)
        node.eventually("the alert", lambda: len(node.get("/api/v1/alerts", rule="second-sensor", limit=1000)["items"]) == count + 1)
        assert len(node.get("/api/v1/alerts", rule="hot", limit=1000)["items"]) == 3
    again = replayed(city, node.data)
    assert again["equal"] and again["settings"] == 4
    done = reload(city, node)
    assert done.returncode == 2 and "no node runs on" in done.stderr
    done = reload(write_city(tmp_path / "other"), node)
    assert done.returncode == 2 and "runs the city" in done.stderr
    done = tocsin("reload", city)
    assert done.returncode == 2 and "not the data directory of a node" in done.stderr
