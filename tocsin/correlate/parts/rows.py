"""The engine's output on its way out: rows of rules that are joined apart are made to speak of alerts instead of single matches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tocsin.correlate.columns import Columns
from tocsin.correlate.firing import What
from tocsin.correlate.kernels import layout
from tocsin.correlate.series.notes import Notes
from tocsin.correlate.series.sample import NEVER, Sample
from tocsin.correlate.state import Memory
from tocsin.model.plan import Plan

from . import needs
from .grouping import Grouped, Said

#: (alert's number, anchor, first position of the batch or NEVER, the batch) -> degrees, NaN without a place.
Place = Callable[[int, int, int, Columns | None], tuple[float, float]]
Part = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


class Regroup:
    """`members`: by the index of their rule. `orphans`: rows about matches that were forgotten. Its cursor goes through one output."""

    def __init__(self, plan: Plan, members: Mapping[int, Grouped], memory: Memory, notes: Notes, place: Place) -> None:
        self.orphans = 0
        self._members = members
        self._rules = np.array(sorted(members), np.int64)
        self._fields = {rule: needs.fields(plan.rules[rule]) for rule in members}
        self._noted = {rule: needs.noted(plan.rules[rule]) for rule in members}
        self._memory = memory
        self._notes = notes
        self._place = place
        self._seen = 0

    def begin(self) -> None:
        """An output begins: what came before has been taken."""
        for member in self._members.values():
            member.catch_up(int(NEVER), -1)
        self._seen = 0

    def settle(self, cause: Callable[[Any, int, int], int], start: int, columns: Columns | None) -> None:
        """Rows that were said since the last call. `cause`: (row, its number, `start`) -> journal position of what caused it, -1 for the clock;
        `start`: first position of the batch."""
        n = int(self._memory.meta[layout.ROWS])
        out = self._memory["out"]
        for i in (np.flatnonzero(np.isin(out["rule"][self._seen : n], self._rules)) + self._seen).tolist():
            row, rule = out[i], int(out[i]["rule"])
            member = self._members[rule]
            member.catch_up(i, max(cause(row, i, start), -1))
            said = member.row(row, int(row["group"]), self._anchor(row, rule, start, columns))
            if said is None:
                self.orphans += 1
            else:
                row["what"], row["group"], row["count"] = said
        self._seen = n

    def next(self) -> int:
        """When the next alert may close by itself, event time; `NEVER` for none."""
        return min(member.closes() for member in self._members.values())

    def finish(self, watermark: int) -> list[Part]:
        """What closed by itself or is open again, as rows; the output was seen to its end."""
        said: list[tuple[int, Said]] = []
        for rule, member in self._members.items():
            said += [(rule, one) for one in member.finish(watermark)]
        self._seen = 0
        if not said:
            return []
        rows = np.zeros(len(said), layout.OUT)
        for row, (rule, one) in zip(rows, said, strict=True):
            what = What.CLOSE if one.closing.time != NEVER else What.REOPEN
            row["rule"], row["what"], row["group"], row["source"] = rule, what, one.number, one.source
            row["time"], row["count"], row["anchor"] = one.closing
        return [(rows, np.empty(0, layout.TOLD))]

    def _anchor(self, row: Any, rule: int, start: int, columns: Columns | None) -> Sample:
        """Anchor of a row that raises, with its place and fields."""
        seq, time, source = int(row["anchor"]), int(row["time"]), int(row["source"])
        if row["what"] != layout.RAISE:
            return Sample(time, seq, source, math.nan, math.nan, math.nan, 0)
        lon, lat = self._notes.place(seq) if self._noted[rule] else (math.nan, math.nan)
        if math.isnan(lon):
            lon, lat = self._place(int(row["group"]), seq, start, columns)
        return Sample(time, seq, source, math.nan, lon, lat, 0, self._notes.of(seq, self._fields[rule]))
