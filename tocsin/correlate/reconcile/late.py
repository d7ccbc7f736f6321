"""What the correlator does with facts that come too late: sets them aside, counts them, and takes in what was learnt from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.assemble import Assembler
from tocsin.correlate.codebook import selectors
from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Corrections, Run
from tocsin.correlate.horizon import Horizon, of_kinds, present, under
from tocsin.correlate.meters import Sample
from tocsin.kernel.fault import Skippable
from tocsin.model.alert import Evidence
from tocsin.model.plan import Inside, Match, Plan
from tocsin.model.reading import reach, selectors_in
from tocsin.model.time import DAY

from .backlog import Backlog, LateEntry
from .guarding import area_kinds, areas_in, guard_kinds, remembered_kinds, sampled_kinds
from .learnt import Learning, Learnt, decode
from .standing import Lasting

log = logging.getLogger(__name__)

Mask = NDArray[np.bool_]
#: Withdrawn facts are remembered for a judgement that did not know of it yet.
_REMEMBER: Final = DAY


class LateFacts:
    """State of one correlator about late facts. All of it follows from the journal. `learning`: what was learnt from them, applied."""

    def __init__(self, plan: Plan, horizon: Horizon, assembler: Assembler, corrections: Corrections) -> None:
        self.backlog = Backlog()
        self._assembler = assembler
        self.learning = Learning(assembler)
        self._set(plan, horizon)
        self._withdrawn: dict[int, int] = {}
        self._corrections = corrections

    def adopt(self, plan: Plan, horizon: Horizon) -> None:
        """Other rules or feeds came into force. Facts set aside before are judged by the rules in force when it is done."""
        horizon.beyond = self.horizon.beyond
        self._set(plan, horizon)

    def _set(self, plan: Plan, horizon: Horizon) -> None:
        self.horizon = horizon
        self._kinds = frozenset(selector.kind for rule in plan.rules for selector in selectors(rule))
        self._guards, self._delay = guard_kinds(plan), plan.delay
        self._sampled, self._remembered = sampled_kinds(plan), remembered_kinds(plan)
        self._areas = area_kinds(plan)
        self._begins = frozenset(
            of.kind for rule in plan.rules if isinstance(rule.when, Inside) and rule.when.standing for of in areas_in(rule)
        )
        self._read = min((reach(rule) for rule in plan.rules if rule.unless or rule.only or areas_in(rule)), default=0)
        self._lasting = frozenset(of.kind for rule in plan.rules if isinstance(rule.when, Match) for of in selectors_in(rule.when))
        self.learning.adopt(plan)

    def take(self, seq: int, batch: pa.RecordBatch, columns: Columns, clock: int, runs: Sequence[Run] | None) -> Mask | None:
        """Sets late facts of a journal entry aside; those that no rule looks at are only counted. `runs`: the rows that are facts, None for
        all. Returns which rows are too late for the engine, None when none is (nearly always)."""
        if columns.valid_until is not None:
            self._stand(batch, columns, runs)
        behind = self.behind(batch, columns.time, clock)
        if behind is not None:
            self._look_back(seq, batch, columns, behind, clock, runs)
        late = self.horizon.late(batch, columns.time, clock)
        if late is None:
            return None
        if runs is not None:
            late &= _facts(runs, len(late))
        self.horizon.count(batch, late)
        self._keep(seq, batch, columns, late, clock)
        return late

    def disordered(self, seq: int, batch: pa.RecordBatch, columns: Columns, clock: int, runs: Sequence[Run] | None, rows: Mask) -> None:
        """Samples that came out of order, and that the kernels left aside: `rows`, and perhaps others. They are judged again, up to a time at which what they
        changed is over."""
        rows = rows & of_kinds(batch, self._sampled)
        if runs is not None:
            rows &= _facts(runs, len(rows))
        if rows.any():
            until = clock + self.horizon.longest
            self.backlog.add(LateEntry(seq, clock, int(columns.time[rows].min()), until, 0, present(batch, rows)))

    def behind(self, batch: pa.RecordBatch, time: NDArray[np.int64], clock: int | NDArray[np.int64]) -> Mask | None:
        """What guards ask for, or its end, learnt after matches it may concern; None when there is nothing of that. `clock`: of all rows, or
        of each."""
        if not self._guards:
            return None
        behind: Mask = of_kinds(batch, self._guards) & (time < clock - self._delay)
        return behind if behind.any() else None

    def _look_back(self, seq: int, batch: pa.RecordBatch, columns: Columns, behind: Mask, clock: int, runs: Sequence[Run] | None) -> None:
        """The matches are judged again, though these rows are not late for anything else."""
        if runs is not None:
            facts = np.zeros(len(behind), np.bool_)
            for run in runs:
                facts[run.start : run.stop] = True
                facts[run.row if run.withdrawn else slice(0, 0)] = True
            behind &= facts
        if behind.any():
            self.backlog.add(LateEntry(seq, clock, int(columns.time[behind].min()), clock, 0, present(batch, behind)))

    def _stand(self, batch: pa.RecordBatch, columns: Columns, runs: Sequence[Run] | None) -> None:
        """What guards ask for, and areas, that are in force for longer than their rules say, so that it is not always read with what happens later."""
        assert columns.valid_until is not None
        lasts = columns.valid_until - columns.time > self._read
        lasts &= _facts(runs, len(lasts))
        if not lasts.any():
            return
        lasts &= of_kinds(batch, self._guards | self._areas)
        for row in np.flatnonzero(lasts).tolist():
            fact = Lasting(int(columns.time[row]), int(columns.valid_until[row]), batch.column("kind")[row].as_py())
            self.backlog.standing.add(int(columns.seq[row]), fact)

    def _keep(self, seq: int, batch: pa.RecordBatch, columns: Columns, late: Mask, clock: int) -> None:
        wanted = late & of_kinds(batch, self._kinds)
        if wanted.any():
            times = columns.time[wanted]
            kinds = present(batch, wanted)
            self._corrections.hold_rows(batch, np.flatnonzero(wanted).tolist(), seq, clock + self._assembler.keep)
            newest = int(times.max())
            if (wanted & of_kinds(batch, self._sampled)).any():
                newest = clock + self.horizon.longest  # a sample in a row changes what those after it show
            self.backlog.add(LateEntry(seq, clock, int(times.min()), newest, len(times), kinds))

    def withdraw(self, seqs: Sequence[int], clock: int) -> None:
        """Facts were taken back."""
        self.backlog.standing.end(seqs, clock)
        if self.backlog.entries:
            self._withdrawn.update(dict.fromkeys(seqs, clock))

    @property
    def asks(self) -> bool:
        """Whether it matters what was taken back: rules go by samples before a match, or by areas."""
        return bool(self._sampled or self._remembered or self._areas)

    def undone(self, seq: int, facts: Iterable[Evidence], clock: int, until: int, skew: Callable[[str], int]) -> None:
        """Facts were taken back by the journal entry `seq`, by a row of event time `until`. Samples in a row are judged again without them, and so are histories
        and areas where live none goes back so far. `skew`: feed -> µs an event time may be ahead."""
        horizon = clock - self.horizon.longest
        for fact in facts:
            time = min(fact.event_time, fact.ingest_time + skew(fact.feed))
            late = time < horizon or fact.ingest_time - fact.event_time > self.horizon.of(fact.feed)
            if under(self._sampled, fact.kind) or (late and under(self._remembered, fact.kind)):
                lasting = under(self._lasting, fact.kind)  # a sample in a row, or of a state, changes what those after it show
                self.backlog.add(LateEntry(seq, clock, time, clock + self.horizon.longest if lasting else time, 0, (fact.kind,)))
            if under(self._areas, fact.kind):
                since = time if under(self._begins, fact.kind) else max(time, until)  # what stood in it, or happened in it after its end
                if since < horizon:
                    self.backlog.add(LateEntry(seq, clock, since, horizon, 0, (fact.kind,)))

    def learn(self, content: bytes, clock: int, entry: int) -> None:
        """Takes in a journal entry that says what was learnt. One that was taken in before changes nothing."""
        try:
            learnt = decode(content)
        except Skippable as error:
            log.error("journal entry %d: %s", entry, error)
            return
        if not any(self._waits(seq, learnt) for seq in learnt.entries):
            return
        self.learning.apply(learnt, clock, entry, self._withdrawn)
        if learnt.last:
            self.backlog.settle(learnt.entries, closed=learnt.closed, gone=bool(learnt.problem), until=learnt.until)

    def _waits(self, seq: int, learnt: Learnt) -> bool:
        entry = self.backlog.entries.get(seq)
        return entry is not None and (learnt.closed or not entry.early or learnt.until > entry.newest)

    def since(self, clock: int) -> int:
        """When the oldest late facts came that are not judged for good: alerts that were remembered then may still change."""
        return min([clock, *(entry.clock for entry in self.backlog.entries.values())])

    def prune(self, clock: int) -> None:
        """Forgets withdrawals nobody can ask about. Called at fixed journal times."""
        self.backlog.standing.prune(self.since(clock))
        self._withdrawn = {seq: at for seq, at in self._withdrawn.items() if at + _REMEMBER > clock and self.backlog.entries}

    def samples(self) -> list[Sample]:
        """For the metrics."""
        backlog = self.backlog
        beyond = [
            Sample("late_facts", "counter", "Facts later than their feed's lateness.", number, f'feed="{feed}"')
            for feed, number in sorted(self.horizon.beyond.items())
        ]
        return [
            *beyond,
            Sample("late_waiting", "gauge", "Late facts that wait to be reconciled.", len(backlog)),
            Sample("late_reconciled", "counter", "Late facts reconciled.", backlog.done),
            Sample("late_unreachable", "counter", "Late facts of times the journal no longer holds, or too many to judge.", backlog.gone),
            Sample("late_dropped", "counter", "Late facts there was no room to remember.", backlog.dropped),
            Sample(
                "late_standing", "gauge", "Warnings and areas in force for long that are remembered for late facts.", len(backlog.standing)
            ),
            Sample("late_standing_forgotten", "counter", "Of these, those there was no room for.", backlog.standing.forgotten),
            Sample(
                "late_unmatched", "counter", "Changes learnt late about alerts that are not remembered any more.", self.learning.unmatched
            ),
        ]

    def snapshot(self) -> dict[str, Any]:
        """Plain values only."""
        withdrawn = [list(pair) for pair in self._withdrawn.items()]
        return {"backlog": self.backlog.snapshot(), "withdrawn": withdrawn, "said": self.learning.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot."""
        self.backlog.restore(state["backlog"])
        self._withdrawn = dict(state["withdrawn"])
        self.learning.restore(state["said"])


def _facts(runs: Sequence[Run] | None, size: int) -> Mask:
    """Rows that are facts."""
    facts = np.full(size, runs is None)
    for run in runs or ():
        facts[run.start : run.stop] = True
    return facts
