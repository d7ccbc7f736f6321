"""The same back-tests here and on Spark, over a made-up city's archive: processor time of all processes, wall time, and whether the answers are the same.

`python -m bench.spark --days 1` prints a table, `--json` one object last. Processor time is that of the whole tree of processes, sampled five times a second;
starting Python, Java and Spark is part of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import psutil

from bench import archive_backtest

CITY: Final = "city: made-up\ntitle: Made-up\ntimezone: UTC\nregion: test\ncentre: [-122.33, 47.6]\nzoom: 11\n"
RULE: Final = """rule: {name}
title: {name}
why: To be measured.
when:
  {when}
alert:
  severity: minor
  urgency: future
  certainty: possible
  headline: "{name} at {{place}}"
  per: {{place: 1 km, hold: 1 h}}
"""
RULES: Final = {
    "crowd": 'cluster: {of: "smoke.level where value >= 30", sources: 6, within: 1 km, during: 10 min}',
    "unanswered": "absence: {after: alarm.fire, expect: call.fire.structure, within: 500 m, during: 10 min}",
}


def tree(command: list[str]) -> dict[str, Any]:
    """Runs a command to its end; its answer, and what all of its processes cost."""
    began, used = time.perf_counter(), dict[int, float]()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    over = threading.Event()

    def watch() -> None:
        root = psutil.Process(child.pid)
        while not over.wait(0.2):
            try:
                some = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for one in some:
                try:
                    times = one.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                used[one.pid] = max(used.get(one.pid, 0.0), times.user + times.system)

    thread = threading.Thread(target=watch)
    thread.start()
    told, _ = child.communicate()
    over.set()
    thread.join()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    found = json.loads(told)
    return {"cpu_s": round(sum(used.values()), 1), "wall_s": round(time.perf_counter() - began, 1), "found": found}


def make(folder: Path, days: int, share: float) -> None:
    """A city directory and its archive."""
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "city.yaml").write_text(CITY)
    (folder / "layers.yaml").write_text("[]\n")
    for name, when in RULES.items():
        (folder / "rules" / f"{name}.yaml").write_text(RULE.format(name=name, when=when))
    if not (folder / "var" / "archive" / "catalog.db").is_file():
        (folder / "var" / "archive").mkdir(parents=True)
        archive_backtest.build(folder / "var" / "archive", days, share)


def measured(folder: Path, rule: str, order: str) -> dict[str, Any]:
    """One rule both ways."""
    span = ["--from", "2010-01-01T00:00:00Z", "--to", "2040-01-01T00:00:00Z", "--near", "0", "--order", order, "--json"]
    command = [sys.executable, "-m", "tocsin.cli", "backtest", str(folder), rule, *span]
    alone, spread = tree(command), tree([*command, "--on", "spark"])
    one, two = alone.pop("found"), spread.pop("found")
    rows, alerts = one["read"]["rows"], one["summary"]["alerts"]
    same = (one["alerts_hash"], one["summary"], one["read"]["events"]) == (two["alerts_hash"], two["summary"], two["read"]["events"])
    return {"rows": rows, "events": one["read"]["events"], "alerts": alerts, "same": same, "alone": alone, "spark": spread}


def main() -> None:
    parser = argparse.ArgumentParser(description="Back-tests here and on Spark (local[2]).")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="share of the city's sensors, vehicles and calls")
    parser.add_argument("--folder", type=Path, default=None, help="a city made before, or where to keep it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as scratch:
        folder = given.folder or Path(scratch)
        make(folder, given.days, given.share)
        results = {f"{rule}, {order}": measured(folder, rule, order) for rule in RULES for order in ("journal",)}
    if given.json:
        print(json.dumps(results))
        return
    for name, one in results.items():
        print(
            f"{name:24} {one['rows']:>11,} rows {one['events']:>11,} events {one['alerts']:>7,} alerts  same: {one['same']}"
            f"  alone {one['alone']['cpu_s']} cpu s {one['alone']['wall_s']} s  spark {one['spark']['cpu_s']} cpu s {one['spark']['wall_s']} s"
        )


if __name__ == "__main__":
    main()
