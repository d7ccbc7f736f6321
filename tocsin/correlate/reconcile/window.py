"""The facts of one stretch of time, gathered from the journal: everything that stands by now, and which of it came late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.codebook import CodeBook
from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Corrections, Run
from tocsin.correlate.engine import Engine
from tocsin.correlate.extras import Joined
from tocsin.correlate.horizon import Horizon, of_kinds, rows, under
from tocsin.correlate.recent import Entry, Recent
from tocsin.kernel.fault import Skippable
from tocsin.model.plan import Plan
from tocsin.model.reading import selectors_in

from .backlog import LateEntry
from .disorder import Newest, Prefixes
from .guarding import AREAS, OWN, SAMPLES, area_kinds, guard_kinds, own_kinds, sampled_kinds

#: Facts one evaluation may hold in memory (about 100 bytes each).
FACTS_MAX: Final = 3_000_000
_COLUMNS: Final = ("seq", "time", "kind", "source", "lon", "lat", "value", "bits")


class End(NamedTuple):
    """A fact was taken back, though it was in force until `until`, which was `learnt` later, both µs."""

    until: int
    learnt: int


class Undone(NamedTuple):
    """A fact was taken back at the journal clock `clock`, by a row of the journal entry `entry` of event time `until`, µs."""

    clock: int
    until: int
    entry: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Ordered by (time, seq, what guards see last). `late[i]`: fact i came too late for the live engine. `seen`: when the live engine saw it, µs: at its time, or
    later where a guard learnt it later. `ended`: by seq. `learnt`: fact -> µs from happening to learning, where that was too late for something.
    `gone[i]`: fact i was taken back, and is here for rules that go by samples, which saw it until then; `undone`: by seq."""

    columns: Columns
    late: NDArray[np.bool_]
    seen: NDArray[np.int64]
    ended: Mapping[int, End]
    learnt: Mapping[int, int]
    gone: NDArray[np.bool_]
    undone: Mapping[int, Undone]


