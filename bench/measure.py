"""Measures an engine that runs inside a Python process: forked, fed batch by batch, answers handed back."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import jobs
from bench.fresh import in_fork
from bench.machine import cpu_seconds, rss_mb
from bench.stream import Stream


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


def _peak_mb() -> float:
    """The most memory this process has had, the events included, which it shares with the process it was forked from."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def _measure(pipe: Any, name: str, job: str, delay: int, stream: Stream, batch: int, limit: float) -> None:
    gc.freeze()  # what the parent left behind is not this process's to clear away: some of it has threads there
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
        "rss_mb": round(memory - before, 1), "peak_mb": round(_peak_mb(), 1),
    }  # fmt: skip
    keys = _answer_keys(runner)
    row["answers"] = len(keys)
    pipe.send((row, keys))


def measure(name: str, job: str, delay: int, stream: Stream, batch: int, limit: float = 1e9) -> tuple[dict[str, Any], np.ndarray]:
    """One engine on one job in a forked process: (row, sorted answers)."""
    result: tuple[dict[str, Any], np.ndarray] = in_fork(f"{name} on {job}", _measure, name, job, delay, stream, batch, limit)
    return result
