"""How many events a second one core correlates, beside the engines people use today.

    python -m bench.hot [--quick] [--jobs cluster,dense] [--peers python,polars,duckdb | all] [--events N] [--json] [--out FILE]

Two parts in one run. *Compare*: every engine answers the same job on the same events (event-time order), each for a limited
time; the answers on the prefix it got through must equal ours, then rates are printed. *Own*: our engine alone on the
5-million-event stream in arrival order with late events (`--on-time`: without), batches of 100, 1,000 and 10,000. Rates are CPU time; every
measurement runs in processes of its own. `--peers all` adds bytewax, Pathway, Node-RED, Flink SQL and Spark, installing those that
are missing into environments of their own; one that cannot be had is a row that says why.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench import apart, environments, jobs, report
from bench.machine import machine
from bench.measure import measure
from bench.stream import Stream, generate

INSIDE = ("python", "polars", "duckdb")
PEERS = (*INSIDE, *environments.APART)
LATENESS = 10_000_000  # µs a late event of the stream may be late
SCALE = 10_000  # rules of the largest job: only the engines that hold no joins per rule are asked


def in_order(stream: Stream) -> Stream:
    """The stream in event-time order with distinct times: what the comparison runs on."""
    order = np.argsort(stream.time, kind="stable")
    ordered = Stream(*(getattr(stream, name)[order] for name in Stream.__slots__))
    steps = np.arange(len(ordered))
    times = np.maximum.accumulate(ordered.time - steps) + steps
    return dataclasses.replace(ordered, time=times, arrival=times)


def asked(name: str, job: str, batch: int) -> str | None:
    """None when this engine is asked this job with this batch size, else why not; an empty reason needs no row."""
    if job == f"mixed-{SCALE}" and name not in ("python", "bytewax", "nodered"):
        return f"not asked: a join or an operator for each of {SCALE:,} rules"
    if name in ("flink", "spark") and batch != 1000:
        return ""  # the first has no batches, the second its own size: once is enough
    return None


def peer(name: str, job: str, stream: Stream, batch: int, limit: float, known: dict[int, np.ndarray]) -> dict[str, Any]:
    """A peer's row, its answers compared with ours on the events it got through. `known`: our answers by number of events, filled here."""
    try:
        if name in INSIDE:
            row, theirs = measure(name, job, 0, stream, batch, limit)
        else:
            row, theirs = apart.measure(name, job, stream, batch, limit)
    except apart.Failed as fault:
        return report.without(name, job, len(jobs.operators(job)), batch, f"failed: {fault}")
    done = row["events"]
    if done not in known:
        _, known[done] = measure("tocsin", job, 0, stream.head(done), batch)
    return {**row, "answers_equal": bool(np.array_equal(known[done], theirs))}


def compare(job: str, stream: Stream, batch: int, peers: list[str], limit: float, gone: dict[str, str]) -> list[dict[str, Any]]:
    """Peers first, each as far as it gets; then ours on the longest prefix, and on each peer's prefix to compare answers."""
    rows: list[dict[str, Any]] = []
    known: dict[int, np.ndarray] = {}
    for name in peers:
        reason = gone.get(name, asked(name, job, batch))
        if reason is None:
            rows.append(peer(name, job, stream, batch, limit, known))
        elif reason:
            rows.append(report.without(name, job, len(jobs.operators(job)), batch, reason))
        if rows and rows[-1]["engine"] == name:
            print(f"  {report.line(rows[-1])}", file=sys.stderr, flush=True)
    checked = [row["answers_equal"] for row in rows if row["answers_equal"] is not None]
    row, _ = measure("tocsin", job, 0, stream.head(max((row["events"] for row in rows), default=0) or len(stream)), batch)
    row["answers_equal"] = all(checked) if checked else None
    if job.startswith(("cluster", "dense", "density")):
        row["passing"] = round(jobs.passing(job, stream), 4)
    return [row, *rows]


def own(job: str, stream: Stream, batches: list[int], lateness: int) -> list[dict[str, Any]]:
    """Ours alone; the answers of all batch sizes must agree. `lateness` (µs): 0 where the stream is on time."""
    rows, answers = [], []
    for batch in batches:
        row, keys = measure("tocsin", job, lateness, stream, batch)
        rows.append({**row, "job": job + (" (late)" if lateness else " (on time)")})
        answers.append(keys)
    for row in rows:
        row["answers_equal"] = all(np.array_equal(answers[0], other) for other in answers)
    return rows


