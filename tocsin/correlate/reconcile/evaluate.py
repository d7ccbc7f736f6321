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
from tocsin.model.plan import Plan

from .difference import Outcome, Stood
from .tally import Tally
from .window import Facts, Window

#: Called between small pieces of work; may wait, so that a long evaluation takes a bounded share of the processor.
Pace = Callable[[], Awaitable[None]]
_TOGETHER: Final = 4096  # facts pushed at once


class Evaluation:
    """One evaluation with an engine of its own. `codes`: snapshot of the engine that gave the facts their codes."""

    def __init__(self, plan: Plan, window: Window, codes: Mapping[str, Any]) -> None:
        self._plan = plan
        self._engine = Engine(plan)
        self._engine.restore(codes)
        context = Context(window.corrections.root, self._engine.source_name, self._engine.source_code, window.codebook.skew)
        self._assembler = Assembler(plan, context)
        self._recent = window.recent
        self._tally = Tally()

    async def run(self, facts: Facts, without: bool, span: tuple[int, int], pace: Pace) -> list[Stood]:
        """The alerts that stand at the end of `span`: as it was, `without` what came late, or with all that is known now."""
        start, stop = span
        await self._apply(self._engine.tick(start), start)
        for when, piece, ends in self._pieces(facts, without, stop):
            told = self._engine.push(rows(facts.columns, piece), when) if len(piece) else self._engine.tick(when)
            await self._apply(told, when)  # deadlines fire before anything is taken back
            for seq in ends:
                await self._apply(self._engine.withdraw((seq,), facts.ended[seq].until), when)
            await pace()
        await self._apply(self._engine.tick(stop), stop)
        return await asyncio.to_thread(self._standing)

    def _pieces(self, facts: Facts, without: bool, until: int) -> Iterator[tuple[int, NDArray[np.intp], list[int]]]:
        """Facts that are pushed together, the clock, and what ends after them: few, of less than the plan's `delay`, so that no deadline among them is decided too
        late or too early; one that is known to end is the last of its piece."""
        chosen = np.flatnonzero(~facts.late & (facts.seen <= until)) if without else np.arange(len(facts.late))
        seen = facts.seen if without else facts.columns.time
        chosen = chosen[np.argsort(seen[chosen], kind="stable")]
        there = set(facts.columns.seq[chosen].tolist())
        ends = sorted((end.learnt, seq) for seq, end in facts.ended.items() if without and seq in there and end.until < end.learnt <= until)
        later = {seq for seq, end in facts.ended.items() if without and end.learnt > end.until}
        ended = np.isin(facts.columns.seq[chosen], np.array([seq for seq in facts.ended if seq not in later], np.int64))
        marks = np.searchsorted(seen[chosen], np.array([at for at, _ in ends], np.int64), "right")
        step = max(1, self._plan.delay)
        cuts = np.flatnonzero((np.diff(seen[chosen] // step) != 0) | ended[:-1]) + 1 if len(chosen) else np.empty(0, np.int64)
        last, at = 0, 0
        for stop in sorted({*cuts.tolist(), *marks.tolist(), len(chosen)}):
            for begin in range(last, stop, _TOGETHER):
                piece = chosen[begin : min(stop, begin + _TOGETHER)]
                own = [int(facts.columns.seq[piece[-1]])] if ended[begin + len(piece) - 1] else []
                yield int(seen[piece[-1]]), piece, own
            last = stop
            while at < len(ends) and marks[at] <= stop:
                yield ends[at][0], chosen[:0], [ends[at][1]]
                at += 1

    async def _apply(self, firings: Firings, clock: int) -> None:
        if len(firings):
            known = await self._recent.lookup(self._assembler.anchors(firings))
            self._assembler.apply(firings, known, clock, 0)
            self._tally.take(firings)

    def _standing(self) -> list[Stood]:
        ledger = self._assembler.ledger
        matches = self._tally.by_alert(ledger.groups)
        return [Stood(self._outcome(case), matches[case.id]) for case in ledger.cases.values() if case.status != "retracted"]

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
