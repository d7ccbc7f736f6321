"""What a node told live and what `tocsin backtest` tells of its archive for the same span are the same bytes: deadlines and late facts too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tocsin.app.health import endpoint_of
from tocsin.app.layout import Layout, NodeFile
from tocsin.archive.catalog import Catalog
from tocsin.archive.hot import HEARD
from tocsin.correlate.fingerprint import alerts_hash
from tocsin.journal.alerts import read_alerts
from tocsin.journal.codec import encode
from tocsin.journal.connection import connect
from tocsin.model.alert import Alert
from tocsin.model.time import MINUTE, to_iso

from .node_world import RULES, Node, last_json, ndjson, reading, running, tocsin, write_city

MORE = """---
rule: quiet
title: A sensor says nothing any more
why: A dead sensor protects nobody.
when:
  silence: {of: "fire.smoke where value <= 1 ug/m3", during: 3 s}
alert:
  severity: minor
  headline: "{source} is quiet"
---
rule: smoke
title: Smoke
why: Smoke is where fire is.
when:
  match: {of: "fire.smoke where value >= 150 ug/m3"}
alert:
  severity: moderate
  headline: "Smoke at {source}"
  per: {place: 300 m, hold: 2 s}
"""
SILENCE = 3.0
"""Of the rule quiet, in seconds."""
BEHIND = 2.0
"""How far the reading that ends a silence lies behind what the node has heard, in seconds."""
RULE_NAMES = ("second-sensor", "no-all-clear", "quiet", "smoke")


async def told(data: Path) -> list[Alert]:
    """Every alert of the ALERTS stream, in its newest revision."""
    newest: dict[str, Alert] = {}
    async with await connect(endpoint_of(NodeFile.read(Layout(data))), name="test") as journal:
        async for _, subject, content in read_alerts(journal, 1, follow=False):
            assert subject.startswith("alert."), subject
            alert = msgspec.convert(content, Alert)
            newest[alert.id] = alert
    return list(newest.values())


def as_bytes(alerts: list[Alert]) -> list[bytes]:
    """As they are journaled, but for the number of the entry that told them: the archive holds no ticks, so there is none for a deadline's."""
    return sorted(encode(replace(alert, seq=0)) for alert in alerts)


def live(node: Node) -> None:
    """Clusters, deadlines that pass between seconds, answers in time and too late, facts that are late, sensors that fall silent and come back."""

    def sent(*records: dict[str, Any]) -> None:
        assert node.post_until_taken(ndjson(*records)).status_code == 202

    quiet = dict[int, float]()
    for number in range(4):
        east = 3000.0 * number
        quiet[number] = time.time()
        sent(reading(f"a{number}", f"a{number}", 450, east), reading(f"q{number}", f"q{number}", 1, east + 1500))
        time.sleep(0.37)
        sent(reading(f"b{number}", f"b{number}", 200, east + 90))
    sent(reading("clear0", "c0", 10, 100))
    node.alert_near(3000, "no-all-clear")
    now = time.time()
    sent(reading("clear1", "c1", 10, 3100, at=now - 60))  # of before: changes nothing
    sent(reading("late1", "l1", 300, 6120, at=now - 60), reading("late2", "l2", 420, 20_000, at=now - 120))
    time.sleep(0.4)
    sent(reading("late3", "l3", 300, 20_050, at=now - 130))
    node.alert_near(20_000, "no-all-clear")
    sent(reading("late4", "l4", 10, 20_100, at=now - 119))  # the answer had been there: takes the alert back
    # Both must lie after the silence that they end, or there would be none to end.
    time.sleep(max(0.0, quiet[2] + SILENCE + BEHIND - time.time()))
    sent(reading("q0-again", "q0", 1, 1500), reading("q1-again", "q1", 1, 4500, at=time.time() - BEHIND))


def settled(node: Node) -> bool:
    """Whether everything has been told: both sensors that came back fell silent again, and the late answer was understood."""
    found = node.get("/api/v1/alerts", limit=1000)["items"]
    silent = [one for one in found if one["rule"] == "quiet"]
    return len(silent) == 6 and any(one["status"] == "retracted" for one in found if one["rule"] == "no-all-clear")


def heard(data: Path, moment: int) -> bool:
    """Whether the archive knows that nothing more came until then."""
    with contextlib.closing(Catalog(data / "archive", write=False)) as catalog:
        return catalog.get(HEARD) > moment


def of_archive(city: Path, data: Path, rule: str, start: int, stop: int, file: Path) -> tuple[list[Alert], str]:
    """What the back-test tells, and its hash."""
    span = ["--from", to_iso(start), "--to", to_iso(stop)]
    done = tocsin("backtest", city, rule, *span, "--near", "0", "--alerts", file, "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    assert not last_json(done)["notes"]
    return [msgspec.json.decode(line, type=Alert) for line in file.read_bytes().splitlines()], last_json(done)["alerts_hash"]


def test_a_nodes_alerts_are_those_of_the_back_test_byte_for_byte(tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city", RULES + MORE), tmp_path / "data"
    start = time.time_ns() // 1000
    with running(city, data) as node:
        live(node)
        node.eventually("everything told", lambda: settled(node))
        alerts, stop = asyncio.run(told(data)), time.time_ns() // 1000
        node.eventually("the archive's clock", lambda: heard(data, stop))
    for rule in RULE_NAMES:
        mine = [alert for alert in alerts if alert.rule == rule]
        again, digest = of_archive(city, data, rule, start, stop + MINUTE, tmp_path / f"{rule}.ndjson")
        assert as_bytes(again) == as_bytes(mine) and mine
        assert digest == alerts_hash(mine)
    assert any(alert.late for alert in alerts)