def options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about a minute once kernels are cached: fewer events, one batch size")
    parser.add_argument(
        "--jobs", default=",".join(jobs.NAMES), help=f"of {', '.join(jobs.NAMES)}, mixed-N, density-P; `plots` is those of the pictures"
    )
    parser.add_argument("--peers", default=",".join(INSIDE), help=f"of {', '.join(PEERS)}; all; empty for none")
    parser.add_argument("--no-install", action="store_true", help="report engines that are not there as missing instead of installing them")
    parser.add_argument("--no-own", action="store_true", help="only the comparison")
    parser.add_argument("--on-time", action="store_true", help="our own part in event-time order, without late events")
    parser.add_argument("--events", type=float, default=None, help="events of the own part (default 5e6; quick 2e5)")
    parser.add_argument("--compare-events", type=float, default=None, help="events of the comparison (default 1e6; quick 2e5)")
    parser.add_argument("--batches", default=None, help="default 100,1000,10000; quick 1000")
    parser.add_argument("--limit", type=float, default=None, help="CPU seconds a peer may take per job (default 60; quick 0.7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--out", type=Path, default=None, help="also write the JSON object to this file; bench.plot draws it")
    a = parser.parse_args(argv)
    a.peers = list(PEERS) if a.peers == "all" else [name for name in a.peers.split(",") if name]
    a.jobs = [job for name in a.jobs.split(",") for job in (jobs.PLOTTED if name == "plots" else (name,))]
    unknown = [name for name in a.peers if name not in PEERS]
    if unknown:
        parser.error(f"unknown peer {unknown[0]}; known: {', '.join(PEERS)}, all")
    wrong = [job for job in a.jobs if not jobs.known(job)]
    if wrong:
        parser.error(
            f"unknown job {wrong[0]}; known: {', '.join(jobs.NAMES)}, mixed-N, density-P with P of {', '.join(map(str, jobs.DENSITIES))}, plots"
        )
    a.events = int(a.events or (2e5 if a.quick else 5e6))
    a.compare_events = int(a.compare_events or (2e5 if a.quick else 1e6))
    a.batches = [int(b) for b in (a.batches or ("1000" if a.quick else "100,1000,10000")).split(",")]
    a.limit = a.limit or (0.7 if a.quick else 60)
    return a


def missing(a: argparse.Namespace) -> dict[str, str]:
    """The engines that were asked for and cannot run, with the reason."""
    outside = [name for name in a.peers if name in environments.APART]
    if outside and not a.no_install:
        environments.install(outside)
    return {name: f"missing: {reason}" for name in outside if (reason := environments.missing(name))}


def measured(a: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """The rows of one job after the other."""
    gone = missing(a)
    stream = generate(a.events, a.events / 1389)
    ordered = in_order(generate(a.compare_events, a.compare_events / 1389)) if a.peers else stream
    alone, lateness = (in_order(stream), 0) if a.on_time else (stream, LATENESS)
    for job in a.jobs:
        print(f"{job} ...", file=sys.stderr, flush=True)
        large = job == f"mixed-{SCALE}"
        batches = [1000] if large else a.batches
        rows = [row for batch in batches for row in compare(job, ordered, batch, a.peers, a.limit, gone)] if a.peers else []
        if not a.no_own:
            rows += own(job, alone.head(100_000 if a.quick else 1_000_000) if large else alone, batches, lateness)
        yield rows


def main(argv: list[str] | None = None) -> int:
    a = options(argv)
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load']}, Python {here['python']}, {here['date']}", flush=True)
    began, words = time.monotonic(), list(sys.argv[1:] if argv is None else argv)
    if "--out" in words:  # where the result went on this machine concerns nobody
        del words[words.index("--out") : words.index("--out") + 2]
    command = " ".join(["python -m bench.hot", *words])
    rows: list[dict[str, Any]] = []
    for some in measured(a):
        rows += some
        if a.out:  # after every job: a run of hours that is cut short leaves what it has
            told = {"machine": here, "seconds": round(time.monotonic() - began), "command": command, "rows": rows}
            a.out.write_text(json.dumps(told, indent=1) + "\n")
    print(report.show(rows))
    print("\n" + report.factors(rows))
    if a.json:
        print(json.dumps({"machine": here, "rows": [report.plain(row) for row in rows]}))
    return 0 if all(row["answers_equal"] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
