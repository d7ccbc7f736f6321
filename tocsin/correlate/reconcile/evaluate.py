"""Rules over the facts of one stretch of time in the order they happened: which alerts stand at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.assemble import Assembler, Context
from tocsin.correlate.engine import Engine
from tocsin.correlate.firing import Firings
from tocsin.correlate.horizon import rows
from tocsin.correlate.ledger import Case
from tocsin.correlate.parts.needs import closes_when_heard, has_state
from tocsin.correlate.series.which import outside
from tocsin.model.plan import Plan
from tocsin.model.severity import Action

from .difference import Outcome, Stood
from .guarding import remembering, sampled
from .order import Order
from .tally import Matches, Tally
from .window import Facts, Window

#: Of alerts among the states that an evaluation leaves behind: those that a state keeps open.
OPEN: Final = "open"
#: Called between small pieces of work; may wait, so that a long evaluation takes a bounded share of the processor.
Pace = Callable[[], Awaitable[None]]
_TOGETHER: Final = 2048  # facts pushed at once: three or four milliseconds of work


class Evaluation:
    """One evaluation with an engine of its own. `codes`: snapshot of the engine that gave the facts their codes. `undone`: facts may be taken back."""

    def __init__(self, plan: Plan, window: Window, codes: Mapping[str, Any], undone: bool) -> None:
        self._plan = plan
        self._engine = Engine(plan, corrects=None if undone else frozenset())
        self._engine.restore(codes)
        context = Context(window.corrections.root, self._engine.source_name, self._engine.source_code, window.codebook.skew)
        self._assembler = Assembler(plan, context)
        self._recent = window.recent
        self._tally = Tally()
        self._undone: set[int] = set()
        self._order = Order(rows(window.nothing(), np.zeros(0, np.bool_)))
        self._kept_open = frozenset(i for i, rule in enumerate(plan.rules) if has_state(rule) or closes_when_heard(rule))
        self.states: dict[Any, Any] | None = None

    async def run(self, facts: Facts, without: bool, span: tuple[int, int], judged: int, pace: Pace) -> list[Stood]:
        """The alerts that stand at the end of `span`: as it was, `without` what came late, or with all that is known now. `judged`: end of the stretch
        that is judged; `states` are of that moment."""
        start, stop = span
        self._order = await asyncio.to_thread(Order, facts.columns)
        start = min(start, int(facts.columns.time[0])) if len(facts.columns.time) else start  # of something that was in force then
        await self._apply(self._engine.tick(start), start)
        for when, piece, ends in await asyncio.to_thread(self._cut, facts, without, stop, judged):
            if when >= judged and self.states is None:
                self.states = await asyncio.to_thread(self._states, judged)
            told = self._engine.push(rows(self._order.columns, piece), when) if len(piece) else self._engine.tick(when)
            await self._apply(told, when)  # deadlines fire before anything is taken back
            for seq in ends:
                await self._end(seq, facts, when)
            await pace()
        self.states = await asyncio.to_thread(self._states, judged) if self.states is None else self.states
        await self._apply(self._engine.tick(stop), stop)
        for seq, undone in facts.undone.items():
            if without and undone.clock > stop:  # the engine did not judge again what happened so long before
                await self._undo(seq, stop)
        return await asyncio.to_thread(self._standing)

    def _cut(self, facts: Facts, without: bool, until: int, judged: int) -> list[tuple[int, NDArray[np.intp], list[int]]]:
        return list(self._pieces(facts, without, until, judged))

    def _pieces(self, facts: Facts, without: bool, until: int, judged: int) -> Iterator[tuple[int, NDArray[np.intp], list[int]]]:
        """Facts that are pushed together, the clock, and what ends after them: few, of less than the plan's `delay`, so that no deadline among them is decided too
        late or too early; one that is known to end is the last of its piece, and so is the last before `judged`."""
        chosen = np.flatnonzero(~facts.late & (facts.seen <= until) if without else ~facts.gone)
        seen = facts.seen if without else facts.columns.time
        chosen = chosen[np.argsort(seen[chosen], kind="stable")]
        ends = self._ends(facts, chosen, until) if without else []
        later = {seq for seq, end in facts.ended.items() if without and end.learnt > end.until}
        ended = np.isin(facts.columns.seq[chosen], np.array([seq for seq in facts.ended if seq not in later], np.int64))
        ended &= ~facts.gone[chosen]
        marks = np.searchsorted(seen[chosen], np.array([at for at, _ in ends], np.int64), "right")
        step = max(1, self._plan.delay)
        cuts = np.flatnonzero((np.diff(seen[chosen] // step) != 0) | ended[:-1]) + 1 if len(chosen) else np.empty(0, np.int64)
        last, at = 0, 0
        for stop in sorted({*cuts.tolist(), *marks.tolist(), int(np.searchsorted(seen[chosen], judged)), len(chosen)}):
            for begin in range(last, stop, _TOGETHER):
                piece = chosen[begin : min(stop, begin + _TOGETHER)]
                own = [int(facts.columns.seq[piece[-1]])] if ended[begin + len(piece) - 1] else []
                yield int(seen[piece[-1]]), piece, own
            last = stop
            while at < len(ends) and marks[at] <= stop:
                yield ends[at][0], chosen[:0], [ends[at][1]]
                at += 1

    def _ends(self, facts: Facts, chosen: NDArray[np.intp], until: int) -> list[tuple[int, int]]:
        """When something came that ends a fact, or takes it back, and which (`_end`), in order."""
        there = set(facts.columns.seq[chosen].tolist())
        ends = [(end.learnt, seq) for seq, end in facts.ended.items() if seq in there and end.until < end.learnt <= until]
        back = chosen[facts.gone[chosen]]
        for seq, seen in zip(facts.columns.seq[back].tolist(), facts.seen[back].tolist(), strict=True):
            if facts.undone[seq].clock <= until:
                ends.append((max(seen, facts.undone[seq].clock), ~seq))
        return sorted(ends)

    async def _end(self, end: int, facts: Facts, clock: int) -> None:
        """A fact ends, or is taken back (`~seq`) from rules that go by samples: then what rests on it is looked at again."""
        if end >= 0:
            await self._apply(self._engine.withdraw(self._order.numbers((end,)), facts.ended[end].until), clock)
        else:
            await self._undo(~end, clock, self._engine.withdraw(self._order.numbers((~end,)), facts.undone[~end].until))

    async def _undo(self, seq: int, clock: int, told: Firings | None = None) -> None:
        """As the correlator does it (`worker.py`)."""
        self._undone.add(seq)
        self._assembler.withdraw((seq,), Action.CANCEL, clock)
        if told is not None:
            await self._take(told, clock)
        await self._settle(clock)

    async def _apply(self, firings: Firings, clock: int) -> None:
        await self._take(firings, clock)
        await self._settle(clock)

    async def _take(self, said: Firings, clock: int) -> None:
        if len(said):
            firings = self._order.said(said)
            known = await self._recent.lookup(self._assembler.anchors(firings))
            self._assembler.apply(firings, known, clock, 0)
            self._tally.take(firings)

    async def _settle(self, clock: int) -> None:
        """What lost some of what it rests on, or what was joined after it fell: whether it holds."""
        while (unsettled := self._assembler.unsettled()) is not None:
            turns = self._assembler.settle(await self._recent.lookup(unsettled))
            if turns:
                await self._take(self._engine.turn(self._order.turns(turns)), clock)

    def _states(self, at: int) -> dict[Any, Any]:
        """What earlier facts still make of those that are to come: states of sources, alerts that others may join, and those that a state keeps open."""
        found = self._engine.states()
        for case in self._assembler.ledger.cases.values():
            per = self._plan.rules[case.rule].alert.per
            if per is not None and case.status != "retracted" and case.newest + per.hold >= at:
                found["joins", case.id] = case.newest
            if case.rule in self._kept_open and case.status != "retracted" and case.closed < 0:
                found[OPEN, case.id] = True
        return found

    def _standing(self) -> list[Stood]:
        ledger = self._assembler.ledger
        matches = self._tally.by_alert(ledger.groups)
        found = []
        for case in ledger.cases.values():
            left, stands = self._left(case, matches[case.id]), case.status != "retracted"
            if stands or (self._undone and left.numbers.any()):
                found.append(Stood(self._outcome(case), left, stands))
        return found

    def _left(self, case: Case, matches: Matches) -> Matches:
        """Without those that were completed by what was taken back: where the kernels do not look again by themselves, the ledger does not count them either."""
        rule = self._plan.rules[case.rule]
        if not self._undone or not (sampled(rule) or (remembering(rule) and not outside(rule))):
            return matches
        kept = ~np.isin(matches.anchors, np.array(sorted(self._undone), np.int64))
        return matches._replace(anchors=matches.anchors[kept], times=matches.times[kept], numbers=matches.numbers[kept])

    def _outcome(self, case: Case) -> Outcome:
        self._assembler.ledger.fold(case)
        rule = self._plan.rules[case.rule]
        return Outcome(
            case.id,
            rule.name,
            rule.version,
            case.anchor,
            case.opened,
            case.newest,
            case.feed,
            case.source,
            tuple(case.evidence),
            tuple(case.roles),
            case.left,
            case.label,
            (case.closed, case.way, case.closer),
        )
