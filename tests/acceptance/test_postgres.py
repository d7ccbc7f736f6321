"""A node whose alerts view is in PostgreSQL: the server dies and comes back, another serve reads the same tables, and nobody sees the password."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from postgres_server import Postgres

from tocsin.app.layout import Layout, NodeFile
from tocsin.kernel.ports import free_port

from .node_world import PATIENCE, ROOT, Node, holders, ndjson, reading, running, seen, tocsin, write_city

SECRET = "drowssap-of-the-city"


def pair(number: int) -> bytes:
    place = 2_000.0 * number
    return ndjson(reading(f"{number}a", "a", 200, place), reading(f"{number}b", "b", 300, place + 50))


def ready(http: str) -> tuple[int, str]:
    answer = httpx.get(http + "/readyz", timeout=60)
    return answer.status_code, answer.text


def listed(http: str) -> list[tuple[str, str]]:
    items = httpx.get(f"{http}/api/v1/alerts", params={"limit": 1000}, timeout=60).raise_for_status().json()["items"]
    return sorted((item["id"], item["state"]) for item in items)


@pytest.mark.crash
def test_a_node_keeps_its_alerts_in_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    postgres.database("city")
    postgres.sql("DROP ROLE IF EXISTS tocsin", f"CREATE ROLE tocsin LOGIN PASSWORD '{SECRET}'", "GRANT CREATE ON DATABASE city TO tocsin")
    url = f"postgresql://tocsin:{SECRET}@127.0.0.1:{postgres.port}/city?sslmode=require"
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    with running(city, data, env={"TOCSIN_STATE": url}) as node:
        assert node.post(pair(0)).status_code == 202
        first = node.alert_near(0.0)
        answer = httpx.post(f"{node.http}/api/v1/alerts/{first['id']}/transitions", json={"to": "acknowledged", "by": "Duty"}, timeout=60)
        assert answer.status_code == 201, answer.text
        with psycopg.connect(postgres.url("city")) as db:
            assert db.execute("SELECT state FROM tocsin_testville.alert").fetchall() == [("acknowledged",)]
        assert not (data / "alerts.db").exists()
        away_and_back(node, postgres)
        second_serve(node, postgres, tmp_path / "second", url)
        text = httpx.get(node.http + "/metrics", timeout=60).text
        assert re.search(r"^tocsin_serve_state_up 1$", text, re.MULTILINE)
        assert re.search(r"^tocsin_serve_state_shared 1$", text, re.MULTILINE)
        before = listed(node.http)
        postgres.sql("DROP SCHEMA tocsin_testville CASCADE", database="city")  # a view: made again from the journal
        node.eventually("every alert again", lambda: listed(node.http) == before)
    told = holders(data, SECRET)
    assert told == []
    assert SECRET not in text


def away_and_back(node: Node, postgres: Postgres) -> None:
    """While the server is dead a new alert is on the live stream at once; the list says that it waits; then everything is there."""
    postgres.kill()
    try:
        where = 2_000.0
        telling = asyncio.run(told_live(node, where))
        assert abs(telling["lon"] - (10.0 + where / 71_474)) < 0.001
        code, words = node.eventually("not ready", lambda: ready(node.http) if ready(node.http)[0] == 503 else None)
        assert (code, "the state store is away" in words) == (503, True)
        assert SECRET not in words
        assert httpx.get(node.http + "/healthz", timeout=60).status_code == 200
        answer = httpx.get(f"{node.http}/api/v1/alerts", timeout=60)
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert httpx.get(f"{node.http}/api/v1/status", timeout=60).status_code == 200
        assert "tocsin_serve_state_up 0" in node.eventually(
            "metrics", lambda: text if "state_up 0" in (text := httpx.get(node.http + "/metrics", timeout=60).text) else None
        )
    finally:
        postgres.start()
    node.eventually("ready again", lambda: ready(node.http)[0] == 200)
    node.eventually("both alerts", lambda: len(listed(node.http)) == 2)


async def told_live(node: Node, where: float) -> dict[str, Any]:
    began = asyncio.Event()
    waiting = asyncio.create_task(seen(node.http, "alerts", lambda frame: frame.event == "alert", began=began))
    async with asyncio.timeout(PATIENCE):
        await began.wait()
    assert (await asyncio.to_thread(node.post_until_taken, pair(1))).status_code == 202
    data: dict[str, Any] = (await waiting).data
    return data


def second_serve(node: Node, postgres: Postgres, data: Path, url: str) -> None:
    """Another serve process on the same journal and tables; one of the two is killed in between."""
    layout = Layout(data)
    layout.create()
    other = replace(NodeFile.read(Layout(node.data)), data=str(data), http_port=free_port())
    other.write(layout)
    (data / "config").symlink_to(node.data / "config")
    argv = [sys.executable, "-m", "tocsin.app.process", "serve", str(data)]
    process = subprocess.Popen(argv, cwd=ROOT, env=os.environ | {"TOCSIN_STATE": url})
    try:
        http = f"http://127.0.0.1:{other.http_port}"
        node.eventually("the other serve", lambda: ready(http)[0] == 200)
        node.eventually("the same", lambda: listed(http) == listed(node.http))
        for number in (2, 3):
            assert node.post(pair(number)).status_code == 202
        node.eventually("both show all", lambda: len(listed(http)) == len(listed(node.http)) == 4)
        node.kill("serve")
        assert node.post(pair(4)).status_code == 202
        node.eventually("the other shows it", lambda: len(listed(http)) == 5)
        one = listed(http)[0][0]
        node.eventually("serve again", lambda: ready(node.http)[0] == 200)
        httpx.post(f"{http}/api/v1/alerts/{one}/transitions", json={"to": "resolved", "by": "Duty"}, timeout=60).raise_for_status()
        node.eventually("both agree", lambda: listed(http) == listed(node.http) and dict(listed(http))[one] == "resolved")
        rows = postgres.sql("SELECT count(*), count(DISTINCT id) FROM tocsin_testville.alert", database="city")
        assert rows == [(5, 5)]
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_addresses_that_cannot_be_used_are_refused_before_anything_starts(tmp_path: Path) -> None:
    city = write_city(tmp_path / "city")
    for option, words in (
        (f"postgresql://u:{SECRET}@h/d", "a password does not belong here"),
        ("mysql://h/d", "found mysql:"),
        ("postgresql://h/d?colour=red", "colour"),
    ):
        done = tocsin("run", city, "--data", tmp_path / "data", "--state", option)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
        assert SECRET not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_of_a_newer_program_stops_serve_with_words(postgres: Postgres, tmp_path: Path) -> None:
    postgres.database("newer")
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    url = postgres.url("newer")
    with running(city, data, "--state", url):
        pass
    assert json.loads((data / "node.json").read_text())["state"] == url
    postgres.sql("UPDATE tocsin_testville.position SET version = 99", database="newer")
    done = tocsin("run", city, "--data", data, "--state", url, "--port", "0", "--ingest-port", "0", "--mqtt-port", "0", "--for", "60s")
    assert done.returncode == 2
    assert "tables of version 99, this program knows them up to version 2" in done.stderr
