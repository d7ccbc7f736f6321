"""Measures an engine that runs as a program of its own: started twice, on few events and on many, so that start-up and work can be told apart."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import environments, jobs, tree
from bench.peers.apart import folder as exchange
from bench.peers.tables import floors, rule_rows
from bench.stream import Stream

PILOT = 20  # the pilot run gets this part of the events
START_LIMIT = 180.0  # seconds an engine may take until it is ready


MICRO_BATCH = {"spark": 20_000}  # planning one takes it seconds, whatever is in it
NO_BATCHES = {"flink"}


class Failed(Exception):
    """The engine's program ended or took too long; the text says which, with the last lines it printed."""


@dataclass(slots=True)
class Run:
    """One run. Seconds of wall and processor time until `ready`, and from `ready` to `done`; MB of all its processes."""

    events: int
    start_wall: float
    start_cpu: float
    wall: float
    cpu: float
    ready_mb: float
    peak_mb: float
    batch_seconds: list[float]
    keys: np.ndarray
    version: str


def _hear(process: subprocess.Popen[str], word: str, limit: float, folder: Path) -> None:
    readable, _, _ = select.select([process.stdout], [], [], limit)
    said = process.stdout.readline().strip() if readable else f"nothing for {limit:.0f} s"
    if said != word:
        raise Failed(f"waited for '{word}', got: {said or 'the end of the program'}. {_last_words(folder)}")


def _last_words(folder: Path) -> str:
    """The lines that say most of what the program and its engine printed."""
    lines = [
        line
        for name in ("errors", "printed")
        if (folder / name).exists()
        for line in (folder / name).read_text(errors="replace").splitlines()
    ]
    telling = [line for line in lines if line.startswith("Caused by") or "Error: " in line or "Exception: " in line]
    return " / ".join((telling or lines)[-2:])[-400:]


def _go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def run(name: str, job: str, stream: Stream, batch: int, limit: float) -> Run:
    """Starts the engine's program on these events. Raises Failed when it does not get through in `limit` seconds."""
    rows = rule_rows(jobs.plan(jobs.operators(job), 0))
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name_of_folder:
        folder = Path(name_of_folder)
        exchange.write(folder, stream, rows, floors(rows), batch)
        began = time.perf_counter()
        with (folder / "errors").open("wb") as errors:
            process = subprocess.Popen(
                environments.command(name, folder), cwd=folder, env=environments.environment(name), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        peak = tree.Peak(process.pid)
        try:
            return _measured(process, folder, peak, len(stream), limit, began)
        finally:
            peak.stop()
            tree.kill(process.pid)
            process.wait()
            process.stdin.close()
            process.stdout.close()


def _measured(process: subprocess.Popen[str], folder: Path, peak: tree.Peak, events: int, limit: float, began: float) -> Run:
    _hear(process, "ready", START_LIMIT, folder)
    cpu0, ready, ready_mb = tree.cpu_seconds(process.pid), time.perf_counter(), tree.rss_mb(process.pid)
    _go(process)
    _hear(process, "done", limit, folder)
    cpu, wall = tree.cpu_seconds(process.pid) - cpu0, time.perf_counter() - ready
    peak.mb = max(peak.mb, tree.rss_mb(process.pid))
    _go(process)
    _hear(process, "", 60, folder)
    told = json.loads((folder / "result.json").read_text())
    return Run(
        events,
        ready - began,
        cpu0,
        wall,
        cpu,
        ready_mb,
        peak.mb,
        told["batch_seconds"],
        np.load(folder / "answers.npy"),
        told.get("version", ""),
    )


def affordable(runs: list[Run], shared: int, batch: int, limit: float) -> int:
    """How many events the engine can be given within `limit` CPU seconds. After one run by its average, after two by the line through both,
    which leaves the start-up out. Whole batches; a second run has at least four times the first's events, so that there is a line."""
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        per_event, least = max(first.cpu, 1e-3) / first.events, 4 * first.events
    else:
        per_event, least = max((last.cpu - first.cpu) / (last.events - first.events), 1e-7), 0
    return min(shared, max(int(limit / per_event) // batch * batch, least))


def measure(name: str, job: str, stream: Stream, batch: int, limit: float) -> tuple[dict[str, Any], np.ndarray]:
    """(row, sorted answers) of the longest run that ended in time. Raises Failed when not even the first did."""
    asked, batch = batch, max(batch, MICRO_BATCH.get(name, 0))
    size = min(len(stream), max(batch, len(stream) // PILOT // batch * batch))
    runs = [run(name, job, stream.head(size), batch, 6 * limit + 180)]
    note = "record by record" if name in NO_BATCHES else f"micro-batches of {batch}" if batch != asked else ""
    for _ in range(2):
        most = affordable(runs, len(stream), batch, limit)
        if most < 2 * runs[-1].events:
            break
        try:
            runs.append(run(name, job, stream.head(most), batch, 6 * limit + 180))
        except Failed as fault:
            note = f"{note} {most} events: {fault}".strip()
            break
    return _row(name, job, asked, runs[0], runs[-1], note), runs[-1].keys


def _row(name: str, job: str, batch: int, pilot: Run, told: Run, note: str) -> dict[str, Any]:
    more_events, more_cpu, more_wall = told.events - pilot.events, told.cpu - pilot.cpu, told.wall - pilot.wall
    times = np.array(told.batch_seconds) * 1e3
    return {
        "job": job, "engine": name, "rules": len(jobs.operators(job)), "batch": batch, "events": told.events,
        "cpu_events_per_s": round(told.events / max(told.cpu, 1e-3)), "wall_events_per_s": round(told.events / told.wall),
        "marginal_cpu_events_per_s": round(more_events / more_cpu) if more_events and more_cpu > 0.2 else None,
        "marginal_wall_events_per_s": round(more_events / more_wall) if more_events and more_wall > 0.2 else None,
        "p50_ms": round(float(np.percentile(times, 50)), 3) if len(times) else None,
        "p99_ms": round(float(np.percentile(times, 99)), 3) if len(times) else None,
        "answers": len(told.keys), "answers_equal": None, "dropped": 0, "rss_mb": round(told.peak_mb - told.ready_mb, 1),
        "peak_mb": round(told.peak_mb, 1), "start_s": round(told.start_wall, 2), "start_cpu_s": round(told.start_cpu, 2),
        "version": told.version, "note": note,
    }  # fmt: skip
