"""The facts of one stretch of time, gathered from the journal: everything that stands by now, and which of it came late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.codebook import CodeBook, selectors
from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Corrections, longest_window
from tocsin.correlate.engine import Engine
from tocsin.correlate.extras import Joined
from tocsin.correlate.horizon import Horizon, of_kinds, rows
from tocsin.correlate.parts.needs import lives
from tocsin.correlate.recent import Entry, Recent
from tocsin.kernel.fault import Skippable
from tocsin.model.plan import Plan, RulePlan
from tocsin.model.predicate import covers
from tocsin.model.reading import alerts_read, building_on, selectors_in
from tocsin.model.time import SECOND

from .backlog import LateEntry

#: Facts one evaluation may hold in memory (about 100 bytes each).
FACTS_MAX: Final = 3_000_000
_COLUMNS: Final = ("seq", "time", "kind", "source", "lon", "lat", "value", "bits")


@dataclass(frozen=True, slots=True)
class Facts:
    """Ordered by (time, seq). `late[i]`: fact i came too late for the live engine. `ended`: seq of a fact that was taken back, though it was in
    force until then -> when. `clocks`: journal entry with late facts -> the journal clock when it came."""

    columns: Columns
    late: NDArray[np.bool_]
    ended: Mapping[int, int]
    clocks: Mapping[int, int]


def touched(plan: Plan, kinds: Iterable[str]) -> Plan:
    """The rules that look at one of these kinds, those that build on their alerts, and what these build on; with time settings for facts
    that come in order."""
    names = set(kinds)
    looking = (rule.name for rule in plan.rules if any(covers(of.kind, name) for of in selectors(rule) for name in names))
    wanted = building_on(plan.rules, looking)
    return replace(plan, rules=tuple(rule for rule in plan.rules if rule.name in wanted), lateness=max(plan.delay, SECOND))


def reach(rules: Iterable[RulePlan], delay: int) -> int:
    """How far before and after a fact another one may lie that it makes a difference to, µs: by way of one rule, or of rules that look at
    others' alerts."""
    known = {rule.name: rule for rule in rules}
    reaches: dict[str, int] = {}

    def far(name: str) -> int:
        if name not in reaches:
            rule = known[name]
            reaches[name] = longest_window((rule,)) + lives(rule) + delay + max(map(far, set(alerts_read(rule)) & known.keys()), default=0)
        return reaches[name]

    return max(map(far, known), default=delay)


class Window:
    """Takes the entries of the journal in their order, from the first that can hold a fact of [start, stop] on. `late`: entries of which it
    is remembered when they came, by seq. `recent` keeps what alerts may show."""

    def __init__(
        self,
        plan: Plan,
        span: tuple[int, int],
        late: Mapping[int, LateEntry],
        horizon: Horizon,
        corrections: Corrections,
        skews: Mapping[str, int],
        recent: Recent,
    ) -> None:
        self.engine = Engine(plan)
        self.codebook = CodeBook(self.engine, plan, skews)
        self.corrections = corrections
        self.recent = recent
        self.size = 0
        self._start, self._stop = span
        self._late = late
        self._horizon = horizon
        self._clock = 0
        self._clocks: dict[int, int] = {}
        self._parts: list[tuple[Columns, NDArray[np.bool_]]] = []
        self._ended: dict[int, int] = {}
        self._matched = frozenset(of.kind for rule in plan.rules for of in selectors_in(rule.when))
        self._asked = frozenset(of.kind for rule in plan.rules for of in selectors(rule))
        self._standing: set[int] = set()

    def take(self, entry: Entry) -> None:
        """One more entry. Raises Skippable when there is more than can be held."""
        self._clock = max(self._clock, entry.ingest)
        batch = entry.batch
        if batch is None:
            return
        runs = self.corrections.runs(batch, self._clock, entry.seq)
        asked = of_kinds(batch, self._asked)
        if runs is None and not asked.any():
            return
        columns = self.codebook.columns(batch, entry.ingest, entry.seq)
        wanted = asked & (columns.time >= self._start) & (columns.time <= self._stop)
        if runs is not None:
            facts = np.zeros(len(columns.seq), np.bool_)
            for run in runs:
                facts[run.start : run.stop] = True
                self._ended.update(dict.fromkeys(run.withdrawn, int(columns.time[run.row])))
            wanted &= facts
        if not wanted.any():
            return
        known = self._late.get(entry.seq)
        clock = self._clock if known is None else known.clock
        late = self._horizon.late(batch, columns.time, clock)
        if late is not None:
            self._clocks[entry.seq] = clock
        part = rows(columns, wanted)
        self._parts.append((part, late[wanted] if late is not None else np.zeros(len(part.seq), np.bool_)))
        self._standing.update(part.seq[~of_kinds(batch, self._matched)[wanted]].tolist())
        self.recent.add(entry)
        self.size += len(part.seq)
        if self.size > FACTS_MAX:
            raise Skippable(f"more than {FACTS_MAX:,} facts lie within reach of what came late; the rules look too far")

    def facts(self) -> Facts:
        """What stands. Facts that were taken back are left out, but for those that only suppress alerts: they were in force for a while."""
        parts = self._parts or [(rows(self._nothing(), np.zeros(0, np.bool_)), np.zeros(0, np.bool_))]
        joined = _join([part for part, _ in parts])
        late = np.concatenate([mask for _, mask in parts])
        ended = {seq: until for seq, until in self._ended.items() if seq in self._standing}
        gone = np.isin(joined.seq, np.array([seq for seq in self._ended if seq not in ended], np.int64))
        order = np.lexsort((joined.seq, joined.time))
        order = order[~gone[order]]
        return Facts(rows(joined, order), late[order], ended, self._clocks)

    def _nothing(self) -> Columns:
        i8, f8 = np.empty(0, np.int64), np.empty(0)
        return Columns(i8, i8, i8.astype(np.int32), i8.astype(np.int32), f8, f8, f8, np.empty((0, self.engine.words), np.uint64))


def _join(parts: list[Columns]) -> Columns:
    ends = [np.full(len(part.seq), -1, np.int64) if part.valid_until is None else part.valid_until for part in parts]
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    extras = Joined([(part.extras, part.first, len(part.seq)) for part in parts])
    return Columns(**joined, valid_until=np.concatenate(ends), extras=extras)
