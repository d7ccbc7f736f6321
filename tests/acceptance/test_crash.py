"""Records of two feeds keep coming, cut into other batches every time, while processes are killed at any moment: same alerts."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest

from .node_world import RULES, Node, last_json, ndjson, reading, replayed, running, smoke_feed, tocsin, write_city

pytestmark = pytest.mark.crash

SITES = 30
VICTIMS = ("correlate", "ingest", "journal", "serve", "journal")
CONFIRMED = """---
rule: smoke-then-call
title: Smoke, then a call from the same block
why: A sensor and a person do not make the same mistake.
when:
  sequence:
    first: "fire.smoke where value >= 150 ug/m3"
    then: [{of: call.fire, within: 300 m, during: 10 min}]
alert:
  severity: extreme
  headline: "Smoke and a call near {place}"
"""

Record = tuple[str, dict[str, Any]]


def history(began: float) -> list[Record]:
    """(feed, record) in the order in which everybody sends them. At each site a little fire; at every third the all-clear is known
    already when the heavy smoke comes."""
    draw = random.Random(7)
    steps: list[tuple[float, Record]] = []
    for site in range(SITES):
        east, at = 2_000.0 * site, began + 0.1 * site
        site_steps: list[Record] = [
            ("smoke", reading(f"{site}a", f"a{site}", 200, east, at)),
            ("smoke", reading(f"{site}b", f"b{site}", 500, east + 60, at + 1)),
            ("calls", reading(f"{site}c", f"c{site}", 0, east + 90, at + 2)),
        ]
        if site % 3 == 0:
            site_steps.insert(1, ("smoke", reading(f"{site}z", f"z{site}", 5, east + 100, at + 2)))
        moments = sorted(draw.random() for _ in site_steps)
        steps += zip((site + 8 * moment for moment in moments), site_steps, strict=True)
    return [record for _, record in sorted(steps, key=lambda step: step[0])]


def cut(records: list[Record], seed: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The same records in the same order, in other batches; a batch is of one feed."""
    draw = random.Random(seed)
    for feed, run in groupby(records, key=lambda record: record[0]):
        left = [record for _, record in run]
        while left:
            size = draw.randint(1, 4)
            yield feed, left[:size]
            left = left[size:]


class Sender(threading.Thread):
    """Sends everything, each batch until it is acknowledged, and some of them twice."""

    def __init__(self, node: Node, records: list[Record], seed: int) -> None:
        super().__init__()
        self.batches, self.sent, self.failed = list(cut(records, seed)), 0, ""
        self._node, self._draw = node, random.Random(seed)

    def run(self) -> None:
        try:
            for feed, records in self.batches:
                self._node.post_until_taken(ndjson(*records), feed)
                if self._draw.random() < 0.2:
                    self._node.post_until_taken(ndjson(*records), feed)
                self.sent += 1
        except BaseException as fault:
            self.failed = repr(fault)
            raise

    def killing(self, seed: int) -> None:
        """kill -9 of one process after the other, each at a moment when batches are on their way."""
        draw = random.Random(seed)
        for number, victim in enumerate(VICTIMS, 1):
            due = len(self.batches) * number // (len(VICTIMS) + 1)
            self._node.eventually("the next batches", lambda due=due: self.sent >= due or self.failed, 180)
            time.sleep(draw.random() * 0.05)
            pid = self._node.eventually(f"{victim} alive", lambda victim=victim: self._node.child(victim))
            self._node.kill(victim)
            self._node.eventually(f"another {victim}", lambda victim=victim, pid=pid: self._node.child(victim) != pid)


