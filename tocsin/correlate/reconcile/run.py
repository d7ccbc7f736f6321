"""One reconciliation: which late facts belong together, what is read of the journal for them, and what comes of it.

It shares a process with the correlator: nothing here works for long without giving way, and what has to is done in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from tocsin.correlate.corrections import Corrections
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.recent import Entry, Fetch, Recent
from tocsin.correlate.sphere import distance
from tocsin.kernel.fault import Skippable
from tocsin.model.ids import split_seq
from tocsin.model.plan import Plan
from tocsin.model.time import DAY, HOUR, MINUTE

from .backlog import Backlog, LateEntry
from .difference import Blame, Comparison, Outcome
from .evaluate import OPEN, Evaluation, Pace
from .guarding import area_kinds, guard_kinds, remembering, sampled_kinds
from .learnt import Learnt
from .looking import Looking
from .standing import Standing
from .window import Facts, Window

log = logging.getLogger(__name__)

#: How long before the stretch samples in a row are read: whether a state was on.
_WARM: Final = HOUR
#: While states that samples change differ by what is known now, the stretch is judged again, twice as long, but not longer than this.
_LASTS: Final = 6 * HOUR
#: And where such a state keeps an alert open that is closed when it ends (`resolve.below_for`).
_STAYS: Final = DAY
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
        self._looking = Looking(plan)
        self._margins: dict[tuple[str, ...], int] = {}
        self._standing = Standing()  # of the correlator

    def prepare(self) -> None:
        """What otherwise the first call of `due` does, and takes a moment for."""
        self._looking.prepare()

    def due(self, backlog: Backlog, clock: int) -> list[list[LateEntry]]:
        """What is to be judged now, together where the stretches of time overlap. Entries that are settled by the same look are first."""
        self._standing = backlog.standing
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
        """What the late facts of a group change, known what the journal holds up to entry `seq`, at which the clock was `clock`.

        Judged is the stretch within reach of these facts: what they do lies inside. Facts as far again around it are read, so that all that
        a match within it may depend on is there (as far as the journal still holds it). Everything there that came late, of this group or not, is left out of the one evaluation and is in
        the other. So what is found about a moment depends on what is known, not on which late facts are looked at together, and replaces
        what was found about it before (`learnt.py`)."""
        group = [replace(entry) for entry in group]  # as it is now: the correlator goes on meanwhile
        rules, learnt, span = await asyncio.to_thread(self._stretch, group, clock)
        ahead = max([self._plan.skew, *self._skews.values()])
        begin = await self._reading.start(span[0] - ahead)
        if not begin.complete and not (await self._reading.start(learnt.start - ahead)).complete:
            return self._failed(learnt, "the journal no longer holds the entries of that time")
        late, recent = {e.seq: e for e in group}, Recent(self._reading.fetch, _KEPT)
        chains = Corrections(self._plan, self._corrects, lateness=self._horizon.of)
        older = self._older(rules, span[0] - ahead, span[0])
        window = await asyncio.to_thread(Window, rules, span, late, self._horizon, chains, self._skews, recent, older)
        try:
            for number in sorted({split_seq(fact)[0] for fact in older}):
                if number < begin.seq:
                    window.take(await self._reading.fetch(number))
                    await pace()
            async with aclosing(self._reading.entries(begin.seq, seq)) as entries:  # type: ignore[type-var]
                async for entry in entries:
                    window.take(entry)
                    await pace()
        except Skippable as error:
            return self._failed(learnt, str(error))
        found = await self._compare(rules, window, learnt, span, pace)
        await asyncio.to_thread(window.close)
        return found

    def _stretch(self, group: Sequence[LateEntry], clock: int) -> tuple[Plan, Learnt, tuple[int, int]]:
        """The rules that look at these facts, the stretch of time that is judged, with nothing found in it yet, and the one that is read."""
        kinds = tuple(sorted({kind for entry in group for kind in entry.kinds}))
        undone = self._corrects is None or bool(self._corrects)
        rules, margin = self._looking.rules(kinds, undone), max(self._reach(entry) for entry in group)
        remembers = undone and any(map(remembering, rules.rules))
        if guard_kinds(rules) or sampled_kinds(rules) or area_kinds(rules) or remembers:
            rules = replace(rules, lateness=max(rules.lateness, self._horizon.longest))  # so late guards may have learnt something live
        start, stop = min(e.oldest for e in group) - margin, min(max(e.newest for e in group) + margin, clock)
        start, stop = start // MINUTE * MINUTE, (stop // MINUTE + 1) * MINUTE
        awaits = any(rule.alert.resolve is not None and rule.alert.resolve.until is not None for rule in rules.rules)
        warm = max(_WARM, self._horizon.longest) if sampled_kinds(rules) else 0  # a state begins long before what it decides
        after = margin + (self._horizon.longest if remembers else 0)  # until nothing that was taken back is judged again live
        span = start - margin - warm, clock if awaits else min(stop + after, clock)  # what closes an alert may come any time
        closed = max(e.newest for e in group) + margin + self._horizon.longest <= clock
        return rules, Learnt(tuple(e.seq for e in group), closed, kinds, start, stop, 0), span

    def _older(self, rules: Plan, since: int, at: int) -> list[int]:
        """What began before the stretch that is read, and was in force in it. `rules`: with kinds of their own."""
        return self._standing.over(since, at, {kind.partition(".")[2] for kind in guard_kinds(rules) | area_kinds(rules)})

    async def _compare(self, rules: Plan, window: Window, learnt: Learnt, span: tuple[int, int], pace: Pace) -> Learnt:
        """The two evaluations."""
        facts = await asyncio.to_thread(window.facts)
        sides = await asyncio.to_thread(_sides, rules, window, bool(facts.undone))
        without, with_late = [
            await side.run(facts, known, span, learnt.stop, pace) for side, known in zip(sides, (True, False), strict=True)
        ]
        if learnt.closed and learnt.stop - learnt.start < _lasts(*(side.states or {} for side in sides)):
            learnt = replace(learnt, closed=False, until=2 * learnt.stop - learnt.start)
        await asyncio.to_thread(sides.clear)  # so much memory takes a moment to give back
        blame = await asyncio.to_thread(_blame, rules, window, facts, frozenset(learnt.entries))
        found = await asyncio.to_thread(Comparison(learnt.start, learnt.stop, blame).changes, without, with_late)
        return replace(learnt, facts=len(facts.late), changes=tuple(found), gone=tuple(facts.undone))

    def _reach(self, entry: LateEntry) -> int:
        margin = self._margins.get(entry.kinds)
        if margin is None:
            margin = self._margins[entry.kinds] = self._looking.reach(entry.kinds)
        return margin

    def _failed(self, learnt: Learnt, problem: str) -> Learnt:
        log.warning("facts of %d journal entries came too late and cannot be reconciled: %s", len(learnt.entries), problem)
        return replace(learnt, closed=True, problem=problem)


def _lasts(as_it_was: Mapping[Any, Any], as_it_is: Mapping[Any, Any]) -> int:
    """How long a stretch at most is judged again because of what it leaves behind: 0 when that is the same with what is known now."""
    unlike = [key for key in as_it_was.keys() | as_it_is.keys() if as_it_was.get(key) != as_it_is.get(key)]
    kept_open = any(isinstance(key, tuple) and key[0] == OPEN for key in unlike)
    return _STAYS if kept_open else _LASTS if unlike else 0


def _sides(rules: Plan, window: Window, undone: bool) -> list[Evaluation]:
    """As it was known, and as it is."""
    codes = window.engine.snapshot()
    return [Evaluation(rules, window, codes, undone) for _ in range(2)]


def _blame(plan: Plan, window: Window, facts: Facts, group: frozenset[int]) -> Blame:
    """Late facts by the rules that look at their kind, and how far they are from an alert. `group`: the entries that are judged now."""
    columns = facts.columns
    names = {code: kind for (kind, _), code in window.engine.kinds.items()}
    news = np.flatnonzero(np.isin(columns.seq, np.array(list(facts.learnt), np.int64)))
    rows = {int(columns.seq[i]): int(i) for i in news}
    order = np.argsort(columns.seq)

    def brought(seq: int) -> int:
        return facts.undone[seq].entry if seq in facts.undone else split_seq(seq)[0]

    def of_kinds(*kinds: int) -> list[int]:
        seen = dict.fromkeys(columns.seq[news[np.isin(columns.kind[news], np.array(kinds, columns.kind.dtype))]].tolist())
        return [seq for seq in seen if brought(seq) in group] or list(seen)

    looking, known = Looking(plan), cache(of_kinds)  # many rules look at the same kinds
    looked_at = {code: looking.at(name) for code, name in names.items()}
    of_rule = {rule.name: known(*(code for code, by in looked_at.items() if rule.name in by)) for rule in plan.rules}

    def apart(alert: Outcome, seq: int) -> tuple[float, int]:
        row = rows[seq]
        gap = abs(int(columns.time[row]) - alert.opened)
        at = int(np.searchsorted(columns.seq, alert.anchor, sorter=order))
        if at == len(order) or columns.seq[order[at]] != alert.anchor:
            return math.inf, gap
        anchor = order[at]
        metres = distance(*(float(column[i]) for i in (anchor, row) for column in (columns.lon, columns.lat)))
        return (math.inf if math.isnan(metres) else metres), gap

    return Blame(of_rule, facts.learnt, apart, frozenset(facts.undone))
