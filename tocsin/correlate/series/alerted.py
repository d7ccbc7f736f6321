"""Alerts as facts: hands what was raised and retracted to the rules that look at other rules' alerts (SEMANTICS 21).

In the order of what caused them: what the clock brings by time, what events bring by their journal position; then by rule. What such
a rule raises itself is handed on at once, so an alert is a fact before the next cause is looked at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tocsin.correlate.columns import Columns
from tocsin.correlate.kernels import layout
from tocsin.correlate.parts.needs import apart
from tocsin.correlate.parts.rows import Part, Regroup
from tocsin.correlate.state import Memory
from tocsin.model.plan import Alerts, Plan

from .compound import AlertsRule
from .guards import Guarded
from .notes import Notes
from .outlet import Said
from .runner import Series, grouped
from .sample import NEVER, Sample


class AlertFacts:
    """`listening`: whether any rule looks at alerts."""

    def __init__(self, plan: Plan, series: Series, memory: Memory, said: Said, notes: Notes) -> None:
        self._memory = memory
        self._said = said
        self._notes = notes
        self._listeners: dict[int, list[tuple[AlertsRule, int]]] = {}
        places = {rule.name: index for index, rule in enumerate(plan.rules)}
        for index, rule in enumerate(plan.rules):
            if isinstance(rule.when, Alerts):
                member = series.member(index)
                member = member.member if isinstance(member, Guarded) else member
                assert isinstance(member, AlertsRule)
                for flag, name in enumerate(rule.when.rules):
                    if name in places:
                        self._listeners.setdefault(places[name], []).append((member, 1 << flag))
        self.listening = bool(self._listeners)
        self._seen = 0  # rows of the output handed on
        members = {index: series.member(grouped(index)) for index, rule in enumerate(plan.rules) if apart(rule)}
        self._regroup = Regroup(plan, members, memory, notes, self._place) if members else None  # type: ignore[arg-type]

    def begin(self) -> None:
        """An output begins."""
        self._seen = 0
        if self._regroup is not None:
            self._regroup.begin()

    def spread(self, columns: Columns | None) -> None:
        """What was said since the last call; `columns`: the batch that was pushed."""
        n = int(self._memory.meta[layout.ROWS])
        start = int(columns.seq[0]) if columns is not None and len(columns.seq) else NEVER
        self._settle(start, columns)
        if not self.listening or n <= self._seen:
            return
        self._hand_on(self._memory["out"][self._seen : n].copy(), self._seen, start, columns, None)
        self._seen = int(self._memory.meta[layout.ROWS])

    def finish(self) -> list[Part]:
        """The output was seen to its end: what it says besides. `begin` before the next."""
        if self._regroup is None:
            return []
        self._settle(NEVER, None)
        return self._regroup.finish(int(self._memory.meta[layout.WATERMARK]))

    def _settle(self, start: int, columns: Columns | None) -> None:
        if self._regroup is not None:
            self._regroup.settle(self._cause, start, columns)

    def _hand_on(self, rows: Any, first: int, start: int, columns: Columns | None, of: int | None) -> None:
        """Rows of the output from number `first` on. `of`: the cause they all have."""
        order = []
        told = (rows["what"] == layout.RAISE) | ((rows["what"] == layout.RETRACT) & (rows["count"] == 0))  # raised, fallen
        for i in np.flatnonzero(told & np.isin(rows["rule"], list(self._listeners))).tolist():
            cause = self._cause(rows[i], first + i, start) if of is None else of
            order.append((cause, int(rows["time"][i]) if of is None and cause < 0 else 0, int(rows["rule"][i]), i))
        for cause, _, rule, i in sorted(order):
            before = int(self._memory.meta[layout.ROWS])
            self._tell(rows[i], rule, cause, start, columns)
            after = int(self._memory.meta[layout.ROWS])
            if after > before:
                self._settle(start, columns)
                self._hand_on(self._memory["out"][before:after].copy(), before, start, columns, cause)

    def _cause(self, row: Any, number: int, start: int) -> int:
        """Journal position of the event that caused a row, -1 for the clock."""
        known = self._said.causes.get(number)
        cause = int(row["anchor"]) if known is None else known
        return cause if start <= cause < NEVER else -1

    def _tell(self, row: Any, rule: int, cause: int, start: int, columns: Columns | None) -> None:
        number, anchor = int(row["group"]), int(row["anchor"])
        for member, flag in self._listeners[rule]:
            if row["what"] == layout.RETRACT:
                member.fall(number, cause if cause >= 0 else NEVER)
                continue
            lon, lat = self._place(number, anchor, start, columns)
            linked = self._notes.of(anchor, member.fields)
            sample = Sample(int(row["time"]), 0, int(row["source"]), math.nan, lon, lat, flag, (anchor, number, *linked))
            member.alert(sample, anchor, cause if cause >= 0 else NEVER)

    def _place(self, number: int, anchor: int, start: int, columns: Columns | None) -> tuple[float, float]:
        """Where an alert's anchor is."""
        known = self._said.places.get(number)
        if known is not None:
            return known
        if columns is not None and anchor >= start:
            at = int(np.searchsorted(columns.seq, anchor))
            if at < len(columns.seq) and columns.seq[at] == anchor:
                return float(columns.lon[at]), float(columns.lat[at])
        for used, name in ((layout.PENDING_TOP, "pending"), (layout.RUNS_TOP, "runs")):
            table = self._memory.use(used, name)
            for at in np.flatnonzero(table["seq"] == anchor).tolist() if anchor >= 0 else []:
                if name == "pending" or table["placed"][at] == 1:
                    x, y, z = (float(table[axis][at]) for axis in "xyz")
                    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
        return math.nan, math.nan