def all_told(node: Node) -> int:
    """Waits for every alert there must be; returns how many."""
    wanted = {"second-sensor": SITES, "smoke-then-call": SITES, "no-all-clear": SITES - SITES // 3}
    for rule, count in wanted.items():
        node.eventually(f"{count} alerts of {rule}", lambda rule=rule, count=count: len(alerts(node, rule)) >= count)
        assert len(alerts(node, rule)) == count
    return sum(wanted.values())


def alerts(node: Node, rule: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = node.get("/api/v1/alerts", rule=rule, limit=1000)["items"]
    return items


def test_killed_anywhere_and_cut_anyhow_the_alerts_are_the_same(tmp_path: Path) -> None:
    feeds = {"smoke": smoke_feed(), "calls": smoke_feed("calls").replace("fire.smoke", "call.fire")}
    city = write_city(tmp_path / "city", RULES.replace("  per: {place: 300 m, hold: 30 min}\n", "") + CONFIRMED, feeds)
    records = history(time.time() - 60)

    with running(city, tmp_path / "killed", "--json") as node:
        sender = Sender(node, records, seed=1)
        sender.start()
        sender.killing(seed=2)
        sender.join()
        assert not sender.failed
        count = all_told(node)
        chosen = alerts(node, "second-sensor")[0]["id"]
        body = {"to": "acknowledged", "by": "Duty"}
        httpx.post(f"{node.http}/api/v1/alerts/{chosen}/transitions", json=body, timeout=60).raise_for_status()

        def events() -> list[str]:
            return [event["id"] for event in node.get("/api/v1/events", limit=1000)["items"]]

        node.eventually("every event", lambda: len(events()) >= len(records))
        assert sorted(events()) == sorted(record["id"] for _, record in records)  # each once
    killed = node.summary()
    assert killed["correlated_to_the_end"]

    with running(city, tmp_path / "calm", "--json") as node:
        sender = Sender(node, records, seed=3)
        sender.start()
        sender.join()
        assert not sender.failed
        assert all_told(node) == count
    calm = node.summary()
    assert calm["events"] == len(records)
    assert calm["alerts"] == killed["alerts"] == count

    assert calm["alerts_hash"] == killed["alerts_hash"]
    rebuilt_and_killed_whole(city, tmp_path / "killed", chosen)
    assert replayed(city, tmp_path / "killed")["alerts_hash"] == killed["alerts_hash"]
    damaged(city, tmp_path / "killed", count)


def rebuilt_and_killed_whole(city: Path, data: Path, chosen: str) -> None:
    """The table of alerts is only a view of the journal; and when the supervisor is killed nothing of the node stays behind."""
    for path in data.glob("alerts.db*"):
        path.unlink()
    with running(city, data) as node:
        all_told(node)
        assert node.get(f"/api/v1/alerts/{chosen}")["state"] == "acknowledged"
        node.process.kill()
        for name in ("journal", "ingest", "correlate", "serve"):
            node.eventually(f"the end of {name}", lambda name=name: not alive(node, name))


def alive(node: Node, name: str) -> bool:
    try:
        return bool(node.child(name))
    except LookupError:
        return False


def damaged(city: Path, data: Path, count: int) -> None:
    """The disk loses the second half of the journal: that is said, no old alert goes, and new ones come."""
    for block in (data / "journal/jetstream/$G/streams/EVENTS/msgs").iterdir():
        if block.suffix == ".blk":
            os.truncate(block, block.stat().st_size // 2)
        else:
            block.unlink()
    with running(city, data) as node:
        place = 2_000.0 * SITES
        node.post_until_taken(ndjson(reading("new-a", "a", 200, place), reading("new-b", "b", 200, place + 50)))
        node.alert_near(place)
        found = node.get("/api/v1/alerts", limit=1000)["items"]
        assert sum(alert["lon"] is not None for alert in found) == count + 1
        # An absence that was not decided yet in the snapshot is decided now; what it waits after was lost, so nobody can know that it was told before.
        assert all(alert["rule"] == "no-all-clear" for alert in found if alert["lon"] is None)
        node.eventually("the alarm", lambda: re.search(r"journal_rewinds_total 1\b", httpx.get(node.http + "/metrics", timeout=60).text))
    done = tocsin("replay", city, "--data", data, "--json")
    assert done.returncode == 1
    assert last_json(done)["missing"] > 0
    assert "rewound" in done.stderr
