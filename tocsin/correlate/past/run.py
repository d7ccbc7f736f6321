"""A history through the rules: what the correlator (`worker.py`) would have told, from columns instead of entries.

Everything that decides is the correlator's own: engine, corrections, late facts, assembler, words. What differs is how they are fed.

* A tick at which nothing can happen is not told to anybody (`Engine.next_move`).
* Where the kernels alone decide, events known at different times are pushed together, at the clock of the first: of a clock that lags
  behind the kernels notice nothing as long as no deadline passes in between. Those that wait are known; those that the events of a push
  themselves may set lie at least a window after the earliest of them.
* Histories (`correlate/series`), corrections and late facts get entry by entry what they get live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.correlate.assemble import Assembler, Context
from tocsin.correlate.codebook import CodeBook
from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Corrections, Run, reach
from tocsin.correlate.engine import Engine
from tocsin.correlate.firing import Firings
from tocsin.correlate.horizon import Horizon, rows
from tocsin.correlate.reconcile.late import LateFacts
from tocsin.correlate.setting import Setting
from tocsin.correlate.wording import Telling, Wording
from tocsin.correlate.worker import PRUNE_EVERY, cut
from tocsin.model.alert import Alert
from tocsin.model.ids import split_seq
from tocsin.model.plan import Absence, Silence
from tocsin.model.time import DAY

from .facts import PastFacts
from .numbers import Numbering
from .rows import Entries, entries
from .ticks import NEVER, EverySecond, Ticks

#: Events pushed together at most.
TOGETHER: Final = 65_536
#: Alerts put into words together.
_WORDS: Final = 500


@dataclass(slots=True)
class Course:
    """How the run went. `pushes`: calls of the engine with events; `late`: facts too late for the engine."""

    events: int = 0
    pushes: int = 0
    ticks: int = 0
    late: int = 0
    withdrawn: int = 0


@dataclass(slots=True)
class Told:
    """One alert: what was said last, when it was raised, and when it was taken back for the last time (None: it stands)."""

    telling: Telling
    raised: int
    retracted: int | None = None
    revisions: int = field(default=0)


@dataclass(frozen=True, slots=True)
class _Known:
    """Of the rows of a batch: those that correct or may be corrected; those that are too late for the engine, or for a guard."""

    corrected: NDArray[np.bool_]
    late: NDArray[np.bool_]


class Past:
    """One run of a plan. `setting`: as the correlator's. `ticks`: how the clock moved. `attrs`: feed -> name -> type of attributes that rules look
    at. `by_time`: events in order of event time, each known when it happens. Raises what `facts` raise."""

    def __init__(
        self,
        setting: Setting,
        facts: PastFacts,
        *,
        ticks: Ticks | None = None,
        attrs: Mapping[str, Mapping[str, str]] | None = None,
        by_time: bool = False,
        exercise: bool = False,
        engine: Callable[[Any, frozenset[str] | None], Engine] | None = None,
    ) -> None:
        self.clock = 0
        self.course = Course()
        self.told: dict[str, Told] = {}
        self._setting = setting
        self._facts = facts
        self._ticks = ticks if ticks is not None else EverySecond()
        self._attrs = attrs or {}
        self._by_time = by_time
        horizon = Horizon(setting.plan, setting.lateness)
        plan = replace(setting.plan, lateness=horizon.longest)
        self._plan, self._horizon = plan, horizon
        self._engine = (engine or _engine)(plan, setting.corrects)
        self._codebook = CodeBook(self._engine, plan, setting.skews)
        self._corrections = Corrections(plan, setting.corrects, lateness=horizon.of)
        context = Context(self._corrections.root, self._engine.source_name, self._engine.source_code, self._codebook.skew)
        self._assembler = Assembler(plan, context)
        self._late = LateFacts(plan, horizon, self._assembler, self._corrections)
        self._numbers = facts.numbers = Numbering(max(self._assembler.keep, reach(plan)) + DAY) if by_time else None
        self._wording = Wording(setting.name_place, self._codebook.skew, exercise, plan.timezone)
        self._together = self._engine.by_events and not self._assembler.parts.beside
        spans = [rule.when.during for rule in plan.rules if isinstance(rule.when, Absence | Silence)]
        self._shortest = min(spans) if spans else NEVER
        self._pruned = -1
        self._last = 0  # the newest taken in
        self._clocks: NDArray[np.int64] = np.empty(0, np.int64)  # of the events being taken

    @property
    def counters(self) -> Mapping[str, int]:
        """The engine's."""
        return self._engine.counters()

    @property
    def clocks(self) -> NDArray[np.int64]:
        """Journal clock of each event that was taken last."""
        return self._clocks

    @property
    def reached(self) -> int:
        """How far the clock has come."""
        return max(self.clock, int(self._clocks[-1])) if len(self._clocks) else self.clock

    def take(self, batch: pa.RecordBatch) -> None:
        """More events of ROW's columns (those that were read), in order, whole journal entries."""
        if not batch.num_rows:
            return
        seq = np.asarray(batch.column("seq").to_numpy(zero_copy_only=False), np.int64)
        given = entries(batch, self.clock, None if self._by_time else self._ticks.before(seq), self._attrs, self._numbers)
        columns = given.columns(self._codebook)
        self._clocks = given.clock
        self.course.events += batch.num_rows
        known = _Known(self._corrected(given), self._too_late(given, columns))
        for start, stop, alone in self._parts(given, known):
            if alone:
                self._entry(given, columns, known, start, stop)
            else:
                self._many(given, columns, start, stop)

    def begin(self, clock: int) -> None:
        """The history begins: from here on sources can be missed."""
        self._until(clock)
        self._apply(self._engine.tick(clock), clock, 0)

    def move(self, clock: int) -> None:
        """Nothing more is heard until `clock`."""
        self._until(clock + 1)

    def finish(self) -> None:
        """The history ends: what waits for its second to pass is told."""
        self._tell(everything=True)

    def alerts(self, wanted: Callable[[Told], bool] = lambda _told: True) -> Iterator[tuple[Told, Alert]]:
        """Every alert in its newest revision, in words, in the order they were first told."""
        chosen = [told for told in self.told.values() if wanted(told)]
        for start in range(0, len(chosen), _WORDS):
            some = chosen[start : start + _WORDS]
            facts = self._facts.lookup(seq for told in some for seq in self._wording.needs(told.telling))
            for told in some:
                yield told, self._facts.settled(self._wording.alert(told.telling, facts))

    # ---- what must be taken entry by entry
    def _parts(self, given: Entries, known: _Known) -> Iterator[tuple[int, int, bool]]:
        """(first row, row after the last, whether it is one entry to be taken alone)."""
        starts = given.starts
        if not self._together:
            yield from ((start, stop, True) for start, stop in pairwise(starts.tolist()))
            return
        alone = np.logical_or.reduceat(known.corrected | known.late, starts[:-1])
        begin = 0
        for at in np.flatnonzero(alone).tolist():
            if begin < starts[at]:
                yield begin, int(starts[at]), False
            yield int(starts[at]), int(starts[at + 1]), True
            begin = int(starts[at + 1])
        if begin < len(given.seq):
            yield begin, len(given.seq), False

    def _corrected(self, given: Entries) -> NDArray[np.bool_]:
        """Rows that correct, or may be corrected."""
        corrects = self._setting.corrects
        mask: NDArray[np.bool_] = given.batch.column("action").to_numpy(zero_copy_only=False) != 0
        if corrects is None:
            return np.ones(len(mask), np.bool_)
        if corrects:
            feeds = given.batch.column("feed")
            own = pc.is_in(feeds.dictionary, pa.array(sorted(corrects), pa.string()))
            mask = mask | own.to_numpy(zero_copy_only=False)[feeds.indices.to_numpy(zero_copy_only=False)]
        return mask

    def _too_late(self, given: Entries, columns: Columns) -> NDArray[np.bool_]:
        """Rows older than their feed allows, and those that a guard should have known of."""
        feeds = given.batch.column("feed")
        limits = np.array([self._horizon.of(name) for name in feeds.dictionary.to_pylist()], np.int64)
        late: NDArray[np.bool_] = columns.time < given.clock - limits[feeds.indices.to_numpy(zero_copy_only=False)]
        behind = self._late.behind(given.batch, columns.time, given.clock)
        return late if behind is None else late | behind

    def _entry(self, given: Entries, columns: Columns, known: _Known, start: int, stop: int) -> None:
        """One journal entry, as the correlator takes it."""
        clock, entry = int(given.clock[start]), split_seq(int(given.seq[start]))[0]
        self._until(clock)
        self.clock = clock
        batch, own = given.batch.slice(start, stop - start), cut(columns, start, stop)
        runs = self._corrections.runs(batch, clock, entry, own.seq.tolist()) if known.corrected[start:stop].any() else None
        if self._assembler.parts.beside:
            self._assembler.parts.beside.take(own, runs, self._engine.predicates, list(self._engine.kinds))
        late = self._late.take(entry, batch, own, clock, runs) if known.late[start:stop].any() else None
        if late is not None:
            self.course.late += self._count_late(own, late)
        if runs is None:
            self._push(own if late is None else rows(own, ~late), clock, entry)
        else:
            self._apply(self._engine.tick(clock), clock, entry)
            for run in runs:
                self._correct(run, own, late, entry)
        self._tell()
        self._prune()

    def _count_late(self, _columns: Columns, late: NDArray[np.bool_]) -> int:
        return int(late.sum())

    def _correct(self, run: Run, columns: Columns, late: NDArray[np.bool_] | None, entry: int) -> None:
        if run.withdrawn:
            at = int(columns.time[run.row])
            self.course.withdrawn += len(run.withdrawn)
            self._late.withdraw(run.withdrawn, self.clock)
            self._assembler.parts.beside.withdraw(run.withdrawn, at)
            self._assembler.withdraw(run.withdrawn, run.by, self.clock)
            self._apply(self._engine.withdraw(run.withdrawn, at), self.clock, entry)
            if self._engine.listening:
                self._settle(heard=True)
        if run.start < run.stop:
            part = cut(columns, run.start, run.stop)
            self._push(part if late is None else rows(part, ~late[run.start : run.stop]), self.clock, entry)

    # ---- what may be taken together
    def _many(self, given: Entries, columns: Columns, start: int, stop: int) -> None:
        """Whole entries that nothing corrects and none of which is late."""
        while start < stop:
            clock = int(given.clock[start])
            self._until(clock)
            end = self._end(given, columns, start, stop)
            part = cut(columns, start, end)
            firings = self._engine.push(part, clock)
            self.course.pushes += 1
            if len(firings):
                self._spread(firings, given, start, end)
            start = end

    def _end(self, given: Entries, columns: Columns, start: int, stop: int) -> int:
        """How far the events can be pushed at once: before any deadline passes."""
        stop = min(stop, start + TOGETHER) if stop - start > TOGETHER else stop
        if self._shortest == NEVER:
            return self._whole(given, start, stop)
        clock, delay = given.clock, self._plan.delay
        waiting = self._engine.next_deadline()
        at, size = start, 64
        earliest = NEVER
        while at < stop:
            end = min(stop, at + size)
            set_by = np.minimum.accumulate(np.concatenate([[earliest], columns.time[at:end]]))
            due = np.minimum(waiting, np.where(set_by[:-1] == NEVER, NEVER, set_by[:-1] + self._shortest))
            past = (clock[at:end] - delay >= due) & (clock[at:end] > clock[start])
            if past.any():
                return self._whole(given, start, at + int(np.argmax(past)))
            earliest, at, size = int(set_by[-1]), end, size * 4
        return self._whole(given, start, stop)

    def _whole(self, given: Entries, start: int, end: int) -> int:
        """The last end of an entry up to `end`; the first after `start` at least."""
        starts = given.starts
        place = int(np.searchsorted(starts, end, "right")) - 1
        return int(starts[place]) if starts[place] > start else int(starts[np.searchsorted(starts, start, "right")])

    def _spread(self, firings: Firings, given: Entries, start: int, end: int) -> None:
        """What several entries caused, one after the other, each at its own clock. What deadlines caused comes first, at the first clock. (A row that
        stands for all further matches of an alert in one push speaks of the last of them.)"""
        at = np.searchsorted(given.seq[start:end], firings.anchor)
        at = np.where((at < end - start) & (given.seq[start:end][np.minimum(at, end - start - 1)] == firings.anchor), at, 0) + start
        order = np.argsort(at, kind="stable")
        at = at[order]
        of, ends = np.searchsorted(given.starts, at, "right") - 1, firings.offset
        for rows_ in np.split(np.arange(len(of)), np.flatnonzero(np.diff(of)) + 1):
            row = int(given.starts[of[rows_[0]]])
            self._until(int(given.clock[row]))
            self._apply(_some(firings, order[rows_], ends), int(given.clock[row]), split_seq(int(given.seq[at[rows_[0]]]))[0])
            self._tell()
            self._prune()

    # ---- the clock
    def _until(self, clock: int) -> None:
        """What happens before a clock, at ticks and at entries that were taken together with others."""
        if self.clock == 0:
            self.clock = clock
        while True:
            due = min(self._engine.next_move(), self._assembler.due(), (self.clock // PRUNE_EVERY + 1) * PRUNE_EVERY)
            due = max(due, self.clock + 1)
            if due >= clock:
                return
            at = min(self._ticks.next(due), self._heard(due))
            if at >= clock:
                return
            self.course.ticks += 1
            self._apply(self._engine.tick(at), at, 0)
            self._tell()
            self._prune()

    def _heard(self, at: int) -> int:
        """The clock of the first event at `at` or later."""
        place = int(np.searchsorted(self._clocks, at))
        return int(self._clocks[place]) if place < len(self._clocks) else NEVER

    def _prune(self) -> None:
        """At the same journal times as the correlator."""
        if self.clock // PRUNE_EVERY != self._pruned:
            if self._pruned >= 0:
                self._assembler.ledger.prune(self._late.since(self.clock))
                self._assembler.parts.prune(self.clock)
                self._corrections.prune(self.clock)
                self._late.prune(self.clock)
            self._pruned = self.clock // PRUNE_EVERY

    # ---- what is decided
    def _push(self, columns: Columns, clock: int, entry: int) -> None:
        self.course.pushes += 1
        self._apply(self._engine.push(columns, clock), clock, entry)

    def _apply(self, firings: Firings, clock: int, entry: int) -> None:
        self.clock = max(self.clock, clock)
        self._last = max(self._last, entry)
        if len(firings):
            facts = self._facts.lookup(self._assembler.anchors(firings))
            self._assembler.apply(firings, facts, self.clock, entry)

    def _settle(self, heard: bool = False) -> None:
        unsettled = self._assembler.unsettled(heard)
        if unsettled is not None:
            turns = self._assembler.settle(self._facts.lookup(unsettled), heard)
            if turns:
                self._apply(self._engine.turn(turns), self.clock, self._last)

    def _tell(self, everything: bool = False) -> None:
        while self._assembler.unsettled() is not None:
            self._settle()
        if self._assembler.parts:
            wanted = self._assembler.parts.wanted()
            if wanted or self._assembler.parts.dirty:
                self._assembler.shape(self._facts.lookup(wanted), self._facts.links(wanted), self.clock)
        tellings = self._assembler.tell(self.clock, everything)
        if tellings and self._corrections.holding:
            self._hold(tellings)
        for telling in tellings:
            self._note(telling)

    def _hold(self, tellings: list[Telling]) -> None:
        cases = self._assembler.ledger.cases
        for event in self._facts.lookup(seq for telling in tellings for seq in cases[telling.id].evidence).values():
            self._corrections.hold(event.feed, event.id, event.seq, self.clock + self._assembler.keep)

    def _note(self, telling: Telling) -> None:
        known = self.told.get(telling.id)
        if known is None:
            known = self.told[telling.id] = Told(telling, telling.known_at)
        known.telling = telling
        self._facts.pin(self._wording.needs(telling))
        known.revisions += 1
        known.retracted = self.clock if telling.status == "retracted" else None


def _engine(plan: Any, corrects: frozenset[str] | None) -> Engine:
    return Engine(plan, corrects=corrects)


def _some(firings: Firings, rows_: NDArray[np.intp], ends: NDArray[np.int64]) -> Firings:
    """Some rows, with what they tell. `ends`: `firings.offset`."""
    if len(rows_) == len(firings):
        return firings
    part = firings.rows[rows_]
    told = [firings.told[ends[row] : ends[row + 1]] for row in rows_.tolist()]
    part["last"] = np.cumsum([len(one) for one in told])
    part["first"] = part["last"] - [len(one) for one in told]
    return Firings(part, np.concatenate(told), firings.labels)
