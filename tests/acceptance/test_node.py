"""The whole node: a record comes in, an alert comes out, people work with it - and every process may be killed meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.node_world import ROOT, Node, ndjson, reading, running, seen, write_city

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("node")
    with running(write_city(folder / "city"), folder / "data") as started:
        yield started


def replayed(city: Path, data: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "replay", str(city), "--data", str(data), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


async def test_from_record_to_alert_to_operator(node: Node) -> None:
    answer = node.post(ndjson(reading(1, "a", 200), reading(2, "b", 300, east=100)))
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    alert = node.alerts(1, rule="second-sensor")[0]
    whole = node.get(f"/api/v1/alerts/{alert['id']}")
    assert whole["headline"] == "Smoke confirmed by 2 sensors"
    assert {one["id"] for one in whole["evidence"]} == {"r1", "r2"}
    assert any("100 m" in reason for reason in whole["reasons"]), whole["reasons"]
    moved = httpx.post(
        f"{node.http}/api/v1/alerts/{alert['id']}/transitions", json={"to": "acknowledged", "by": "Duty officer", "note": "on it"}
    )
    assert moved.status_code == 201, moved.text
    assert moved.json()["state"] == "acknowledged"
    assert moved.json()["owner"] == "Duty officer"
    again = httpx.post(f"{node.http}/api/v1/alerts/{alert['id']}/transitions", json={"to": "acknowledged", "by": "Another"})
    assert again.status_code == 409
    frame = await seen(node.http, "alerts", lambda frame: frame.event == "alert" and frame.data["id"] == alert["id"], since="0.0")
    assert frame.data["state"] == "acknowledged"


def test_the_same_again_is_a_duplicate_and_garbage_waits_in_quarantine(node: Node) -> None:
    record = reading(10, "c", 10)
    assert node.post(ndjson(record)).json()["accepted"] == 1
    assert node.post(ndjson(record)).json()["duplicates"] == 1
    answer = node.post(b'{"id": "r11", "s": "c", "t": "yesterday"}\nnot json\n' + ndjson(reading(12, "c", 11)))
    assert answer.status_code == 207
    assert answer.json()["accepted"] == 1
    waiting = node.get("/api/v1/quarantine", feed="smoke")["items"]
    assert len(waiting) == 2
    assert all(item["reason"] for item in waiting)


def test_metrics_and_health(node: Node, tmp_path: Path) -> None:
    assert httpx.get(node.http + "/healthz").status_code == 200
    time.sleep(1.2)
    text = httpx.get(node.http + "/metrics").text
    for process in ("ingest", "correlate", "serve"):
        assert f"tocsin_{process}_" in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_listens_beyond_loopback(node: Node) -> None:
    """Every listening socket of the node's processes is on 127.0.0.1."""
    pids = {str(node.child(name)) for name in ("ingest", "serve", "journal")}
    inodes = {
        link.readlink().name.removeprefix("socket:[").removesuffix("]")
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        open_to_all = [row[1] for row in rows if row[3] == "0A" and row[9] in inodes and row[1].split(":")[0] != loopback]
        assert not open_to_all


def test_killed_anywhere_and_nothing_is_lost(tmp_path: Path) -> None:
    """Records keep coming while each process is killed in turn; all are there once, and a replay gives the same alerts."""
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    with running(city, data) as node:
        sent = 0
        for victim in ("correlate", "ingest", "journal", "serve", "correlate"):
            for _ in range(4):
                sent += 2
                pair = ndjson(reading(sent, f"a{sent}", 200, east=700.0 * sent), reading(sent + 1, f"b{sent}", 500, east=700.0 * sent + 50))
                node.post_until_taken(pair)
            node.kill(victim)
        node.post_until_taken(ndjson(reading(900, "z", 1, east=-5000)))
        assert len(node.alerts(20, rule="second-sensor", limit=500)) == 20
        assert len(node.alerts(20, rule="no-all-clear", limit=500)) == 20
        time.sleep(1.5)
        ids = [event["id"] for event in node.get("/api/v1/events", limit=500)["items"]]
        assert len(ids) == len(set(ids)) == 41
    told = replayed(city, data)
    assert told["equal"], told
    assert told["alerts"] == 40
    assert replayed(city, data)["alerts_hash"] == told["alerts_hash"]


def test_an_open_alert_is_still_acknowledged_after_the_view_is_deleted(tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    with running(city, data) as node:
        node.post(ndjson(reading(1, "a", 200), reading(2, "b", 300, east=100)))
        alert = node.alerts(1)[0]["id"]
        httpx.post(f"{node.http}/api/v1/alerts/{alert}/transitions", json={"to": "acknowledged", "by": "Duty"}).raise_for_status()
    for path in data.glob("alerts.db*"):
        path.unlink()
    with running(city, data) as node:
        assert node.alerts(1)[0]["state"] == "acknowledged"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    import socket

    city = write_city(tmp_path / "city")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        argv = [
            sys.executable,
            "-m",
            "tocsin",
            "run",
            str(city),
            "--data",
            str(tmp_path / "data"),
            "--port",
            str(port),
            "--mqtt-port",
            "0",
            "--ingest-port",
            "0",
        ]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_nodes_do_not_share_a_directory(tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    with running(city, data):
        argv = [
            sys.executable,
            "-m",
            "tocsin",
            "run",
            str(city),
            "--data",
            str(data),
            "--port",
            "0",
            "--mqtt-port",
            "0",
            "--ingest-port",
            "0",
        ]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "in use by another node" in done.stderr
