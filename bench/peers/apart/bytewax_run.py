"""bytewax: every kind's own rules are one keyed operator, every rule about two kinds another; inside runs the plain Python grid.

    INTERPRETER -m bench.peers.apart.bytewax_run FOLDER

Exact, and parallel by key as bytewax means it. A pending absence is decided by the next event of its key, or at the end.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators import StatefulLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from bench.peers.apart.folder import ROWS, Folder
from bench.peers.plain import Plain

Event = tuple[int, int, int, int, float, float, float]


def keyed(rules: ROWS) -> tuple[dict[str, ROWS], dict[int, list[tuple[str, float]]]]:
    """The rules of every key, and for every kind the keys it goes to with the lowest value each looks at."""
    parts: dict[str, ROWS] = defaultdict(lambda: defaultdict(list))
    low: dict[int, dict[str, float]] = defaultdict(dict)

    def route(kind: int, key: str, value: float) -> None:
        low[kind][key] = min(low[kind].get(key, value), value)

    for row in rules["match"]:
        parts[f"kind {row[1]}"]["match"].append(row)
        route(row[1], f"kind {row[1]}", float("-inf"))
    for row in rules["cluster"]:
        parts[f"kind {row[1]}"]["cluster"].append(row)
        route(row[1], f"kind {row[1]}", row[2])
    for name in ("sequence", "absence"):
        for row in rules[name]:
            key = f"rule {row[0]}"
            parts[key][name].append(row)
            route(row[1], key, row[2])
            route(row[3], key, row[4])
    return dict(parts), {kind: list(keys.items()) for kind, keys in low.items()}


class Operator(StatefulLogic):
    """The state of one key, which it learns from its first event."""

    def __init__(self, parts: dict[str, ROWS]) -> None:
        self.parts = parts
        self.plain: Plain | None = None

    def _new(self) -> list[tuple[int, int]]:
        found = list(self.plain.answers)
        self.plain.answers.clear()
        return found

    def on_item(self, value: tuple[str, Event]) -> tuple[list[tuple[int, int]], bool]:
        if self.plain is None:
            self.plain = Plain(self.parts[value[0]])
        self.plain.event(*value[1])
        return self._new() if self.plain.answers else [], StatefulLogic.RETAIN

    def on_eof(self) -> tuple[list[tuple[int, int]], bool]:
        self.plain.finish()
        return self._new(), StatefulLogic.DISCARD

    def snapshot(self) -> None:
        """No recovery store is asked for, so nothing is ever restored."""


class Events(StatelessSourcePartition):
    def __init__(self, folder: Folder, asked: list[float]) -> None:
        self.stream, self.cuts, self.asked = folder.stream, iter(folder.cuts()), asked

    def next_batch(self) -> list[Event]:
        self.asked.append(time.perf_counter())
        start, stop = next(self.cuts, (0, 0))
        if start == stop:
            raise StopIteration
        s = self.stream
        columns = (s.time, s.kind, s.source, s.lon, s.lat, s.value)
        return list(zip(range(start, stop), *(column[start:stop].tolist() for column in columns), strict=True))


class Source(DynamicSource):
    def __init__(self, folder: Folder, asked: list[float]) -> None:
        self.folder, self.asked = folder, asked

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Events:
        return Events(self.folder, self.asked)


class Collect(StatelessSinkPartition):
    def __init__(self, found: list) -> None:
        self.found = found

    def write_batch(self, items: list) -> None:
        self.found.extend(pair for _, pair in items)


class Sink(DynamicSink):
    def __init__(self, found: list) -> None:
        self.found = found

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Collect:
        return Collect(self.found)


def main() -> None:
    folder = Folder(Path(sys.argv[1]))
    parts, keys = keyed(folder.rules)
    asked: list[float] = []
    found: list[tuple[int, int]] = []

    def route(event: Event) -> list[tuple[str, Event]]:
        value = event[6]
        return [(key, event) for key, low in keys.get(event[2], ()) if value >= low]

    flow = Dataflow("bench")
    events = op.flat_map("route", op.input("events", flow, Source(folder, asked)), route)
    answers = op.stateful("rules", op.key_on("key", events, lambda item: item[0]), lambda resume: Operator(parts))
    op.output("answers", answers, Sink(found))
    folder.ready()
    run_main(flow)
    folder.done()
    seconds = [after - before for before, after in itertools.pairwise(asked)]
    folder.answer(found, seconds, version="bytewax " + metadata.version("bytewax"))


if __name__ == "__main__":
    main()
