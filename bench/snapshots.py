"""How long a snapshot holds up the events: the fork, and the batches that come while the child writes.

    python -m bench.snapshots [--rules 1000,10000] [--events 5e5] [--times 10] [--json]

The mixed rules of `bench.hot` over its stream; then snapshots as the correlator takes them (`correlate/saving.py`), one after the other, to a
file on this machine's disk, while further batches of 1,000 events come. `pause` is what the correlator's loop stands still for (aim: 20 ms).
While the child writes, every page that the engine touches is copied first: `batch beside` against `batch alone` is what that costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import jobs
from bench.fresh import in_fork
from bench.machine import machine, rss_mb
from bench.own import Own
from bench.report import table
from bench.stream import Stream, generate
from tocsin.correlate.meters import Counters
from tocsin.correlate.saving import Saver
from tocsin.correlate.snapshots import Snapshot

BATCH = 1000
LATENESS = 10_000_000  # µs a late event of the stream may be late
SPARE = 200  # batches kept for the time of the snapshots


class Feeding:
    """An engine and the batches that still come. After the last one the stream stands still: the same engine, fewer pages touched."""

    def __init__(self, rules: int, stream: Stream) -> None:
        self.own = Own(jobs.plan(jobs.operators(f"mixed-{rules}"), LATENESS))
        self.own.prepare(stream)
        self.stream, self.done = stream, 0

    def batch(self) -> float:
        """Pushes one; seconds it took."""
        began, stop = time.perf_counter(), min(self.done + BATCH, len(self.stream))
        if self.done < stop:
            self.own.push(self.stream, self.done, stop)
        self.done = stop
        return time.perf_counter() - began

    @property
    def left(self) -> bool:
        return self.done < len(self.stream)


async def _snapshots(feeding: Feeding, file: Path, times: int) -> tuple[list[float], list[float], Counters]:
    """Pauses, and batches beside a child that writes."""
    counters, pauses, beside = Counters(), [], []
    saver = Saver(file, "bench", 0.0, counters)

    async def settled() -> None:
        return None

    for number in range(1, times + 1):
        saver.start(lambda seq=number: Snapshot(seq, 0, {"engine": feeding.own.engine.snapshot()}), number, settled)
        pauses.append(counters.snapshot_pause)
        while counters.snapshots + counters.snapshot_failures < number:
            if feeding.left and len(beside) * times < SPARE * number:
                beside.append(feeding.batch())
            await asyncio.sleep(0.001)
    return pauses, beside, counters


def _measure(pipe: Any, rules: int, stream: Stream, times: int) -> None:
    feeding = Feeding(rules, stream)
    alone = [feeding.batch() for _ in range(len(stream) // BATCH - SPARE)][-SPARE:]
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        pauses, beside, counters = asyncio.run(_snapshots(feeding, Path(folder) / "engine", times))
    ms = lambda values, share: round(float(np.percentile(values, share)) * 1e3, 2) if values else None  # noqa: E731
    pipe.send(
        {
            "rules": rules, "events": len(stream), "snapshots": counters.snapshots, "failed": counters.snapshot_failures,
            "pause_p50_ms": ms(pauses, 50), "pause_max_ms": ms(pauses, 100),
            "batch_alone_p50_ms": ms(alone, 50), "batch_alone_max_ms": ms(alone, 100),
            "batch_beside_p50_ms": ms(beside, 50), "batch_beside_max_ms": ms(beside, 100),
            "snapshot_mb": round(counters.snapshot_bytes / 1e6, 1), "rss_mb": round(rss_mb()), "written_s": round(counters.snapshot_seconds, 2),
        }
    )  # fmt: skip


def measure(rules: int, stream: Stream, times: int) -> dict[str, Any]:
    """In a process of its own, so that it has the memory of one engine."""
    row: dict[str, Any] = in_fork(f"{rules} rules", _measure, rules, stream, times)
    return row


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.snapshots", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", default="1000,10000")
    parser.add_argument("--events", type=float, default=5e5)
    parser.add_argument("--times", type=int, default=10, help="snapshots")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args(argv)
    if a.events < 2 * SPARE * BATCH:
        parser.error(f"at least {2 * SPARE * BATCH:,} events, so that some are left for the time of the snapshots")
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load']}, Python {here['python']}, {here['date']}", flush=True)
    stream = generate(int(a.events), a.events / 1389)
    rows = [measure(int(count), stream, a.times) for count in a.rules.split(",")]
    print(table(tuple(rows[0]), [tuple(str(value) for value in row.values()) for row in rows]))
    if a.json:
        print(json.dumps({"machine": here, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
