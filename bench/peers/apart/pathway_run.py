"""Pathway: interval joins on kind and cell for two grid levels, a stateful reducer for thresholds; a batch is a commit.

    INTERPRETER -m bench.peers.apart.pathway_run FOLDER

Licence of Pathway: BSL 1.1. It is installed for this comparison only.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pathway as pw

from bench.peers.apart.folder import Folder
from bench.stream import LAT0, LON0, METRES_PER_DEGREE

KX = METRES_PER_DEGREE * math.cos(math.radians(LAT0))
LEVELS = (500.0, 2000.0)
COLUMNS = ("rule", "ka", "la", "kb", "lb", "r", "w", "k")
this, left, right = pw.this, pw.left, pw.right


class Event(pw.Schema):
    seq: int
    t: int
    src: int
    kind: int
    lon: float
    lat: float
    v: float


class Rule(pw.Schema):
    rule: int
    ka: int
    la: float
    kb: int
    lb: float
    r: float
    w: int
    k: int


class Source(pw.io.python.ConnectorSubject):
    """Commits a batch when the one before has come out at the other end."""

    def __init__(self, folder: Folder, through: threading.Semaphore) -> None:
        super().__init__()
        self.folder, self.through = folder, through
        self.seconds: list[float] = []

    def run(self) -> None:
        s = self.folder.stream
        columns = (s.time, s.source, s.kind, s.lon, s.lat, s.value)
        for start, stop in self.folder.cuts():
            began = time.perf_counter()
            for seq, (t, src, kind, lon, lat, v) in enumerate(zip(*(c[start:stop].tolist() for c in columns), strict=True), start):
                self.next(seq=seq, t=t, src=src, kind=kind, lon=lon, lat=lat, v=v)
            self.commit()
            self.through.acquire(timeout=60)
            self.seconds.append(time.perf_counter() - began)


class Query:
    """The tables of one job: events in, (rule, seq) tables out."""

    def __init__(self, folder: Folder, events: pw.Table) -> None:
        self.rules = folder.rules
        low = tuple(folder.floor.tolist())
        seen = events.filter(pw.apply_with_type(lambda kind, v: v >= low[kind], bool, this.kind, this.v))
        self.seen = seen.with_columns(c=pw.apply_with_type(lambda lat: math.cos(math.radians(lat)), float, this.lat))
        self.events = events

    def answers(self) -> list[pw.Table]:
        tables = [self._match()] if self.rules["match"] else []
        for cell in LEVELS:
            events, around = self._cells(cell)
            for name, make in (("cluster", self._cluster), ("sequence", self._sequence), ("absence", self._absence)):
                rows = [row for row in self.rules[name] if row[-1] == cell]
                if rows:
                    tables.append(make(events, around, self._table(name, rows)))
        return tables

    def _table(self, name: str, rows: list[tuple]) -> pw.Table:
        """Rules as a table; a cluster is a pair of its kind with itself."""
        if name == "cluster":
            return pw.debug.table_from_rows(Rule, [(rule, kind, low, kind, low, r, t, k) for rule, kind, low, r, t, k, _ in rows])
        return pw.debug.table_from_rows(Rule, [(rule, ka, la, kb, lb, r, t, 0) for rule, ka, la, kb, lb, r, t, _ in rows])

    def _cells(self, cell: float) -> tuple[pw.Table, pw.Table]:
        """Events with their cell, and each nine times: with the cells around it."""
        reach = 1.01 * cell

        def at(lon: float, lat: float) -> int:
            return math.floor((lon - LON0) * KX / reach) * 100_000 + math.floor((lat - LAT0) * METRES_PER_DEGREE / reach)

        def nine(here: int) -> tuple[int, ...]:
            return tuple(here + i * 100_000 + j for i in (-1, 0, 1) for j in (-1, 0, 1))

        events = self.seen.with_columns(cell=pw.apply_with_type(at, int, this.lon, this.lat))
        around = events.with_columns(cell=pw.apply_with_type(nine, tuple[int, ...], this.cell)).flatten(this.cell)
        return events, around

    def _anchors(self, events: pw.Table, rules: pw.Table, end: str) -> pw.Table:
        """Events joined with the rules that they can complete ("b") or open ("a"); `other` is the kind to look for, `least` its value."""
        mine, other = ("kb", "ka") if end == "b" else ("ka", "kb")
        low, least = ("lb", "la") if end == "b" else ("la", "lb")
        joined = events.join(rules, left.kind == right[mine]).select(
            left.seq, left.t, left.v, left.lon, left.lat, left.c, left.cell, right.rule, right.r, right.w, right.k,
            other=right[other], low=right[low], least=right[least],
        )  # fmt: skip
        return joined.filter(this.v >= this.low)

    def _pairs(self, anchors: pw.Table, around: pw.Table, since: int, until: int) -> pw.Table:
        """Anchors with the events near them: `gap` is the other's time less the anchor's."""
        pairs = anchors.interval_join(
            around, left.t, right.t, pw.temporal.interval(since, until), left.other == right.kind, left.cell == right.cell
        ).select(
            left.rule, left.seq, left.r, left.w, left.k, left.least, seq2=right.seq, src2=right.src, v2=right.v, gap=right.t - left.t,
            dx=(right.lon - left.lon) * (right.c + left.c) * (0.5 * METRES_PER_DEGREE), dy=(right.lat - left.lat) * METRES_PER_DEGREE,
        )  # fmt: skip
        return pairs.filter((this.v2 >= this.least) & (this.dx * this.dx + this.dy * this.dy <= this.r * this.r))

    def _widest(self, name: str) -> int:
        return max(row[4] if name == "cluster" else row[6] for row in self.rules[name])

    def _cluster(self, events: pw.Table, around: pw.Table, rules: pw.Table) -> pw.Table:
        pairs = self._pairs(self._anchors(events, rules, "a"), around, -self._widest("cluster"), 0)
        pairs = pairs.filter((this.seq2 <= this.seq) & (this.gap >= -this.w))
        found = pairs.groupby(this.rule, this.seq).reduce(
            this.rule, this.seq, k=pw.reducers.any(this.k), n=pw.reducers.count_distinct(this.src2)
        )
        return found.filter(this.n >= this.k).select(this.rule, this.seq)

    def _sequence(self, events: pw.Table, around: pw.Table, rules: pw.Table) -> pw.Table:
        pairs = self._pairs(self._anchors(events, rules, "b"), around, -self._widest("sequence"), 0)
        pairs = pairs.filter((this.seq2 < this.seq) & (this.gap >= -this.w))
        return pairs.groupby(this.rule, this.seq).reduce(this.rule, this.seq)

    def _absence(self, events: pw.Table, around: pw.Table, rules: pw.Table) -> pw.Table:
        """Pending until the other comes: an absence stands at once and is taken back, so the answer is final only at the end."""
        anchors = self._anchors(events, rules, "a").with_id_from(this.rule, this.seq)
        pairs = self._pairs(anchors, around, 0, self._widest("absence"))
        pairs = pairs.filter((this.gap > 0) & (this.gap <= this.w))
        met = pairs.groupby(this.rule, this.seq).reduce(this.rule, this.seq).with_id_from(this.rule, this.seq)
        return anchors.difference(met).select(this.rule, this.seq)

    def _match(self) -> pw.Table:
        """Per rule and source a state (on, run, alerts so far), moved on by the rows of every commit in their order."""
        per_kind = defaultdict(list)
        for rule, kind, high, low, n in self.rules["match"]:
            per_kind[kind].append((rule, high, low, n))

        @pw.reducers.stateful_many
        def step(state: tuple | None, rows: list) -> tuple:
            on, run, found = (False, 0, ()) if state is None else state
            for (seq, v, high, low, n), _ in sorted(rows):
                run = run + 1 if (v <= low if on else v >= high) else 0
                if run >= n:
                    on, run = not on, 0
                    if on:
                        found = (*found, seq)
            return on, run, found

        rules = pw.debug.table_from_rows(pw.schema_from_types(rule=int, kind=int, high=float, low=float, n=int), list(self.rules["match"]))
        told = self.events.join(rules, left.kind == right.kind).select(
            left.seq, left.src, left.v, right.rule, right.high, right.low, right.n
        )
        states = told.groupby(this.rule, this.src).reduce(this.rule, state=step(this.seq, this.v, this.high, this.low, this.n))
        found = states.select(this.rule, seq=pw.apply_with_type(lambda state: state[2], tuple[int, ...], this.state))
        return found.flatten(this.seq)


def main() -> None:
    folder = Folder(Path(sys.argv[1]))
    through = threading.Semaphore(0)
    source = Source(folder, through)
    events = pw.io.python.read(source, schema=Event, autocommit_duration_ms=None)
    tables = Query(folder, events).answers()
    standing: dict[tuple[int, int], int] = defaultdict(int)

    def change(key: pw.Pointer, row: dict, time: int, is_addition: bool) -> None:
        standing[row["rule"], row["seq"]] += 1 if is_addition else -1

    # the count of events goes out with the answers, so that every commit ends with a change and its end is told
    count = events.reduce(seq=pw.reducers.count()).select(rule=-1, seq=this.seq)
    pw.io.subscribe(count.concat_reindex(*tables), on_change=change, on_time_end=lambda time: through.release())
    folder.ready()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    folder.done()
    folder.answer(
        (pair for pair, n in standing.items() if n > 0 and pair[0] >= 0), source.seconds, version="Pathway " + metadata.version("pathway")
    )


if __name__ == "__main__":
    main()
