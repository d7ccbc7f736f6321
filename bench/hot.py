"""How many events a second one core correlates, beside plain Python, Polars and DuckDB.

    python -m bench.hot [--quick] [--jobs cluster,dense] [--peers python,polars,duckdb] [--events N] [--json]

Two parts in one run. *Compare*: every engine answers the same job on the same events (event-time order), each for a limited
time; the answers on the prefix it got through must equal ours, then rates are printed. *Own*: our engine alone on the
5-million-event stream in arrival order with late events, batches of 100, 1,000 and 10,000. Rates are CPU time; every
measurement runs in a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
import time
from typing import Any

import numpy as np

from bench import jobs
from bench.machine import cpu_seconds, machine, rate, rss_mb, table
from bench.stream import Stream, generate

PEERS = ("python", "polars", "duckdb")


def in_order(stream: Stream) -> Stream:
    """The stream in event-time order with distinct times: what the comparison runs on."""
    order = np.argsort(stream.time, kind="stable")
    ordered = Stream(*(getattr(stream, name)[order] for name in Stream.__slots__))
    steps = np.arange(len(ordered))
    times = np.maximum.accumulate(ordered.time - steps) + steps
    return dataclasses.replace(ordered, time=times, arrival=times)


def engine(name: str, plan: Any) -> Any:
    if name == "tocsin":
        from bench.own import Own

        return Own(plan)
    os.environ["POLARS_MAX_THREADS"] = "1"
    if name == "python":
        from bench.peers.plain import Plain

        from bench.peers.tables import rule_rows

        return Plain(rule_rows(plan))
    if name == "polars":
        from bench.peers.pola import Pola

        return Pola(plan)
    from bench.peers.duck import Duck

    return Duck(plan)


def _answer_keys(runner: Any) -> np.ndarray:
    if hasattr(runner, "keys"):
        return runner.keys()
    return np.sort(np.array([rule << 40 | position for rule, position in runner.answers], np.int64))


def _measure(pipe: Any, name: str, job: str, delay: int, stream: Stream, batch: int, limit: float) -> None:
    plan = jobs.plan(jobs.operators(job), delay)
    warm = engine(name, plan)
    warm.push(stream, 0, min(100, len(stream)))
    before = rss_mb()
    runner = engine(name, plan)
    if hasattr(runner, "prepare"):
        runner.prepare(stream)
    times, done, n = [], 0, len(stream)
    cpu0, wall0 = cpu_seconds(), time.perf_counter()
    while done < n:
        stop = min(done + batch, n)
        began = time.perf_counter()
        runner.push(stream, done, stop)
        times.append(time.perf_counter() - began)
        done = stop
        if cpu_seconds() - cpu0 > limit:
            break
    cpu, wall = cpu_seconds() - cpu0, time.perf_counter() - wall0
    memory = rss_mb()
    runner.finish()
    counters = dict(runner.engine.counters()) if name == "tocsin" else {}
    row = {
        "job": job, "engine": name, "rules": len(plan.rules), "batch": batch, "events": done,
        "cpu_events_per_s": round(done / cpu), "wall_events_per_s": round(done / wall),
        "p50_ms": round(float(np.percentile(times, 50)) * 1e3, 3), "p99_ms": round(float(np.percentile(times, 99)) * 1e3, 3),
        "answers": 0, "answers_equal": None, "dropped": int(counters.get("dropped", 0) + counters.get("overwritten", 0)),
        "rss_mb": round(memory - before, 1),
    }  # fmt: skip
    keys = _answer_keys(runner)
    row["answers"] = len(keys)
    pipe.send((row, keys))


def measure(name: str, job: str, delay: int, stream: Stream, batch: int, limit: float = 1e9) -> tuple[dict[str, Any], np.ndarray]:
    """One engine on one job in a forked process: (row, sorted answers)."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(there, name, job, delay, stream, batch, limit))
    process.start()
    there.close()
    try:
        result: tuple[dict[str, Any], np.ndarray] = here.recv()
    except EOFError:
        raise SystemExit(f"{name} failed on {job}; see the error above") from None
    process.join()
    return result


