"""What reading and writing the unavoidable costs: the floor under the rates of `bench.hot` on the machine it runs on.

    python -m bench.limit [--events N]

A kernel that decides nothing does, for every event of the stream of the cluster job, only what any engine of this kind must: it reads the
kind and the value of every event, and of each that passes its other columns, the heads of the cells around it, the entries it
finds there and the newest of its source, and writes its own entry. Nothing waits for anything else, so this is the machine's best.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench.machine import machine
from bench.stream import KINDS, Stream, generate

BATCH = 1000
LINE = 8  # numbers of a cache line
#: Lines that an event which passes touches, as `Engine.counters` and the tables have it: heads of a 3 x 3 neighbourhood of cells, four to a
#: line; entries visited; the newest entry of the source, by its key; and what is written: the entry itself in two tables.
HEADS, VISITED, NEWEST, WRITTEN = 6, 4, 2, 2
TABLE = 8 << 20  # bytes of the heads
WINDOW = 1 << 20  # bytes of the entries that a window reaches


@njit
def passing(kind: Any, value: Any, low: Any, start: int, stop: int, rows: Any) -> int:
    """Writes which rows pass to `rows`, and returns how many."""
    n = 0
    for row in range(start, stop):
        rows[n] = row
        n += value[row] >= low[kind[row]]
    return n


@njit
def touch(columns: Any, rows: Any, n: int, heads: Any, entries: Any, where: Any, at: int) -> float:
    """Reads and writes for n rows what every engine must; `where`: lines drawn beforehand, `at`: the entry to be written."""
    found = 0.0
    for i in range(n):
        row = rows[i]
        for column in columns:
            found += column[row]
        first = row % (len(where) - 16)
        for j in range(HEADS + NEWEST):
            found += heads[where[first + j] & len(heads) - LINE]
        for j in range(VISITED):
            found += entries[where[first + 8 + j] & len(entries) - LINE]
        for j in range(WRITTEN):
            entries[(at + WRITTEN * i + j) * LINE & len(entries) - LINE] = found
    return found


def measure(stream: Stream) -> tuple[float, float, float]:
    """(ns an event for the filter, ns an event for all, share that passes): medians over the batches."""
    columns = tuple(np.asarray(c, np.float64) for c in (stream.time, stream.arrival, stream.source, stream.lon, stream.lat))
    low, rows = np.full(KINDS, 3.0), np.empty(BATCH + 1, np.int64)
    heads, entries = np.zeros(TABLE // 8), np.zeros(WINDOW // 8)
    where: NDArray[np.int64] = np.random.default_rng(1).integers(0, 1 << 40, 1 << 20) * LINE
    filtered, whole, at, total = [], [], 0, 0
    for start in range(0, len(stream) - BATCH, BATCH):
        began = time.perf_counter_ns()
        n = passing(stream.kind, stream.value, low, start, start + BATCH, rows)
        between = time.perf_counter_ns()
        touch(columns, rows, n, heads, entries, where, at)
        ended = time.perf_counter_ns()
        at, total = at + n, total + n
        filtered.append(between - began)
        whole.append(ended - began)
    return float(np.median(filtered)) / BATCH, float(np.median(whole)) / BATCH, total / len(stream)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.limit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=float, default=1e6, help="events of the stream (default 1e6)")
    events = int(parser.parse_args().events)
    stream = generate(events, events / 1389)
    measure(stream.head(10 * BATCH))  # compiled
    here, (filtered, whole, share) = machine(), measure(stream)
    print(f"{here['cpu']}, load {here['load']}, {events:,} events, {share:.1%} pass, batches of {BATCH:,}")
    print(f"filter {filtered:.1f} ns an event; with all that those which pass touch {whole:.1f} ns: {1e3 / whole:.0f} M events/s at most")


if __name__ == "__main__":
    main()
