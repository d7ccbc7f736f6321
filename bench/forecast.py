"""How far the demand forecast is off, beside the library it was chosen against: calls an hour forecast from what was known before, over and over.

    python -m bench.forecast [--counts FILE] [--zone ZONE] [--ends 3] [--days 84] [--origins 14] [--ahead 3] [--no-peers] [--json]

Calls of the Seattle Fire Department by the hour, 25 February to September 2017 (`bench/seattle_calls_2017.csv`: City of Seattle open data, public domain; a row is 24
hours from an instant; before, six weeks are missing). For each of some ends, 45 days apart, the newest `origins` stretches of `ahead` days are forecast, each from the `days` before
it. `ours` is what `tocsin report forecast` would have used: whichever of its methods had erred least over the origins before. Errors are calls an hour, mean absolute
(MAE) and over that of the seasonal naive on the same hours; processor time is of all threads, compiling left out. statsforecast lives in an environment of its own
(`sh scripts/bench_peers.sh statsforecast`).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import environments
from bench.machine import machine, table
from tocsin.model.time import HOUR
from tocsin.query.localtime import zone_of
from tocsin.query.reports.forecast import METHODS, ORIGINS, WEEK, rolling_errors
from tocsin.query.reports.volume import hour_of_week

COUNTS: Final = Path(__file__).parent / "seattle_calls_2017.csv"
NAIVE: Final = "seasonal naive"
#: Days between two ends.
APART: Final = 45


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Instants of hours (µs) and how many calls each had."""
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    begins = [int(datetime.fromisoformat(row[0]).timestamp()) * 1_000_000 for row in rows]
    instants = np.concatenate([begin + HOUR * np.arange(24) for begin in begins])
    return instants, np.array([int(one) for row in rows for one in row[1:]], np.int64)


def stretches(hours: int, ends: int, origins: int, horizon: int) -> list[list[int]]:
    """For each end, oldest first, the first hours of what is forecast."""
    lasts = [hours - APART * 24 * back for back in reversed(range(ends))]
    return [[last - horizon * back for back in range(origins, 0, -1)] for last in lasts]


def chosen(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """As the report does: by the errors of the origins before."""
    origins = min(ORIGINS, (len(counts) - 2 * WEEK) // len(ahead))
    error = {name: np.abs(rolling_errors(counts, hours, method, len(ahead), origins)).mean() for name, method in METHODS.items()}
    return METHODS[min(error, key=lambda name: error[name])](counts, hours, ahead)


def own(counts: np.ndarray, hours: np.ndarray, cuts: Sequence[int], past: int, horizon: int) -> dict[str, dict[str, Any]]:
    """Forecasts of every method and processor seconds."""
    found = {}
    methods: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {**METHODS, "ours": chosen}
    for name, method in methods.items():
        began = time.process_time()
        made = [method(counts[cut - past : cut], hours[cut - past : cut], hours[cut : cut + horizon]).tolist() for cut in cuts]
        found[name] = {"made": made, "cpu_s": time.process_time() - began}
    return found


def library(counts: np.ndarray, cuts: Sequence[int], past: int, horizon: int) -> dict[str, dict[str, Any]]:
    """The same from statsforecast, in its own environment."""
    python = environments.home() / "statsforecast" / "bin" / "python"
    job = json.dumps({"counts": counts.tolist(), "cuts": list(cuts), "past": past, "horizon": horizon})
    done = subprocess.run(
        [str(python), "-m", "bench.peers.statsforecast_run"], input=job, text=True, stdout=subprocess.PIPE, env=environments.environment("statsforecast"),
        cwd=environments.ROOT, check=True,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def measure(a: argparse.Namespace, why: str | None) -> list[dict[str, Any]]:
    """A row for each method. `why`: there is no library to ask."""
    instants, counts = read(a.counts)
    hours, horizon, past = hour_of_week(instants, zone_of(a.zone)), a.ahead * 24, a.days * 24
    ends = stretches(len(counts), a.ends, a.origins, horizon)
    if ends[0][0] < past:
        raise SystemExit(f"bench.forecast: {len(counts) / 24:.0f} days are too few; valid is fewer --ends, --days or --origins")
    cuts = [cut for one in ends for cut in one]
    made = own(counts, hours, cuts, past, horizon) | ({} if why else library(counts, cuts, past, horizon))
    actual = np.array([counts[cut : cut + horizon] for cut in cuts])
    errors = {name: np.abs(actual - np.array(one["made"])).reshape(len(ends), -1).mean(axis=1) for name, one in made.items()}
    return [
        {
            "method": name, "mae_by_end": [round(float(one), 3) for one in errors[name]], "mae": round(float(errors[name].mean()), 3),
            "of_naive": round(float(errors[name].mean() / errors[NAIVE].mean()), 3), "cpu_s": round(made[name]["cpu_s"], 3), "forecasts": len(cuts),
        }
        for name in made
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.forecast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=Path, default=COUNTS, help="a row a day: an instant, then 24 counts")
    parser.add_argument("--zone", default="America/Los_Angeles", help="whose clock people live by")
    parser.add_argument("--ends", type=int, default=3)
    parser.add_argument("--days", type=int, default=84, help="of history before each forecast")
    parser.add_argument("--origins", type=int, default=14, help="forecasts for each end")
    parser.add_argument("--ahead", type=int, default=3, help="days that are forecast")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args(argv)
    why = "not asked for" if a.no_peers else environments.missing("statsforecast")
    rows = measure(a, why)
    head = ["method", *(f"MAE, end {number}" for number in range(1, a.ends + 1)), "MAE", "of the naive", "cpu s"]
    shown = [
        [row["method"], *row["mae_by_end"], row["mae"], row["of_naive"], row["cpu_s"]] for row in sorted(rows, key=lambda row: row["mae"])
    ]
    print(f"{rows[0]['forecasts']} forecasts of {a.ahead} days each, from {a.days} days before; calls an hour\n")
    print(table(head, shown))
    if why:
        print(f"\nstatsforecast: {why}")
    if a.json:
        print(json.dumps({"rows": rows, "summary": {row["method"]: row["mae"] for row in rows}, "missing": why, "machine": machine()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
