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
        context = Context(window.corrections.root, self._engine.source_name, window.codebook.skew)
        self._assembler = Assembler(plan, context)
        self._recent = window.recent
        self._tally = Tally()

    async def run(self, facts: Facts, chosen: NDArray[np.bool_], span: tuple[int, int], pace: Pace) -> list[Stood]:
        """The alerts that stand at the end of `span` when only the chosen facts are known."""
        start, stop = span
        await self._apply(self._engine.tick(start), start)
        for piece in self._pieces(facts, np.flatnonzero(chosen)):
            columns = rows(facts.columns, piece)
            clock = int(columns.time[-1])
            await self._apply(self._engine.push(columns, clock), clock)
            until = facts.ended.get(int(columns.seq[-1]))
            if until is not None:
                await self._apply(self._engine.withdraw((int(columns.seq[-1]),), until), clock)
            await pace()
        await self._apply(self._engine.tick(stop), stop)
        return await asyncio.to_thread(self._standing)

    def _pieces(self, facts: Facts, chosen: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """Facts that are pushed together: few, of less than the plan's `delay`, so that no deadline among them is decided too late or too
        early; one that ended is the last of its piece."""
        if not len(chosen):
            return
        step = max(1, self._plan.delay)
        cells = facts.columns.time[chosen] // step
        ends = np.isin(facts.columns.seq[chosen], np.array(list(facts.ended), np.int64))
        cuts = np.flatnonzero((np.diff(cells) != 0) | ends[:-1]) + 1
        for piece in np.split(chosen, cuts):
            yield from (piece[start : start + _TOGETHER] for start in range(0, len(piece), _TOGETHER))

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
        )
