"""A small city and a real node for the acceptance tests: four processes, the embedded journal, free ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]

CITY = """
city: testville
title: Testville
timezone: UTC
centre: [10.0, 50.0]
"""
FEED = """
feed: {name}
title: Smoke sensors
purpose: find fires early
owner: test
retention: 1 day
sensitivity: internal
transport: {{{transport}: {{}}}}
format: {{ndjson: {{}}}}
expected_every: 1 h
{personal}
mapping:
  id: id
  source: s
  kind: {{constant: fire.smoke}}
  event_time: {{from: t, formats: [epoch_ms]}}
  lon: x
  lat: y
  value: {{from: v, unit: ug/m3}}
"""
RULES = """
rule: second-sensor
title: Smoke confirmed by a second sensor
why: Two sensors rarely fail together.
when:
  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}
alert:
  severity: severe
  headline: "Smoke confirmed by {sources} sensors"
  per: {place: 300 m, hold: 30 min}
---
rule: no-all-clear
title: Heavy smoke without an all-clear
why: Somebody has to look.
when:
  absence: {after: "fire.smoke where value >= 400 ug/m3", expect: "fire.smoke where value <= 20 ug/m3", within: 500 m, during: 2 s}
alert:
  severity: moderate
  headline: "No all-clear after heavy smoke"
"""


def write_city(folder: Path, rules: str = RULES, personal: str = "", feeds: tuple[tuple[str, str], ...] = (("smoke", "webhook"),)) -> Path:
    (folder / "feeds").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "city.yaml").write_text(CITY)
    for name, transport in feeds:
        (folder / "feeds" / f"{name}.yaml").write_text(FEED.format(name=name, transport=transport, personal=personal))
    (folder / "rules" / "rules.yaml").write_text(rules)
    return folder


def reading(number: int, source: str, value: float, east: float = 0.0, at: float | None = None, **more: Any) -> dict[str, Any]:
    """One record; `east` in metres."""
    when = time.time() if at is None else at
    lon = 10.0 + east / 71_474
    return {"id": f"r{number}", "s": source, "t": round(when * 1000), "x": lon, "y": 50.0, "v": value} | more


def ndjson(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Node:
    """A node under test. `process`: its supervisor."""

    process: subprocess.Popen[bytes]
    data: Path
    http: str
    ingest: str

    def get(self, path: str, **params: Any) -> Any:
        answer = httpx.get(self.http + path, params=params, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def post(self, records: bytes, feed: str = "smoke") -> httpx.Response:
        token = (self.data / "tokens" / feed).read_text().strip()
        return httpx.post(f"{self.ingest}/feeds/{feed}", content=records, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def post_until_taken(self, records: bytes, feed: str = "smoke", patience: float = 60.0) -> httpx.Response:
        """As a real sender does: again until it is acknowledged."""
        deadline = time.monotonic() + patience
        while True:
            try:
                answer = self.post(records, feed)
                if answer.status_code in (202, 207):
                    return answer
            except (httpx.HTTPError, OSError):
                pass
            assert time.monotonic() < deadline, "never acknowledged"
            time.sleep(0.2)

    def child(self, name: str) -> int:
        """The pid of a child, by its command line."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if name == "journal" and words[0].endswith(b"nats-server") and str(self.data).encode() in b" ".join(words):
                return int(path.parent.name)
            if words[-3:-1] == [name.encode(), str(self.data).encode()]:
                return int(path.parent.name)
        raise LookupError(name)

    def kill(self, name: str) -> None:
        os.kill(self.child(name), signal.SIGKILL)

    def alerts(self, wanted: int, patience: float = 30.0, **params: Any) -> list[dict[str, Any]]:
        """The alerts, once there are at least `wanted`."""
        deadline = time.monotonic() + patience
        while True:
            try:
                items: list[dict[str, Any]] = self.get("/api/v1/alerts", **params)["items"]
                if len(items) >= wanted:
                    return items
            except httpx.HTTPError:
                items = []
            assert time.monotonic() < deadline, f"only {len(items)} of {wanted} alerts"
            time.sleep(0.1)


@contextmanager
def running(city: Path, data: Path, *options: str) -> Iterator[Node]:
    """`tocsin run` on free ports, ready; SIGTERM at the end."""
    http, ingest = free_port(), free_port()
    argv = [sys.executable, "-m", "tocsin", "run", str(city), "--data", str(data), "--port", str(http)]
    process = subprocess.Popen([*argv, "--ingest-port", str(ingest), "--mqtt-port", "0", *options], cwd=ROOT)
    node = Node(process, data, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{ingest}")
    try:
        deadline = time.monotonic() + 300
        while True:
            assert process.poll() is None, "the node ended"
            try:
                if httpx.get(node.http + "/readyz", timeout=2).status_code == 200 and node.get("/api/v1/feeds")["items"]:
                    break
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, "not ready"
            time.sleep(0.1)
        yield node
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Frame:
    """One frame of the live stream."""

    id: str
    event: str
    data: Any


async def frames_of(http: str, topics: str, since: str | None = None) -> AsyncIterator[Frame]:
    """The live stream of a node, frame by frame, for as long as the caller asks."""
    query = {"topics": topics} | ({"since": since} if since else {})
    async with httpx.AsyncClient(timeout=None) as client, client.stream("GET", http + "/api/v1/stream", params=query) as answer:
        answer.raise_for_status()
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if not line and fields.get("data"):
                yield Frame(fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]))
                fields = {}
            name, _, value = line.partition(": ")
            if name in {"id", "event", "data"}:
                fields[name] = value


async def seen(http: str, topics: str, wanted: Callable[[Frame], bool], since: str | None = None, patience: float = 30.0) -> Frame:
    """The first frame that is `wanted`."""
    async with asyncio.timeout(patience):
        async with contextlib.aclosing(frames_of(http, topics, since)) as frames:
            async for frame in frames:
                if wanted(frame):
                    return frame
    raise AssertionError("the stream ended")
