"""A million points of the archive on the map of Investigate: what that costs the page, with and without the million, step by step.

    python -m bench.console [--rows 1050000] [--json]

A made-up archive (calls around twelve spots of Seattle in 14 days) is imported, a node is started on it, and Debian's Chromium asks, pans, zooms and moves the
time window. Chromium's own trace says for every task of the page's main thread how long it took, on the clock and in processor time of that thread, and whose
script ran in it. `decode` is the map library's workers, which read the tiles; `draw` is the graphics process: upload and, without a graphics card, drawing too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Browser, Page, Request, sync_playwright

from bench.machine import machine, table
from bench.startup import Node

ROOT: Final = Path(__file__).parents[1]
FIRST, DAYS, PLACES = 1_704_067_200_000_000, 14, 200_000  # from 2024-01-01
LONG_MS: Final = 50.0
QUIET_S, PATIENCE_S = 1.5, 180.0
SIZE: Final = (1440, 900)
ARGS: Final = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--enable-unsafe-swiftshader"]
CITY = "city: bench\ntitle: Bench\ntimezone: America/Los_Angeles\ncentre: [-122.3321, 47.6062]\nzoom: 11\n"
FEED = """feed: calls
title: Calls
purpose: bench
owner: bench
retention: 20 years
sensitivity: internal
transport: webhook
format: ndjson
mapping:
  id: id
  kind: kind
  source: source
  event_time: event_time
  lon: lon
  lat: lat
  text: text
