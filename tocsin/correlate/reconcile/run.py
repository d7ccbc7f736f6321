"""One reconciliation: which late facts belong together, what is read of the journal for them, and what comes of it.

It shares a process with the correlator: nothing here works for long without giving way, and what has to is done in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tocsin.correlate.codebook import selectors
from tocsin.correlate.corrections import Corrections
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.recent import Entry, Fetch, Recent
from tocsin.correlate.sphere import distance
from tocsin.kernel.fault import Skippable
from tocsin.model.ids import split_seq
from tocsin.model.plan import Plan
from tocsin.model.predicate import covers

from .backlog import Backlog, LateEntry
from .difference import Blame, Outcome, changes
from .evaluate import Evaluation, Pace
from .learnt import Learnt
from .window import Facts, Window, reach, touched

log = logging.getLogger(__name__)

_KEPT: Final = 32 << 20  # bytes of journal entries kept at hand for what alerts rest on


class Start(NamedTuple):
    """The first entry known at a moment or later. `complete`: nothing that was known before it has been removed from the journal."""

    seq: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How the journal is read: `start(µs)`: where to begin; `entries(first, last)`: in order; `fetch`: one again."""

    start: Callable[[int], Awaitable[Start]]
    entries: Callable[[int, int], AsyncIterator[Entry]]
    fetch: Fetch


class Reconciler:
    """Judges late facts. Holds no state of its own: what is due follows from the backlog, what comes of it from the journal."""

    def __init__(self, plan: Plan, horizon: Horizon, corrects: frozenset[str] | None, skews: Mapping[str, int], reading: Reading) -> None:
        self._plan = plan
        self._horizon = horizon
        self._corrects = corrects
        self._skews = dict(skews)
        self._reading = reading
        self._margins: dict[tuple[str, ...], int] = {}

    def due(self, backlog: Backlog, clock: int) -> list[list[LateEntry]]:
        """What is to be judged now, together where the stretches of time overlap. Entries that are settled by the same look are first."""
        groups: list[list[LateEntry]] = []
        stop = 0
        for entry in sorted(backlog.due(clock, lambda entry: self._reach(entry) + self._horizon.longest), key=lambda e: (e.oldest, e.seq)):
            margin = self._reach(entry)
            if not groups or entry.oldest - margin > stop:
                groups.append([])
            groups[-1].append(entry)
            stop = max(stop, entry.newest + margin)
        return groups

    async def judge(self, group: Sequence[LateEntry], seq: int, clock: int, pace: Pace) -> Learnt:
        """What the late facts of a group change, known what the journal holds up to entry `seq`, at which the clock was `clock`."""
        rules = touched(self._plan, {kind for entry in group for kind in entry.kinds})
        margin = max(self._reach(entry) for entry in group)
        span = min(e.oldest for e in group) - margin, min(max(e.newest for e in group) + margin, clock)
        closed = max(e.newest for e in group) + margin + self._horizon.longest <= clock
        learnt = Learnt(tuple(e.seq for e in group), closed, *span, 0)
        start = await self._reading.start(span[0] - max([self._plan.skew, *self._skews.values()]))
        if not start.complete:
            return self._failed(learnt, "the journal no longer holds the entries of that time")
        late, recent = {e.seq: e for e in group}, Recent(self._reading.fetch, _KEPT)
        chains = Corrections(self._plan, self._corrects, lateness=self._horizon.of)
        window = await asyncio.to_thread(Window, rules, span, late, self._horizon, chains, self._skews, recent)
        try:
            async with aclosing(self._reading.entries(start.seq, seq)) as entries:  # type: ignore[type-var]
                async for entry in entries:
                    window.take(entry)
                    await pace()
        except Skippable as error:
            return self._failed(learnt, str(error))
        facts = await asyncio.to_thread(window.facts)
        codes = window.engine.snapshot()
        without, with_late = [
            await (await asyncio.to_thread(Evaluation, rules, window, codes)).run(facts, chosen, span, pace)
            for chosen in (~facts.late, np.ones(len(facts.late), np.bool_))
        ]
        found = changes(without, with_late, _blame(rules, window, facts, group))
        return Learnt(learnt.entries, closed, *span, len(facts.late), tuple(found))

    def _reach(self, entry: LateEntry) -> int:
        margin = self._margins.get(entry.kinds)
        if margin is None:
            margin = self._margins[entry.kinds] = reach(touched(self._plan, entry.kinds).rules, self._plan.delay)
        return margin

    def _failed(self, learnt: Learnt, problem: str) -> Learnt:
        log.warning("facts of %d journal entries came too late and cannot be reconciled: %s", len(learnt.entries), problem)
        return Learnt(learnt.entries, True, learnt.start, learnt.stop, 0, problem=problem)


def _blame(plan: Plan, window: Window, facts: Facts, group: Sequence[LateEntry]) -> Blame:
    """Late facts by the rules that look at their kind, and how far they are from an alert."""
    columns, clocks = facts.columns, {entry.seq: entry.clock for entry in group}
    names = {code: kind for (kind, _), code in window.engine.kinds.items()}
    rows = {int(columns.seq[i]): int(i) for i in np.flatnonzero(facts.late)}
    order = np.argsort(columns.seq)
    of_rule = {
        rule.name: [seq for seq, row in rows.items() if any(covers(of.kind, names[int(columns.kind[row])]) for of in selectors(rule))]
        for rule in plan.rules
    }

    def apart(alert: Outcome, seq: int) -> tuple[float, int]:
        row = rows[seq]
        gap = abs(int(columns.time[row]) - alert.opened)
        at = int(np.searchsorted(columns.seq, alert.anchor, sorter=order))
        if at == len(order) or columns.seq[order[at]] != alert.anchor:
            return math.inf, gap
        anchor = order[at]
        metres = distance(*(float(column[i]) for i in (anchor, row) for column in (columns.lon, columns.lat)))
        return (math.inf if math.isnan(metres) else metres), gap

    return Blame(of_rule, {seq: clocks[split_seq(seq)[0]] - int(columns.time[row]) for seq, row in rows.items()}, apart)