def compare(job: str, stream: Stream, batch: int, peers: list[str], limit: float) -> list[dict[str, Any]]:
    """Peers first, each as far as it gets; then ours on the longest prefix, and on each peer's prefix to compare answers."""
    rows = []
    longest, equal = 0, True
    for name in peers:
        row, theirs = measure(name, job, 0, stream, batch, limit)
        _, ours = measure("tocsin", job, 0, stream.head(row["events"]), batch)
        row["answers_equal"] = bool(np.array_equal(ours, theirs))
        equal &= row["answers_equal"]
        longest = max(longest, row["events"])
        rows.append(row)
    row, _ = measure("tocsin", job, 0, stream.head(longest or len(stream)), batch)
    row["answers_equal"] = equal if peers else None
    return [row, *rows]


def own(job: str, stream: Stream, batches: list[int]) -> list[dict[str, Any]]:
    """Ours alone, late events included; the answers of all batch sizes must agree."""
    rows, answers = [], []
    for batch in batches:
        row, keys = measure("tocsin", job, 10_000_000, stream, batch)
        rows.append({**row, "job": job + " (late)"})
        answers.append(keys)
    for row in rows:
        row["answers_equal"] = all(np.array_equal(answers[0], other) for other in answers)
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    head = (
        "job",
        "engine",
        "rules",
        "batch",
        "events",
        "CPU events/s",
        "wall events/s",
        "p50 ms",
        "p99 ms",
        "answers",
        "equal",
        "dropped",
        "MB",
    )
    words = {True: "yes", False: "NO", None: "-"}
    body = [
        (r["job"], r["engine"], r["rules"], r["batch"], r["events"], rate(r["cpu_events_per_s"]), rate(r["wall_events_per_s"]), r["p50_ms"],
         r["p99_ms"], r["answers"], words[r["answers_equal"]], r["dropped"], r["rss_mb"])
        for r in rows
    ]  # fmt: skip
    return table(head, body)


def factors(rows: list[dict[str, Any]]) -> str:
    """Ours against the best peer, per job and batch size, on the same events."""
    lines = []
    for r in rows:
        if r["engine"] == "tocsin" and "late" not in r["job"]:
            rivals = [o for o in rows if o["engine"] != "tocsin" and (o["job"], o["batch"]) == (r["job"], r["batch"])]
            if rivals:
                best = max(rivals, key=lambda o: o["cpu_events_per_s"])
                lines.append((r["job"], r["batch"], f"{r['cpu_events_per_s'] / best['cpu_events_per_s']:.1f}x", best["engine"]))
    return table(("job", "batch", "ours against the best peer", "which is"), lines) if lines else ""


def options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about a minute once kernels are cached: fewer events, one batch size")
    parser.add_argument("--jobs", default=",".join(jobs.NAMES), help=f"of {', '.join(jobs.NAMES)}")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}; empty for none")
    parser.add_argument("--events", type=float, default=None, help="events of the own part (default 5e6; quick 3e5)")
    parser.add_argument("--compare-events", type=float, default=None, help="events of the comparison (default 1e6; quick 2e5)")
    parser.add_argument("--batches", default=None, help="default 100,1000,10000; quick 1000")
    parser.add_argument("--limit", type=float, default=None, help="CPU seconds a peer may take per job (default 60; quick 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    a = options(argv)
    events = int(a.events or (3e5 if a.quick else 5e6))
    shared = int(a.compare_events or (2e5 if a.quick else 1e6))
    batches = [int(b) for b in (a.batches or ("1000" if a.quick else "100,1000,10000")).split(",")]
    peers = [name for name in a.peers.split(",") if name]
    limit = a.limit or (1 if a.quick else 60)
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load']}, Python {here['python']}, {here['date']}", flush=True)
    stream = generate(events, events / 1389)
    ordered = in_order(generate(shared, shared / 1389)) if peers else stream
    rows: list[dict[str, Any]] = []
    for job in a.jobs.split(","):
        print(f"{job} ...", file=sys.stderr, flush=True)
        if peers:
            for batch in batches if job != "mixed-10000" else [1000]:
                rows += compare(job, ordered, batch, peers if job != "mixed-10000" else [p for p in peers if p == "python"], limit)
        size = stream.head(100_000 if a.quick else 1_000_000) if job == "mixed-10000" else stream
        rows += own(job, size, batches if job != "mixed-10000" else [1000])
    print(show(rows))
    print("\n" + factors(rows))
    if a.json:
        print(json.dumps({"machine": here, "rows": rows}))
    return 0 if all(row["answers_equal"] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