"""
RULE = 'rule: none\ntitle: None\nwhy: a city has a rule\nwhen:\n  match: {of: "never"}\nalert:\n  severity: minor\n  headline: "none"\n'
KINDS: Final = ("call.medical", "call.fire", "call.alarm", "call.traffic")
OF_THE_MAP: Final = re.compile(r"/archive/|\.pmtiles|/query").search
FRAMES = """() => {
  window.frames_ = []; let before = performance.now();
  const next = (now) => { window.frames_.push(now - before); before = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""
COLUMNS = """async () => {
  const response = await fetch('api/v1/archive/points?limit=1000000&confirm=true');
  const bytes = await response.arrayBuffer();
  const began = performance.now();
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return {status: response.status, mb: bytes.byteLength / 1e6, rows: head.count, decode_ms: performance.now() - began};
}"""


@dataclass(slots=True)
class Cost:
    """Of one step. Milliseconds; `tasks`: (on the clock, processor time, what ran longest in it) of every main-thread task."""

    tasks: list[tuple[float, float, str]] = field(default_factory=list)
    scripts: Counter[str] = field(default_factory=Counter)
    decode: float = 0.0
    draw: float = 0.0
    frames: list[float] = field(default_factory=list)
    wall: float = 0.0


def write(folder: Path, rows: int, seed: int = 5) -> tuple[Path, Path]:
    """A city with Seattle's outlines, and its history as one Parquet file."""
    city = folder / "city"
    for name in ("feeds", "rules"):
        (city / name).mkdir(parents=True)
    for name in ("layers", "layers.yaml"):
        source = ROOT / "examples" / "seattle" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, city / name)
    for name, text in (("city.yaml", CITY), ("feeds/calls.yaml", FEED), ("rules/none.yaml", RULE)):
        (city / name).write_text(text)
    rng = np.random.default_rng(seed)
    spots = np.column_stack([-122.335 + rng.normal(0, 0.04, 12), 47.61 + rng.normal(0, 0.05, 12)])
    places = spots[rng.integers(0, 12, PLACES)] + rng.normal(0, 0.012, (PLACES, 2))
    at, which = np.sort(FIRST + rng.integers(0, DAYS * 86_400, rows) * 1_000_000), rng.integers(0, PLACES, rows)
    kinds = pa.array(KINDS).take(pa.array(rng.choice(4, rows, p=[0.7, 0.1, 0.1, 0.1])))
    columns = {
        "id": pa.array(np.arange(rows)).cast(pa.string()),
        "kind": kinds,
        "source": pa.array(which).cast(pa.string()),
        "event_time": pa.array(at, pa.timestamp("us", tz="UTC")),
        "lon": places[which, 0],
        "lat": places[which, 1],
        "text": kinds,
    }
    pq.write_table(pa.table(columns), folder / "calls.parquet")
    return city, folder / "calls.parquet"


class Looker:
    """A browser on the Investigate screen. A step is what is done, and then waiting until no tile has been on its way for a while."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.page: Page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, reduced_motion="reduce", locale="en-US")
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.last, self.tiles = time.monotonic(), 0
        self.waiting: frozenset[Request] = frozenset()
        self.page.on("request", self._asked)
        for event in ("requestfinished", "requestfailed"):
            self.page.on(event, self._answered)  # type: ignore[call-overload]
        self.page.goto(url + "#investigate")
        self.page.get_by_role("button", name="Ask").wait_for()
        self.page.locator("canvas").first.wait_for()
        self._settle()
        self.page.evaluate(FRAMES)

    def _asked(self, request: Request) -> None:
        if OF_THE_MAP(request.url):
            self.last, self.tiles, self.waiting = time.monotonic(), self.tiles + (".mvt" in request.url), self.waiting | {request}

    def _answered(self, request: Request) -> None:
        if OF_THE_MAP(request.url):
            self.last, self.waiting = time.monotonic(), self.waiting - {request}

    def _settle(self) -> None:
        """Until nothing of the map or of the question has been on its way for a while; the live stream and its counts never rest."""
        deadline = time.monotonic() + PATIENCE_S
        while (self.waiting or time.monotonic() - self.last < QUIET_S) and time.monotonic() < deadline:
            self.page.wait_for_timeout(100)

    def step(self, act: Callable[[], None]) -> Cost:
        self.page.evaluate("() => { window.frames_.length = 0 }")
        self.browser.start_tracing(page=self.page, categories=["toplevel", "devtools.timeline", "v8.execute"])
        began = time.monotonic()
        act()
        self._settle()
        wall = time.monotonic() - began - QUIET_S
        cost = read(json.loads(self.browser.stop_tracing())["traceEvents"])
        cost.frames, cost.wall = self.page.evaluate("() => window.frames_.slice()"), wall * 1000
        return cost

    def ask(self, words: str) -> None:
        self.page.get_by_role("searchbox", name="Words").fill(words)
        self.page.get_by_label("From (city time)").fill("2024-01-01T00:00")
        self.page.get_by_label("To", exact=True).fill("2024-01-15T00:00")
        self.page.get_by_role("button", name="Ask").click()
        self.page.wait_for_timeout(500)

    def pan(self) -> None:
        box = self._map()
        for way in (1, -1, 1, -1):
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            self.page.mouse.move(x, y)
            self.page.mouse.down()
            self.page.mouse.move(x + way * 160, y + way * 120, steps=8)
            self.page.mouse.up()

    def zoom(self) -> None:
        box = self._map()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for turn in (-300, -300, -300, 300, 300, 300, 300):
            self.page.mouse.wheel(0, turn)
            self.page.wait_for_timeout(250)

    def window(self) -> None:
        """Another week, and another again."""
        for start, end in (("02", "09"), ("05", "12"), ("01", "08")):
            self.page.get_by_label("From (city time)").fill(f"2024-01-{start}T00:00")
            self.page.get_by_label("To", exact=True).fill(f"2024-01-{end}T00:00")
            self.page.get_by_role("button", name="Ask").click()
            self.page.wait_for_timeout(700)

    def _map(self) -> Any:
        return self.page.get_by_test_id("archive-map").bounding_box()


def read(events: list[dict[str, Any]]) -> Cost:
    """Chromium's trace (microseconds) -> what the main thread of the page, the workers and the graphics process did."""
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one.get("name") == "thread_name"}
    cost = Cost()
    runs = [one for one in events if one.get("ph") == "X" and one["name"].endswith("RunTask")]
    busy: Counter[tuple[int, int]] = Counter()
    for one in runs:
        key, used = (one["pid"], one["tid"]), one.get("tdur", 0) / 1000
        name = names.get(key, "")
        busy[key] += used if name == "CrRendererMain" else 0
        cost.decode += used if "Worker" in name else 0
        cost.draw += used if name in ("CrGpuMain", "VizCompositorThread") else 0
    if not busy:
        raise SystemExit("the trace has no tasks of a page; is this Chromium?")
    main = max(busy, key=lambda key: busy[key])
    calls = [one for one in events if one.get("ph") == "X" and one["name"] == "FunctionCall" and (one["pid"], one["tid"]) == main]
    spans = sorted(((one["ts"], one["ts"] + one["dur"], one.get("tdur", 0) / 1000, _script(one)) for one in calls), key=lambda one: one[0])
    cost.scripts.update({name: 0.0 for *_, name in spans})
    until = 0.0
    outer = []
    for begin, end, used, name in spans:  # a call within a call counts once
        if begin >= until:
            cost.scripts[name] += used
            outer.append((begin, used, name))
            until = end
    for one in (one for one in runs if (one["pid"], one["tid"]) == main):
        inside = [(used, name) for begin, used, name in outer if one["ts"] <= begin < one["ts"] + one["dur"]]
        cost.tasks.append((one["dur"] / 1000, one.get("tdur", 0) / 1000, max(inside, default=(0.0, "the browser"))[1]))
    return cost


