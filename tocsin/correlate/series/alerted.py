"""Alerts as facts: hands what was raised and retracted to the rules that look at other rules' alerts (SEMANTICS 21).

In the order of what caused them: what the clock brings by time, what events bring by their journal position; then by rule. What such
a rule raises itself is handed on at once, so an alert is a fact before the next cause is looked at. Rules that look at events and at alerts
get an event when all that earlier ones caused is known, and before what it causes itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tocsin.correlate.columns import Columns
from tocsin.correlate.kernels import layout
from tocsin.correlate.parts.needs import apart
from tocsin.correlate.parts.rows import Part, Regroup
from tocsin.correlate.state import Memory
from tocsin.model.plan import Alerts, Plan, RulePlan
from tocsin.model.reading import alerts_read

from .compound import AlertsRule
from .notes import Notes
from .outlet import Said
from .reader import AlertReader, innermost
from .runner import Series, grouped
from .sample import NEVER, Sample


class Turn(NamedTuple):
    """An alert whose events were withdrawn, or came back, so that it does not stand, or stands again. `number`: as the engine numbers it; `anchor`: seq,
    place in degrees."""

    rule: int
    number: int
    stands: bool
    anchor: int
    time: int
    source: int
    lon: float
    lat: float


class AlertFacts:
    """`listening`: whether any rule looks at alerts."""

    def __init__(self, plan: Plan, series: Series, memory: Memory, said: Said, notes: Notes) -> None:
        self._memory = memory
        self._said = said
        self._notes = notes
        self._readers = series.readers
        self._names = [rule.name for rule in plan.rules]
        self._listeners: dict[int, list[tuple[AlertsRule | AlertReader, int]]] = {}
        places = {name: index for index, name in enumerate(self._names)}
        for index, rule in enumerate(plan.rules):
            for name in set(alerts_read(rule)) & places.keys():
                self._listeners.setdefault(places[name], []).extend(_listeners(series, index, rule, name))
        self.listening = bool(self._listeners) or bool(self._readers)
        self._seen = 0  # rows of the output handed on
        members = {index: innermost(series.member(grouped(index))) for index, rule in enumerate(plan.rules) if apart(rule)}
        self._regroup = Regroup(plan, members, memory, notes, self._place) if members else None

    def begin(self) -> None:
        """An output begins."""
        self._seen = 0
        if self._regroup is not None:
            self._regroup.begin()

    def spread(self, columns: Columns | None) -> bool:
        """What was said since the last call; `columns`: the batch that was pushed. Whether anything was handed on."""
        n = int(self._memory.meta[layout.ROWS])
        start = int(columns.seq[0]) if columns is not None and len(columns.seq) else NEVER
        self._settle(start, columns)
        turns: dict[int, list[AlertReader]] = {}
        for reader in self._readers:
            for seq in reader.waiting:
                turns.setdefault(seq, []).append(reader)
        if not self.listening or (n <= self._seen and not turns):
            return False
        rows, first = self._memory["out"][self._seen : n].copy(), self._seen
        told: dict[int, list[tuple[Any, int]]] = {}
        for i in self._facts(rows):
            told.setdefault(self._cause(rows[i], first + i, start), []).append((rows[i], first + i))
        clock = int(self._memory.meta[layout.CLOCK])
        for cause in sorted({*told, *turns}):
            before = int(self._memory.meta[layout.ROWS])
            for reader in turns.get(cause, ()):
                reader.play(cause, clock)
            self._settle(start, columns)
            self._hand_on([*told.get(cause, ()), *self._new(before)], cause, start, columns)
        self._seen = int(self._memory.meta[layout.ROWS])
        return True

    def turn(self, turns: Sequence[Turn]) -> None:
        """Alerts of the kernels fell, or stand again, by what was withdrawn: who looks at them hears of it, one after the other."""
        clock = int(self._memory.meta[layout.CLOCK])
        for one in turns:
            before = int(self._memory.meta[layout.ROWS])
            for member, flag in self._listeners.get(one.rule, ()):
                if one.stands:
                    place = one.lon, one.lat
                    self._raised(member, flag, one.rule, one.number, one.anchor, one.time, one.source, place, NEVER)
                else:
                    member.fall(one.number, NEVER, clock)
            self._settle(NEVER, None)
            self._hand_on(self._new(before), -1, NEVER, None)
        self._seen = int(self._memory.meta[layout.ROWS])

    def next(self) -> int:
        """The next deadline at which an alert closes by itself."""
        return self._regroup.next() if self._regroup is not None else NEVER

    def finish(self) -> list[Part]:
        """The output was seen to its end: what it says besides. `begin` before the next."""
        if self._regroup is None:
            return []
        self._settle(NEVER, None)
        return self._regroup.finish(int(self._memory.meta[layout.WATERMARK]))

    def _settle(self, start: int, columns: Columns | None) -> None:
        """Rows said since the last call speak of alerts from now on (`parts/rows.py`)."""
        if self._regroup is not None:
            self._regroup.settle(self._cause, start, columns)

    def _facts(self, rows: Any) -> list[int]:
        """Rows that raise an alert or let one fall, of rules that others look at."""
        told = (rows["what"] == layout.RAISE) | ((rows["what"] == layout.RETRACT) & (rows["count"] == 0))
        return list(np.flatnonzero(told & np.isin(rows["rule"], list(self._listeners))).tolist())

    def _new(self, before: int) -> list[tuple[Any, int]]:
        """Such rows of the output from number `before` on."""
        rows = self._memory["out"][before : int(self._memory.meta[layout.ROWS])].copy()
        return [(rows[i], before + i) for i in self._facts(rows)]

    def _hand_on(self, rows: list[tuple[Any, int]], cause: int, start: int, columns: Columns | None) -> None:
        """Rows of one cause, with their numbers: by time if it was the clock, then by rule."""
        for row, _ in sorted(rows, key=lambda pair: (int(pair[0]["time"]) if cause < 0 else 0, int(pair[0]["rule"]), pair[1])):
            before = int(self._memory.meta[layout.ROWS])
            self._tell(row, cause, start, columns)
            self._settle(start, columns)
            self._hand_on(self._new(before), cause, start, columns)

    def _cause(self, row: Any, number: int, start: int) -> int:
        """Journal position of the event that caused a row, -1 for the clock."""
        known = self._said.causes.get(number)
        cause = int(row["anchor"]) if known is None else known
        return cause if start <= cause < NEVER else -1

    def _tell(self, row: Any, cause: int, start: int, columns: Columns | None) -> None:
        number, anchor, rule = int(row["group"]), int(row["anchor"]), int(row["rule"])
        clock, since = int(self._memory.meta[layout.CLOCK]), cause if cause >= 0 else NEVER
        for member, flag in self._listeners[rule]:
            if row["what"] == layout.RETRACT:
                member.fall(number, since, clock)
                continue
            place = self._place(number, anchor, start, columns)
            self._raised(member, flag, rule, number, anchor, int(row["time"]), int(row["source"]), place, since)

    def _raised(
        self,
        member: AlertsRule | AlertReader,
        flag: int,
        rule: int,
        number: int,
        anchor: int,
        time: int,
        source: int,
        place: tuple[float, float],
        since: int,
    ) -> None:
        linked = self._notes.of(anchor, member.linked)
        sample = Sample(time, 0, source, math.nan, *place, flag, (anchor, number, *linked))
        if isinstance(member, AlertReader):
            member.alert(self._names[rule], sample, since, int(self._memory.meta[layout.CLOCK]))
        else:
            member.alert(sample, anchor, since)

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


def _listeners(series: Series, index: int, rule: RulePlan, name: str) -> list[tuple[AlertsRule | AlertReader, int]]:
    """Who of a rule looks at the alerts of another one, with their flag: what finds its matches, and what closes its alerts."""
    found: list[tuple[AlertsRule | AlertReader, int]] = []
    member = series.member(index)
    if isinstance(member, AlertReader):
        found.append((member, 0))
    elif isinstance(member, AlertsRule) and isinstance(rule.when, Alerts) and name in rule.when.rules:
        found.append((member, 1 << rule.when.rules.index(name)))
    groups = series.member(grouped(index)) if apart(rule) else None
    return [*found, (groups, 0)] if isinstance(groups, AlertReader) else found
