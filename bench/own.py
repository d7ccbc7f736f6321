"""Our engine behind the same interface as the peers."""

from __future__ import annotations

import numpy as np

from bench.peers import Answer
from bench.stream import KINDS, Stream
from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine
from tocsin.correlate.firing import Firings, What
from tocsin.model.plan import Plan

FAR = 10**15


class Own:
    name = "tocsin"

    def __init__(self, plan: Plan) -> None:
        self.engine = Engine(plan)
        self.codes = np.array([self.engine.kind_code(f"kind.{kind}", None) for kind in range(KINDS)], np.int32)
        self.sources = np.array([self.engine.source_code("bench", str(i)) for i in range(20_000)], np.int32)
        self.limits = [(i // 64, np.uint64(1 << (i % 64)), expr.constant) for i, expr in enumerate(self.engine.predicates)]
        self.last = 0
        self.stream: Stream | None = None
        self.said: list[Firings] = []

    def prepare(self, stream: Stream) -> None:
        """Codes instead of names, as the code book gives them; the peers get numbers for names too."""
        self.stream = stream
        self.kind = self.codes[stream.kind]
        self.source = self.sources[stream.source]
        self.seq = np.arange(len(stream), dtype=np.int64)
        self.bits = np.zeros((len(stream), self.engine.words), np.uint64)

    def push(self, stream: Stream, start: int, stop: int) -> None:
        if stream is not self.stream:
            self.prepare(stream)
        part = slice(start, stop)
        value, bits = stream.value[part], self.bits[part]
        for word, bit, limit in self.limits:
            bits[:, word] |= (value <= limit) * bit
        columns = Columns(
            self.seq[part], stream.time[part], self.kind[part], self.source[part], stream.lon[part], stream.lat[part], value, bits
        )
        self.last = int(stream.arrival[stop - 1])
        firings = self.engine.push(columns, self.last)
        if len(firings):
            self.said.append(firings)

    def finish(self) -> None:
        self.said.append(self.engine.tick(self.last + FAR))

    def keys(self) -> np.ndarray:
        """Sorted rule << 40 | position of every answer that still stands."""
        rows = np.concatenate([firings.rows for firings in self.said])
        raised = rows[rows["what"] == What.RAISE]
        stands = ~np.isin(raised["group"], rows["group"][(rows["what"] == What.RETRACT) & (rows["count"] == 0)])
        return np.unique((raised["rule"].astype(np.int64) << 40 | raised["anchor"])[stands])

    @property
    def answers(self) -> Answer:
        return {(int(key) >> 40, int(key) & (1 << 40) - 1) for key in self.keys()}
