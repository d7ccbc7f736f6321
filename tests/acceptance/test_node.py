"""The whole node: a record comes in, an alert comes out, people work with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiomqtt
import httpx
import pytest

from .node_world import ROOT, Node, ndjson, reading, seen, tocsin, write_city

PLACE = 10_000.0  # metres east; other files have other places


async def test_from_record_to_alert_to_operator(town: Node) -> None:
    answer = town.post(ndjson(reading("n1", "a", 200, PLACE), reading("n2", "b", 300, PLACE + 100)))
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    alert = town.alert_near(PLACE)
    whole = town.get(f"/api/v1/alerts/{alert['id']}")
    assert whole["headline"] == "Smoke confirmed by 2 sensors"
    assert {one["id"] for one in whole["evidence"]} == {"rn1", "rn2"}
    assert any("100 m" in reason for reason in whole["reasons"]), whole["reasons"]
    url = f"{town.http}/api/v1/alerts/{alert['id']}/transitions"
    moved = httpx.post(url, json={"to": "acknowledged", "by": "Duty officer", "note": "on it"}, timeout=60)
    assert moved.status_code == 201, moved.text
    assert moved.json()["state"] == "acknowledged"
    assert moved.json()["owner"] == "Duty officer"
    again = httpx.post(url, json={"to": "acknowledged", "by": "Another"}, timeout=60)
    assert again.status_code == 409
    frame = await seen(town.http, "alerts", lambda frame: frame.event == "alert" and frame.data["id"] == alert["id"], since="0.0")
    assert frame.data["state"] == "acknowledged"


def test_a_deadline_that_passes_is_an_alert(town: Node) -> None:
    place = PLACE + 5_000
    town.post(ndjson(reading("n5", "a", 500, place)))
    alert = town.alert_near(place, "no-all-clear")
    assert [one["id"] for one in town.get(f"/api/v1/alerts/{alert['id']}")["evidence"]] == ["rn5"]


async def test_a_device_publishes_by_mqtt_and_it_becomes_an_alert(town: Node) -> None:
    """Straight to the embedded server, with the login that the node wrote down for the feed."""
    place = PLACE + 10_000
    login = next(one for one in json.loads((town.data / "nats.creds.json").read_text())["devices"] if one["user"] == "gauges")
    port = json.loads((town.data / "node.json").read_text())["mqtt_port"]
    version = aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client("127.0.0.1", port, username="gauges", password=login["password"], protocol=version, timeout=60) as device:
        await device.publish("in/gauges/pier-1", ndjson(reading("n9", "pier-1", 310, place)), qos=1)
    alert = town.alert_near(place, "high-water")
    assert alert["headline"] == "Water at 310 cm"
    event = town.eventually("the event in the view", lambda: town.get("/api/v1/events", feed="gauges")["items"][0])
    assert (event["id"], event["source"], event["kind"]) == ("rn9", "pier-1", "water.level")
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", port, username="gauges", password="guessed", protocol=version, timeout=60):
            pass


def test_a_wrong_token_opens_nothing(town: Node) -> None:
    """Not even with the token of another feed of the same node."""
    body = ndjson(reading("n20", "a", 1, PLACE))
    other = (town.data / "tokens" / "smoke").read_text().strip()
    for token in ("x", "wrong" * 1000, other):
        answer = town.send("doors", body, token)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    assert httpx.post(f"{town.ingest}/feeds/doors", content=body, timeout=60).status_code == 401
    assert town.send("nowhere", body, other).status_code == 404
    own = (town.data / "tokens" / "doors").read_text().strip()
    answer = town.send("doors", body, own)  # it was not taken before, or it would be a duplicate now
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def test_metrics_and_health(town: Node) -> None:
    assert httpx.get(town.http + "/healthz", timeout=60).status_code == 200

    def whole() -> str:
        text = httpx.get(town.http + "/metrics", timeout=60).text
        return text if all(f"tocsin_{process}_" in text for process in ("ingest", "correlate", "serve")) else ""

    text = town.eventually("metrics of all processes", whole)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_listens_beyond_loopback(town: Node) -> None:
    """Every listening socket of the node's processes is on 127.0.0.1."""
    listening = 0
    inodes = set()
    for name in ("ingest", "serve", "journal", "correlate"):
        for link in Path(f"/proc/{town.child(name)}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:  # closed in between
                continue
            if target.startswith("socket:["):
                inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        ours = [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
        listening += len(ours)
        assert all(address.split(":")[0] == loopback for address in ours)
    assert listening >= 4


def test_two_nodes_do_not_share_a_directory(town: Node) -> None:
    ports = ("--port", "0", "--mqtt-port", "0", "--ingest-port", "0")
    done = tocsin("run", town.data.with_name("city"), "--data", town.data, *ports)
    assert done.returncode == 2
    assert "in use by another node" in done.stderr
    assert "--data" in done.stderr
    assert httpx.get(town.http + "/readyz", timeout=60).status_code == 200


@pytest.mark.parametrize("option", ["--port", "--ingest-port", "--mqtt-port"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, option: str) -> None:
    city = write_city(tmp_path / "city")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--ingest-port": "0", "--mqtt-port": "0", option: port}
        done = tocsin("run", city, "--data", tmp_path / "data", *(word for pair in ports.items() for word in pair))
    assert done.returncode == 1
    assert port in done.stderr
    assert option in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_it_as_soon_as_it_is_ready_gets_its_last_words(tmp_path: Path, number: int) -> None:
    """Of Ctrl-C a terminal tells everybody in the foreground: none of the children may end by itself and be started again."""
    argv = [sys.executable, "-m", "tocsin", "run", str(write_city(tmp_path / "city")), "--data", str(tmp_path / "data"), "--json"]
    argv += ["--port", "0", "--ingest-port", "0", "--mqtt-port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=ROOT, text=True, start_new_session=True, **pipes) as process:
        assert process.stderr is not None
        assert any("is ready" in line for line in process.stderr)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "starting it again" not in err
    assert json.loads(out.splitlines()[-1])["correlated_to_the_end"]