def _script(call: dict[str, Any]) -> str:
    """`maplibre`, `console`, or what else the file is called."""
    file = Path(str(call.get("args", {}).get("data", {}).get("url", ""))).name.partition("-")[0]
    return "maplibre" if file == "maplibre" else "console" if file else "the browser"


def row(step: str, what: str, cost: Cost) -> dict[str, Any]:
    frames = sorted(cost.frames) or [0.0]
    long = [one for one in cost.tasks if one[1] > LONG_MS]
    worst = max(cost.tasks, key=lambda one: one[1], default=(0.0, 0.0, ""))
    return {
        "step": step, "archive": what, "main_cpu_ms": round(sum(one[1] for one in cost.tasks)), "console_ms": round(cost.scripts["console"]),
        "maplibre_ms": round(cost.scripts["maplibre"]), "decode_ms": round(cost.decode), "draw_ms": round(cost.draw), "long_tasks_cpu": len(long),
        "long_tasks_wall": sum(one[0] > LONG_MS for one in cost.tasks), "longest_cpu_ms": round(worst[1], 1), "longest_in": worst[2],
        "frame_p50_ms": round(statistics.median(frames), 1), "frame_p95_ms": round(frames[int(len(frames) * 0.95)], 1), "frame_worst_ms": round(frames[-1], 1),
        "wall_s": round(cost.wall / 1000, 1),
    }  # fmt: skip


def look(browser: Browser, url: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every step where nothing fits the words, then where everything does; a page of its own for each, so that nothing is remembered."""
    rows = []
    for what, words in (("none fits", "zebra"), ("all fit", "")):
        looker = Looker(browser, url)
        steps: list[tuple[str, Callable[[], None]]] = [
            ("ask", lambda looker=looker, words=words: looker.ask(words)),  # type: ignore[misc]
            ("pan", looker.pan),
            ("zoom", looker.zoom),
            ("window", looker.window),
        ]
        rows += [row(name, what, looker.step(act)) for name, act in steps]
        columns = looker.page.evaluate(COLUMNS) if not words else {}
        looker.page.close()
    return rows, columns


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_050_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args(argv)
    conditions = machine()
    with tempfile.TemporaryDirectory(prefix="bench-console-") as made, sync_playwright() as play:
        folder = Path(made)
        city, history = write(folder, a.rows)
        brought = (sys.executable, "-m", "tocsin", "archive", "import", str(city), "calls", str(history), "--data", str(folder / "data"))
        subprocess.run(brought, check=True, stdout=sys.stderr)
        node = Node(city, folder / "data")
        browser = play.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=ARGS)
        try:
            rows, columns = look(browser, next(word for word in node.said[0].split() if word.startswith("http")) + "/")
            version = browser.version
        finally:
            browser.close()
            node.stop()
    head = [name for name in rows[0] if name != "archive"]
    for what in ("none fits", "all fit"):
        print(f"\n{what} of {a.rows:,} events\n")
        print(table(head, [[one[name] for name in head] for one in rows if one["archive"] == what]))
    print(f"\nall as columns: {columns}")
    if a.json:
        print(json.dumps({"machine": conditions | {"chromium": version, "size": SIZE}, "points": a.rows, "rows": rows, "columns": columns}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
