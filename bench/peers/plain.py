"""Plain Python: a dictionary of deques as a grid, event by event. Also the operator inside bytewax, so it needs nothing but the standard library."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator

from bench.peers import Answer
from bench.stream import LAT0, LON0, METRES_PER_DEGREE, Stream

KX = METRES_PER_DEGREE * math.cos(math.radians(LAT0))
Entry = tuple[int, float, float, float, int, float]  # time, lon, lat, cosine, source, value


class Plain:
    """Rules as rows (`bench.peers.tables.rule_rows`), all of a job's or some of them."""

    name = "python"

    def __init__(self, rows: dict[str, list[tuple]]) -> None:
        self.answers: Answer = set()
        self.runs: dict[tuple[int, int], tuple[bool, int]] = {}
        self.grids: dict[float, dict[tuple[int, int, int], deque[Entry]]] = {}
        self.match: dict[int, list] = defaultdict(list)
        self.cluster: dict[int, list] = defaultdict(list)
        self.later: dict[int, list] = defaultdict(list)
        self.start: dict[int, list] = defaultdict(list)
        self.store: dict[int, dict[float, float]] = defaultdict(dict)
        self.pending: dict[int, deque] = defaultdict(deque)
        self.span = 0
        for number, kind, on_at, off_at, samples in rows.get("match", ()):
            self.match[kind].append((number, on_at, off_at, samples))
        for number, kind, low, within, during, wanted, cell in rows.get("cluster", ()):
            self.cluster[kind].append((number, low, within, during, wanted))
            self._keep(kind, low, cell, during)
        for number, ka, la, kb, lb, within, gap, cell in rows.get("sequence", ()):
            self.later[kb].append((number, lb, ka, la, within, gap))
            self._keep(ka, la, cell, gap)
        for number, ka, la, kb, lb, within, during, cell in rows.get("absence", ()):
            self.start[ka].append((number, la, kb, lb, within, during))
            self._keep(kb, lb, cell, during)

    def _keep(self, kind: int, low: float, cell: float, span: int) -> None:
        self.grids.setdefault(cell, defaultdict(deque))
        self.store[kind][cell] = min(self.store[kind].get(cell, math.inf), low)
        self.span = max(self.span, span)

    def _near(self, kind: int, low: float, at: Entry, within: float, since: int, until: int) -> Iterator[Entry]:
        cell = 500.0 if within <= 500 else 2000.0
        grid, reach = self.grids[cell], 1.01 * cell
        cx, cy = int((at[1] - LON0) * KX // reach), int((at[2] - LAT0) * METRES_PER_DEGREE // reach)
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                chain = grid.get((kind, cx + i, cy + j))
                if not chain:
                    continue
                while chain and chain[0][0] < until - 2 * self.span:
                    chain.popleft()
                for entry in chain:
                    if since <= entry[0] <= until and entry[5] >= low:
                        dx = (entry[1] - at[1]) * (entry[3] + at[3]) * 0.5 * METRES_PER_DEGREE
                        dy = (entry[2] - at[2]) * METRES_PER_DEGREE
                        if dx * dx + dy * dy <= within * within:
                            yield entry

    def push(self, stream: Stream, start: int, stop: int) -> None:
        part = slice(start, stop)
        columns = (stream.time, stream.kind, stream.source, stream.lon, stream.lat, stream.value)
        for position, event in enumerate(zip(*(c[part].tolist() for c in columns), strict=True), start):
            self.event(position, *event)

    def event(self, position: int, time: int, kind: int, source: int, lon: float, lat: float, value: float) -> None:
        """One event; what it completes is added to `answers`."""
        self._due(time)
        if kind in self.match:
            self._matches(position, kind, source, value)
        self._spatial(position, kind, (time, lon, lat, math.cos(math.radians(lat)), source, value))

    def _matches(self, position: int, kind: int, source: int, value: float) -> None:
        for number, on_at, off_at, samples in self.match[kind]:
            on, run = self.runs.get((number, source), (False, 0))
            run = run + 1 if (value <= off_at if on else value >= on_at) else 0
            if run >= samples:
                on, run = not on, 0
                if on:
                    self.answers.add((number, position))
            if on or run or (number, source) in self.runs:
                self.runs[number, source] = (on, run)

    def _spatial(self, position: int, kind: int, entry: Entry) -> None:
        time, value = entry[0], entry[5]
        for number, low, within, during, wanted in self.cluster.get(kind, ()):
            if value >= low:
                seen = {entry[4]}
                for other in self._near(kind, low, entry, within, time - during, time):
                    seen.add(other[4])
                    if len(seen) >= wanted:
                        self.answers.add((number, position))
                        break
        for number, low, first, first_low, within, during in self.later.get(kind, ()):
            if value >= low and any(True for _ in self._near(first, first_low, entry, within, time - during, time)):
                self.answers.add((number, position))
        for number, low, *rest in self.start.get(kind, ()):
            if value >= low:
                self.pending[rest[-1]].append((time + rest[-1], number, position, entry, rest))
        for cell, low in self.store.get(kind, {}).items():
            if value >= low:
                reach = 1.01 * cell
                key = (kind, int((entry[1] - LON0) * KX // reach), int((entry[2] - LAT0) * METRES_PER_DEGREE // reach))
                self.grids[cell][key].append(entry)

    def _due(self, now: int) -> None:
        for queue in self.pending.values():
            while queue and queue[0][0] < now:
                deadline, number, position, entry, (kind, low, within, _) = queue.popleft()
                if not any(True for _ in self._near(kind, low, entry, within, entry[0] + 1, deadline)):
                    self.answers.add((number, position))

    def finish(self) -> None:
        self._due(1 << 62)
