"""A small city and a real node for the acceptance tests: four processes, the embedded journal, free ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tocsin.kernel.ports import free_port

ROOT = Path(__file__).parents[2]
#: Seconds for what is sure to come: only a test that fails waits so long.
PATIENCE = 180.0

CITY = """
city: testville
title: Testville
timezone: UTC
centre: [10.0, 50.0]
correlation: {delay: 1 s, lateness: 6 h}
"""
FEED = """
feed: {name}
title: Smoke sensors
purpose: find fires early
owner: test
retention: 1 day
sensitivity: internal
transport: {transport}
format: ndjson
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


def smoke_feed(name: str = "smoke", transport: str = "webhook", personal: str = "") -> str:
    """A feed file of smoke sensors. `personal`: a line of the file."""
    return FEED.format(name=name, transport=transport, personal=personal)


def write_city(folder: Path, rules: str = RULES, feeds: Mapping[str, str] | None = None) -> Path:
    """`feeds`: name -> text of its file."""
    (folder / "feeds").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "city.yaml").write_text(CITY)
    for name, text in (feeds or {"smoke": smoke_feed()}).items():
        (folder / "feeds" / f"{name}.yaml").write_text(text)
    (folder / "rules" / "rules.yaml").write_text(rules)
    return folder


METRES_PER_DEGREE = 71_474  # along the parallel of 50 degrees


def reading(number: int | str, source: str, value: float, east: float = 0.0, at: float | None = None, **more: Any) -> dict[str, Any]:
    """One record; `east` in metres, `at` in seconds since 1970."""
    when = time.time() if at is None else at
    lon = 10.0 + east / METRES_PER_DEGREE
    return {"id": f"r{number}", "s": source, "t": round(when * 1000), "x": lon, "y": 50.0, "v": value} | more


def ndjson(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def missing(name: str) -> Any:
    raise LookupError(name)


def cmdline(pid: int) -> bytes:
    """Empty for a process that has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def parent(pid: int) -> int:
    """The pid of its parent; 0 for a process that has gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:
        return 0


def files_below(folder: Path) -> Iterator[Path]:
    """Every file, of a node that runs and makes and removes some meanwhile."""
    return (Path(place) / name for place, _, names in os.walk(folder) for name in names)


def holders(folder: Path, word: str) -> list[str]:
    """Names of the files below the folder that hold the word in clear."""
    found = []
    for path in files_below(folder):
        with contextlib.suppress(FileNotFoundError):
            if word.encode() in path.read_bytes():
                found.append(path.name)
    return found


def newest_change(folder: Path) -> float:
    """When a file below the folder was last written, as its file system says it."""
    times = [0.0]
    for path in files_below(folder):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


@dataclass
class Node:
    """A node under test. `process`: its supervisor."""

    process: subprocess.Popen[bytes]
    data: Path
    http: str
    ingest: str

    def get(self, path: str, **params: Any) -> Any:
        answer = httpx.get(self.http + path, params=params, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def send(self, feed: str, body: bytes, token: str | None = None) -> httpx.Response:
        """POST to a feed's webhook, once."""
        secret = (self.data / "tokens" / feed).read_text().strip() if token is None else token
        return httpx.post(f"{self.ingest}/feeds/{feed}", content=body, headers={"Authorization": f"Bearer {secret}"}, timeout=60)

    def post(self, records: bytes, feed: str = "smoke") -> httpx.Response:
        return self.send(feed, records)

    def feed(self, name: str) -> dict[str, Any]:
        """What the node says of a feed."""
        return next((item for item in self.get("/api/v1/feeds")["items"] if item["name"] == name), None) or missing(name)

    def eventually(self, what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """The first true answer of `condition`; a node that is not there yet is asked again."""
        deadline = time.monotonic() + patience
        while True:
            try:
                if found := condition():
                    return found
            except (httpx.HTTPError, OSError, LookupError):
                pass
            assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
            time.sleep(0.1)

    def alert_near(self, east: float, rule: str = "second-sensor", patience: float = PATIENCE) -> dict[str, Any]:
        """The alert of a rule within 500 m of a place; every test has a place of its own."""

        def found() -> Any:
            lon = 10.0 + east / METRES_PER_DEGREE
            items = self.get("/api/v1/alerts", rule=rule, limit=1000)["items"]
            return next((item for item in items if item["lon"] is not None and abs(item["lon"] - lon) < 500 / METRES_PER_DEGREE), None)

        alert: dict[str, Any] = self.eventually(f"an alert of {rule} at {east} m", found, patience)
        return alert

    def post_until_taken(self, records: bytes, feed: str = "smoke", patience: float = PATIENCE) -> httpx.Response:
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

    def summary(self) -> dict[str, Any]:
        """What the node printed at its end; it was started with --json."""
        told: dict[str, Any] = json.loads(self.data.with_name(self.data.name + ".out").read_text().splitlines()[-1])
        return told

    def child(self, name: str) -> int:
        """The pid of a child, by the log it writes to; of the journal server, by its lock file; of the nursery, by its parent."""
        if name == "journal":
            server = int((self.data / "journal.lock").read_text().split()[0])
            if b"nats-server" in cmdline(server):
                return server
        elif name == "nursery":
            found = (int(path.name) for path in Path("/proc").glob("[0-9]*") if parent(int(path.name)) == self.process.pid)
            return next((pid for pid in found if b"tocsin.app.nursery" in cmdline(pid)), 0) or missing(name)
        else:
            log = (self.data / "log" / f"{name}.log").resolve()
            for path in Path("/proc").glob("[0-9]*/fd/1"):
                with contextlib.suppress(OSError):
                    if path.readlink() == log:
                        return int(path.parts[2])
        return missing(name)

    def kill(self, name: str) -> None:
        os.kill(self.child(name), signal.SIGKILL)

    def alerts(self, wanted: int, patience: float = PATIENCE, **params: Any) -> list[dict[str, Any]]:
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


def tocsin(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    argv = [sys.executable, "-m", "tocsin", *map(str, words)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **more)


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def replayed(city: Path, data: Path) -> dict[str, Any]:
    """What a stopped node's journal gives when it is run through the rules again."""
    done = tocsin("replay", city, "--data", data, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return last_json(done)


@contextmanager
def running(city: Path, data: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Node]:
    """`tocsin run` on free ports, ready; SIGTERM at the end."""
    http, ingest = free_port(), free_port()
    argv = [sys.executable, "-m", "tocsin", "run", str(city), "--data", str(data), "--port", str(http)]
    argv += ["--ingest-port", str(ingest), "--mqtt-port", "0", *options]
    with data.with_name(data.name + ".out").open("wb") as out:
        process = subprocess.Popen(argv, cwd=ROOT, env=os.environ | (env or {}), stdout=out)
    node = Node(process, data, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{ingest}")
    try:
        deadline = time.monotonic() + 300
        while True:
            assert process.poll() is None, "the node ended"
            try:
                if httpx.get(node.http + "/readyz", timeout=10).status_code == 200 and node.get("/api/v1/feeds")["items"]:
                    break
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, "not ready"
            time.sleep(0.1)
        yield node
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
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


async def seen(
    http: str, topics: str, wanted: Callable[[Frame], bool], since: str | None = None, began: asyncio.Event | None = None
) -> Frame:
    """The first frame that is `wanted`. `began` is set when the stream is open."""
    async with asyncio.timeout(PATIENCE):
        async with contextlib.aclosing(frames_of(http, topics, since)) as frames:
            async for frame in frames:
                if began is not None:
                    began.set()
                if wanted(frame):
                    return frame
    raise AssertionError("the stream ended")