class Window:
    """Takes the entries of the journal in their order, from the first that can hold a fact of [start, stop] on. `late`: entries of which it
    is remembered when they came, by seq. `recent` keeps what alerts may show. `older`: facts that are wanted though they are of before (`standing.py`)."""

    def __init__(
        self,
        plan: Plan,
        span: tuple[int, int],
        late: Mapping[int, LateEntry],
        horizon: Horizon,
        corrections: Corrections,
        skews: Mapping[str, int],
        recent: Recent,
        older: Sequence[int] = (),
    ) -> None:
        self.engine = Engine(plan)
        self.codebook = CodeBook(self.engine, plan, skews)
        self.corrections = corrections
        self.recent = recent
        self.size = 0
        self._start, self._stop = span
        self._late = late
        self._horizon = horizon
        self._delay = plan.delay
        self._clock = 0
        self._learnt: dict[int, int] = {}
        self._parts: list[tuple[Columns, NDArray[np.bool_], NDArray[np.int64]]] = []
        self._ended: dict[int, End] = {}
        self._matched = frozenset(of.kind for rule in plan.rules for of in selectors_in(rule.when))
        self._asked = frozenset(of.kind for rule in plan.rules for of in selectors_in((rule.when, rule.alert)))
        self._guards, self._sampled, self._areas = guard_kinds(plan), sampled_kinds(plan), area_kinds(plan)
        self._older = np.array(older, np.int64)
        self._going_by = frozenset(kind for kind in self._matched if kind.startswith(SAMPLES))
        self._newest, self._prefixes = Newest(), Prefixes(self._sampled)  # of the samples of a source, as the kernels took them
        self._standing: set[int] = set()
        self._undone: dict[int, Undone] = {}

    def take(self, entry: Entry) -> None:
        """One more entry. Raises Skippable when there is more than can be held."""
        self._clock = max(self._clock, entry.ingest)
        batch = entry.batch
        if batch is None:
            return
        runs = self.corrections.runs(batch, self._clock, entry.seq)
        asked, kept = of_kinds(batch, self._asked), False
        if asked.any() or runs is not None:
            columns = self.codebook.columns(batch, entry.ingest, entry.seq)
            kept = self._keep(entry, batch, columns, asked & self._facts(runs, columns, entry.seq), "")
        for own, kinds in ((SAMPLES, self._going_by), (AREAS, self._areas), (OWN, self._guards)):
            if kinds and of_kinds(view := own_kinds(batch, own), kinds).any():
                columns = self.codebook.columns(view, entry.ingest, entry.seq)
                kept |= self._keep(entry, view, columns, of_kinds(view, kinds) & self._facts(runs, columns, entry.seq), own)
        if kept:
            self.recent.add(entry)
        if self.size > FACTS_MAX:
            raise Skippable(f"more than {FACTS_MAX:,} facts lie within reach of what came late; the rules look too far")

    def _facts(self, runs: Sequence[Run] | None, columns: Columns, entry: int) -> NDArray[np.bool_]:
        """Rows that are facts, and what others take back."""
        if runs is None:
            return np.ones(len(columns.seq), np.bool_)
        facts = np.zeros(len(columns.seq), np.bool_)
        for run in runs:
            facts[run.start : run.stop] = True
            until = int(columns.time[run.row])
            self._ended.update((seq, End(until, self._seen(until))) for seq in run.withdrawn if seq not in self._ended)
            self._undone.update((seq, Undone(self._clock, until, entry)) for seq in run.withdrawn if seq not in self._undone)
        return facts

    def _seen(self, time: int) -> int:
        return self._clock if self._clock - time > self._delay else time

    def _keep(self, entry: Entry, batch: pa.RecordBatch, columns: Columns, facts: NDArray[np.bool_], own: str) -> bool:
        known = self._late.get(entry.seq)
        clock = self._clock if known is None else known.clock
        late = self._horizon.late(batch, columns.time, clock)
        sampled = own == SAMPLES and bool(self._sampled)
        after = self._disordered(batch, columns, facts if late is None else facts & ~late) if sampled else None
        wanted = facts & (columns.time >= self._start) & (columns.time <= self._stop)
        if own in (AREAS, OWN) and len(self._older):
            wanted |= facts & np.isin(columns.seq, self._older)
        if not wanted.any():
            return False
        part = rows(columns, wanted)
        too_late = late[wanted] if late is not None else np.zeros(len(part.seq), np.bool_)
        news, seen = too_late, part.time
        if own == OWN:
            news = too_late | (clock - part.time > self._delay)
            seen = np.where(news, clock, part.time)
        if after is not None:  # its turn was over when it came
            news, seen = news | (after[wanted] > 0), np.where(after[wanted] > 0, np.maximum(after[wanted] + 1, clock), seen)
        self._learnt.update(zip(part.seq[news].tolist(), (clock - part.time[news]).tolist(), strict=True))
        self._parts.append((part, too_late, seen))
        standing = np.ones(len(part.seq), np.bool_) if own in (AREAS, OWN) else ~of_kinds(batch, self._matched)[wanted]
        self._standing.update(part.seq[standing].tolist())
        self.size += len(part.seq)
        return True

    def _disordered(self, batch: pa.RecordBatch, columns: Columns, taken: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Of samples that came after a newer one of their source: when that was, 0 for all others."""
        after = np.zeros(len(columns.seq), np.int64)
        sampled = np.flatnonzero(taken & of_kinds(batch, self._sampled))
        if len(sampled):
            kinds = batch.column("kind")
            names = [self._prefixes.number(name) for name in kinds.dictionary.to_pylist()]
            series = np.array(names, np.int64)[kinds.indices.to_numpy(zero_copy_only=False)[sampled]]
            after[sampled] = self._newest.take(columns.source[sampled].astype(np.int64) << 32 | series, columns.time[sampled])
        return after

    def facts(self) -> Facts:
        """What stands. Facts that were taken back are left out, but for guards and for those that only end or change alerts: they were in force for a while."""
        nothing = rows(self.nothing(), np.zeros(0, np.bool_)), np.zeros(0, np.bool_), np.zeros(0, np.int64)
        parts = self._parts or [nothing]
        joined = _join([part for part, _, _ in parts])
        late, seen = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        guards, samples = self._own(joined, OWN), self._own(joined, SAMPLES)
        own = guards | samples | self._own(joined, AREAS)
        ended = {seq: end for seq, end in self._ended.items() if seq in self._standing}
        kept = np.array(list(ended.keys() - self._matched_seqs(joined, own)), np.int64)
        undone = np.isin(joined.seq, np.array(list(self._undone), np.int64))
        gone = undone & ~(own | np.isin(joined.seq, kept)) | (samples & undone & late)
        order = np.lexsort((guards, joined.seq, joined.time))
        order = order[~gone[order]]
        learnt = self._learnt | {seq: end.learnt - end.until for seq, end in ended.items() if end.learnt > end.until}
        taken = samples & undone & ~late  # few: of all samples this would hold up the whole process
        back = {seq: self._undone[seq] for seq in joined.seq[taken].tolist()}
        times = dict(zip(joined.seq[taken].tolist(), joined.time[taken].tolist(), strict=True))
        learnt |= {seq: max(0, one.clock - times[seq]) for seq, one in back.items()}
        return Facts(rows(joined, order), late[order], seen[order], ended, learnt, (samples & undone)[order], back)

    def close(self) -> None:
        """Lets go of what it gathered: so much memory takes a moment to give back, and this may be done in a thread."""
        vars(self).clear()

    def _own(self, columns: Columns, own: str) -> NDArray[np.bool_]:
        """Rows that guards see, or rules that go by samples."""
        codes = [code for (kind, _), code in self.engine.kinds.items() if kind.startswith(own)]
        return np.isin(columns.kind, np.array(codes, columns.kind.dtype))

    def _matched_seqs(self, columns: Columns, own: NDArray[np.bool_]) -> set[int]:
        """Facts that a rule matches, or might."""
        names = {code: kind for (kind, _), code in self.engine.kinds.items()}
        codes = [code for code, kind in names.items() if under(self._matched, kind)]
        return set(columns.seq[~own & np.isin(columns.kind, np.array(codes, columns.kind.dtype))].tolist())

    def nothing(self) -> Columns:
        """No facts."""
        i8, f8 = np.empty(0, np.int64), np.empty(0)
        return Columns(i8, i8, i8.astype(np.int32), i8.astype(np.int32), f8, f8, f8, np.empty((0, self.engine.words), np.uint64))


def _join(parts: list[Columns]) -> Columns:
    ends = [np.full(len(part.seq), -1, np.int64) if part.valid_until is None else part.valid_until for part in parts]
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    extras = Joined([(part.extras, part.first, len(part.seq)) for part in parts])
    return Columns(**joined, valid_until=np.concatenate(ends), extras=extras)
