"""The correlation engine: a plan in, firings out, state in flat arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.kernel.fault import Fatal
from tocsin.model.plan import Plan
from tocsin.model.predicate import Expr

from .adopt import kinship, newly_declared
from .carry import Carry, Side
from .columns import Columns
from .firing import Firings, joined
from .kernels import layout
from .kernels.doors import LIBRARY, bury, enter, enter_none, left_aside, restore_answered, run, start_watches, withdraw_verdicts
from .parts.needs import for_kernels
from .series.alerted import AlertFacts, Turn
from .series.build import build
from .series.outlet import KernelOutlet, Said
from .series.runner import carried
from .state import Memory
from .tables import compile_plan

#: Fingerprint of the layout of all tables; a snapshot of another layout is refused.
SNAPSHOT: Final = hashlib.sha256(repr((layout.TABLES, layout.META_SIZE)).encode()).hexdigest()[:16]
_NAMED = {
    "matches": layout.MATCHES,
    "stored": layout.ENTRIES,
    "visited": layout.VISITED,
    "overwritten": layout.OVERWRITTEN,
    "too_late": layout.TOO_LATE,
    "stale_samples": layout.STALE,
    "suppressed": layout.SUPPRESSED,
    "given_up": layout.GIVEN_UP,
    "recent": layout.STORED,
    "groups_open": layout.GROUPS_LIVE,
    "absences_pending": layout.PENDING_LIVE,
    "alerts": layout.NUMBER,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Table sizes as powers of two: tests use tiny ones. Tables grow or report; nothing is lost silently.

    `ring`: recent events kept, grown up to `ring_max`. `heads`: chains of the hashed grid. `sources`: sources with a state.
    `pending`: absences waiting, open alerts. `candidates`: events near an event that are looked at together.
    """

    ring: int = 19
    heads: int = 19
    sources: int = 14
    pending: int = 12
    ring_max: int = 22
    candidates: int = 9


class Engine:
    """Runs a plan. Owns nothing but state; no I/O, no clock of its own.

    Entries must come in journal order (`seq` ascending). An event more than `plan.lateness` older than the clock is left to
    reconcile and counted (`too_late`).
    """

    #: Distinct conditions besides `value >= number`, in bit order; the caller evaluates them per batch into `Columns.bits`.
    predicates: tuple[Expr, ...]
    words: int

    def __init__(self, plan: Plan, sizes: Sizes = Sizes(), corrects: frozenset[str] | None = frozenset()) -> None:
        """`corrects`: feeds whose events may be withdrawn later, None for all; only what may fall is remembered for that."""
        self.plan = plan
        self._sizes = sizes
        self._corrects = corrects
        self._tables = compile_plan(for_kernels(plan))
        self.predicates = self._tables.predicates
        self.words = self._tables.words
        self._memory = Memory(
            self._tables, sizes.ring, sizes.heads, sizes.sources, sizes.pending, sizes.ring_max, plan.lateness, plan.delay, sizes.candidates
        )
        self._memory.meta[layout.CORRECTS] = layout.ALL if corrects is None else layout.SOME if corrects else layout.NOBODY
        self._kinds: dict[tuple[str, str | None], int] = {}
        self._sources: dict[tuple[str, str | None], int] = {}
        self._names: list[tuple[str, str | None]] = []
        self._unbound: dict[str, int] = {}  # declared sources whose feed is not known yet
        self._started = False
        self._enter, self._work = enter.open(), run.open()
        self._declared = self._declare()
        self._said = Said()
        self._series, notes = build(plan, self.predicates, self.source_name, self._outlet)
        self._series.declare(self._declared_code)
        self._alerts = AlertFacts(plan, self._series, self._memory, self._said, notes)

    def kind_code(self, kind: str, dimension: str | None) -> int:
        """The code of (kind, dimension); a pair not seen before gets the next one."""
        code = self._kinds.get((kind, dimension))
        if code is None:
            code = self._kinds[kind, dimension] = len(self._kinds)
            for name, array in self._tables.of_kinds(self._kinds).items():
                self._memory.put(name, array)
            self._memory.meta[layout.WIDEST] = self._tables.widest
            self._series.kinds(list(self._kinds))
        return code

    def hears(self, _kind: str) -> bool:
        """Whether it matters to this engine whose events of a kind are. Columns of others may say -1 for their sources."""
        return True

    @property
    def kinds(self) -> Mapping[tuple[str, str | None], int]:
        """Codes of the (kind, dimension) pairs seen so far."""
        return self._kinds

    def source_code(self, feed: str, source: str | None) -> int:
        """The code of (feed, source); a pair not seen before gets the next one. `source` None: the feed itself, for events
        that name no source but still show that the feed speaks."""
        code = self._sources.get((feed, source))
        if code is not None:
            return code
        if source is not None and source in self._unbound:
            code = self._unbound.pop(source)
            self._sources[feed, source] = code
            self._names[code] = (feed, source)
        else:
            code = self._new_source(feed, source)
        own = code if source is None else self.source_code(feed, None)
        self._tell_source(code, own, source is not None)
        return code

    def source_name(self, code: int) -> tuple[str, str | None]:
        """(feed, source) of a code; the feed is empty for a declared source that has not been heard yet."""
        return self._names[code]

    def _new_source(self, feed: str, source: str | None) -> int:
        code = self._sources[feed, source] = len(self._names)
        self._names.append((feed, source))
        return code

    def _tell_source(self, code: int, feed: int, named: bool) -> None:
        known = self._memory["sources"]
        if code >= len(known):
            bigger = np.zeros(max(2 * len(known), code + 1), layout.SOURCE)
            bigger["feed"], bigger["named"] = -1, 1
            bigger[: len(known)] = known
            self._memory.put("sources", bigger)
        self._memory["sources"][code] = (feed, named, self._corrects is None or self._names[code][0] in self._corrects)

    def _declare(self) -> NDArray[np.int64]:
        """Gives declared sources (`feed/source`, or the source alone) and feeds their codes: rows of (watch, code)."""
        rows = []
        for watch, name, by_feed in self._tables.declared:
            rows.append((watch, self._declared_code(name, by_feed)))
        return np.array(rows, np.int64).reshape(-1, 2)

    def _declared_code(self, name: str, by_feed: bool) -> int:
        """The code of a declared source (`feed/source`, or the source alone) or feed."""
        feed, slash, source = name.partition("/")
        if by_feed:
            return self.source_code(name, None)
        if slash:
            return self.source_code(feed, source)
        if name in self._unbound:
            return self._unbound[name]
        bound = next((code for code, (feed, source) in enumerate(self._names) if source == name and feed), -1)
        if bound >= 0:
            return bound
        code = self._unbound[name] = len(self._names)
        self._names.append(("", name))
        self._tell_source(code, -1, True)
        return code

    def push(self, columns: Columns, ingest: int) -> Firings:
        """Events of one journal entry, known together at `ingest` (city time µs); moves the clock to it first (deadlines fire)."""
        said = self._moved(ingest) if self._series else []
        rows, told = self._take(columns, ingest)
        if not self._series:
            return Firings(*self._memory.copied(rows, told)) if rows else _NOTHING
        self._alerts.begin()
        self._series.push(columns, int(self._memory.meta[layout.CLOCK]))
        self._alerts.spread(columns)
        return self._firings(said)

    def _take(self, columns: Columns, ingest: int) -> tuple[int, int]:
        """Lets the kernels take columns and work on them. Returns how many rows of output and of evidence there are."""
        full = self._enter(self._memory.m, ingest, columns)
        if full is None:
            columns = _plain(columns)
            full = self._enter(self._memory.m, ingest, columns)
        if full == layout.BAD_CODE:
            raise Fatal("columns hold a kind code that Engine.kind_code did not give, or a source code below -1")
        if full == layout.BAD_SHAPE:
            shapes = ", ".join(str(getattr(column, "shape", column)) for column in columns[:_READ])
            raise Fatal(f"columns must have one length and bits {self.words} words a row; found shapes {shapes}")
        return self._run()

    def tick(self, clock: int) -> Firings:
        """Moves the journal clock; deadlines up to `clock - delay` fire."""
        said = self._moved(clock)
        enter_none(self._memory.m, clock)
        self._run()
        return self._firings(said)

    def _moved(self, clock: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """What deadlines say on the way to a clock. Histories forget first, by the clock that was: what was said there has been used since, and what this clock
        brings, however far it is, is decided by all that was known."""
        if self._series:
            self._series.forget(int(self._memory.meta[layout.CLOCK]))
        return self._move(clock)

    def next_move(self) -> int:
        """The earliest clock at which moving it changes anything, `layout.NEVER` for none. For those who know the clock's course beforehand: ticks
        before it need not be told."""
        watermark = int(self._memory.meta[layout.WATERMARK])
        if self._series and self._series.waits(watermark):
            return int(self._memory.meta[layout.CLOCK]) + 1
        at = min(self._memory.next_deadline(), self._series.next(), self._alerts.next())
        return max(at + self.plan.delay, int(self._memory.meta[layout.CLOCK]) + 1) if at < int(layout.NEVER) else int(layout.NEVER)

    def next_deadline(self) -> int:
        """The kernels' earliest deadline, event time µs; `layout.NEVER` for none."""
        return self._memory.next_deadline()

    def matters_from(self, kind: int) -> float:
        """The lowest value at which an event of a kind (by its code) can change anything; inf for never, -inf also without a value."""
        return min(float(self._memory["kinds"]["low"][kind]), self._series.lowest(kind))

    @property
    def by_events(self) -> bool:
        """Whether events and deadlines of the kernels alone decide: then events known at different times may be pushed together, as long as
        no deadline falls between them."""
        return not self._series

    def withdraw(self, seqs: Iterable[int], until: int = int(layout.LONG_AGO)) -> Firings:
        """The events with these `seq` match nothing any more (SEMANTICS 7): they leave the recent store, an absence that one of them
        started is dropped, one that only they answered fires; histories go on without them. Standing facts and areas end at `until`, the
        event time of what took it back. What was heard stays heard. Alerts that rest on the events are the caller's."""
        gone = np.array(sorted(set(seqs)), _INT64)
        memory = self._memory
        enter_none(memory.m, int(memory.meta[layout.CLOCK]))
        bury(memory.m, gone)
        withdraw_verdicts(memory.m, gone)
        pending = memory.use(layout.PENDING_TOP, "pending")
        pending["alive"][np.isin(pending["seq"], gone)] = 0
        facts = memory.use(layout.STANDING, "facts")
        ended = np.isin(facts["seq"], gone)
        facts["until"][ended] = np.minimum(facts["until"][ended], until)
        while (full := restore_answered(memory.m)) != layout.DONE:
            memory.grow(full)
        if self._series:
            self._alerts.begin()
            self._series.withdraw(gone.tolist(), int(memory.meta[layout.CLOCK]), until)
            self._alerts.spread(None)
        return self._firings([])

    @property
    def stale(self) -> int:
        """Samples in a row that came out of order and were left aside, so far."""
        return int(self._memory.meta[layout.STALE])

    def disordered(self, columns: Columns) -> NDArray[np.bool_]:
        """Which events of a batch just pushed may be such samples: older than the newest one of their source, and of a source that ever left rest, or high
        enough for a rule themselves."""
        found = np.zeros(len(columns.seq), _INT64)
        left_aside(self._memory.m, columns.time, columns.source, columns.value, found)
        return np.asarray(found, np.bool_)

    def states(self) -> dict[Any, Any]:
        """Of sources that do not rest: what rules know of them that lasts until other samples end it (`match` with `samples`, `until` or for a time)."""
        states, words = self._memory["track_states"], self._memory["track_words"]
        series = self._memory["series"]
        found: dict[Any, Any] = dict(self._series.states())
        for state in states[(states["key"] >= 0) & (states["active"] > 0)]:
            one = series[int(state["key"]) & 0xFFFFFF]
            found[int(state["key"])] = words[state["words"] : state["words"] + one["track_end"] - one["track"]].tolist()
        return found

    @property
    def listening(self) -> bool:
        """Whether rules look at alerts of other rules."""
        return self._alerts.listening

    def turn(self, turns: Sequence[Turn]) -> Firings:
        """Alerts that the caller found to fall, or to stand again, after a withdrawal: rules that look at them go by it (SEMANTICS 21)."""
        enter_none(self._memory.m, int(self._memory.meta[layout.CLOCK]))
        self._alerts.begin()
        self._alerts.turn(turns)
        return self._firings([])

    def snapshot(self) -> Mapping[str, Any]:
        """Everything needed to go on: numpy arrays and plain values (no objects)."""
        return {
            "format": SNAPSHOT,
            "plan": self._fingerprint(),
            "kinds": [list(key) for key in self._kinds],
            "sources": [list(key) for key in self._names],
            "started": self._started,
            "since": self._memory["rules"]["since"].copy(),
            "series": self._series.save(),
            **self._memory.save(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot. Raises `Fatal` when it was taken with other rules: their numbers would mean other things."""
        if state.get("format") != SNAPSHOT or list(state.get("plan", ())) != self._fingerprint():
            raise Fatal(
                "the snapshot was taken with other rules, time settings or another version of the engine; "
                "replay the journal instead of restoring it"
            )
        self._kinds = {}
        for kind, dimension in state["kinds"]:
            self.kind_code(kind, dimension)
        self._sources, self._names, self._unbound = {}, [], {}
        for feed, source in state["sources"]:
            self._restore_source(feed, source)
        feeds = {feed: code for (feed, source), code in self._sources.items() if source is None}
        for code, (feed, source) in enumerate(self._names):
            self._tell_source(code, feeds.get(feed, -1), source is not None)
        corrects = self._memory.meta[layout.CORRECTS]
        self._memory.load(state)
        self._memory.meta[layout.CORRECTS] = corrects
        self._memory["rules"]["since"] = state["since"]
        self._series.load(state["series"])
        self._series.kinds(list(self._kinds))
        self._started = bool(state["started"])
        self._declared = self._declare()  # the codes are those of the snapshot now
        self._series.declare(self._declared_code)

    def successor(self, plan: Plan, corrects: frozenset[str] | None = frozenset()) -> Engine:
        """An engine for another plan that goes on from this one's state (`adopt.py` says what goes on). This one is not changed."""
        heir = self._heir(plan, corrects)
        plan, kin = heir.plan, kinship(self.plan, heir.plan)
        carry = Carry(self.snapshot(), Side(self.plan, self._tables), Side(plan, heir._tables), kin)
        heir.restore(
            {
                **carry.state,
                "plan": heir._fingerprint(),
                "series": carried(carry.state["series"], kin.same, kin.reworded),
                **carry.carried(),
            }
        )
        if heir._started:
            fresh = newly_declared(self.plan, plan, kin)
            rules = heir._memory["watches"]["rule"]
            rows = [i for i, (watch, name, _) in enumerate(heir._tables.declared) if (int(rules[watch]), name) in fresh]
            heir._start(heir._declared[rows], carry.clock)
            heir._series.begin(carry.clock, False)
        return heir

    def _heir(self, plan: Plan, corrects: frozenset[str] | None) -> Engine:
        return Engine(plan, self._sizes, corrects)

    def _restore_source(self, feed: str, source: str | None) -> None:
        code = len(self._names)
        self._names.append((feed, source))
        if feed == "" and source is not None:
            self._unbound[source] = code
        else:
            self._sources[feed, source] = code

    def counters(self) -> Mapping[str, int]:
        """Matches, entries stored, visited, overwritten inside a window (answers may be incomplete), state bytes ..."""
        meta = self._memory.meta
        return {**{name: int(meta[at]) for name, at in _NAMED.items()}, **self._series.counters(), "state_bytes": self._memory.size()}

    @classmethod
    def warm_up(cls) -> None:
        """Loads every kernel, or compiles them all."""
        LIBRARY.load()

    def _fingerprint(self) -> list[str]:
        plan = self.plan
        return [f"{plan.delay} {plan.lateness}", *(f"{rule.name} {rule.version}" for rule in plan.rules)]

    def _outlet(self, rule: int) -> KernelOutlet:
        return KernelOutlet(self._memory, rule, self._said)

    def _move(self, clock: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Lets the histories' deadlines fire up to a clock, the kernels' in between; what was said."""
        if not self._series:
            return []
        meta, delay = self._memory.meta, self.plan.delay
        before = int(meta[layout.CLOCK])
        if clock <= before or not (self._alerts.listening or self._series.waits(clock - delay)):
            return []
        enter_none(self._memory.m, before)
        self._alerts.begin()
        if self._alerts.listening and self._started:
            self._run_due()
        self._series.move(before, clock, delay, self._step, self._alerts.listening)
        self._alerts.spread(None)
        said = [self._memory.said()] if meta[layout.ROWS] else []
        self._said.causes.clear()
        self._alerts.begin()
        return said

    def _step(self, deadline: int) -> bool:
        """Moves the kernels' clock so far that the watermark is at a deadline of a history, as ticks would have. When rules look at
        alerts: only as far as the next alert that is handed on, and says so."""
        if self._alerts.listening:
            if self._alerts.spread(None):
                return True
            if (own := self._memory.next_deadline()) < deadline:
                self._to(max(own, int(self._memory.meta[layout.WATERMARK])))
                return True
        if deadline > self._memory.meta[layout.WATERMARK]:
            self._to(deadline)
        return False

    def _to(self, watermark: int) -> None:
        meta = self._memory.meta
        meta[layout.CLOCK], meta[layout.WATERMARK] = watermark + self.plan.delay, watermark
        self._run_due()

    def _run_due(self) -> None:
        """What is due in the kernels at their clock."""
        self._memory.meta[layout.MOVED] = 1
        self._run()

    def _run(self) -> tuple[int, int]:
        """Lets the kernels work on what is entered. Returns how many rows of output and of evidence there are."""
        memory = self._memory
        if not self._started:
            self._started = True
            self._start(self._declared, int(memory.meta[layout.CLOCK]))
            self._series.begin(int(memory.meta[layout.CLOCK]), True)
        while True:
            full, rows, told = self._work(memory.m)
            if full == layout.DONE:
                return rows, told
            memory.grow(full)

    def _firings(self, before: list[tuple[NDArray[Any], NDArray[Any]]]) -> Firings:
        """What was said since the last call, after what was said before."""
        memory = self._memory
        if not self._series:
            return Firings(*memory.said()) if memory.meta[layout.ROWS] else _NOTHING
        besides = self._alerts.finish()
        if memory.meta[layout.ROWS]:
            before = [*before, memory.said()]
        before = [*before, *besides]
        labels = dict(self._said.labels)
        self._said.clear()
        return joined(before, labels) if before else _NOTHING

    def _start(self, declared: NDArray[np.int64], clock: int) -> None:
        """Starts the clocks of declared sources: rows of (watch, code)."""
        self._memory.reserve_runs(len(declared))
        watches, subjects = (np.ascontiguousarray(column) for column in declared.T)
        start_watches(self._memory.m, watches, subjects, clock)


_INT64: Final = np.dtype("i8")
_TYPES: Final = tuple(np.dtype(name) for name in ("i8", "i8", "i4", "i4", "f8", "f8", "f8", "u8", "i8"))
_READ: Final = len(_TYPES)  # columns that the kernels read
_READY: Final = 0x101  # numpy's flags of an array in C order and aligned
_NOTHING: Final = Firings(np.empty(0, layout.OUT), np.empty(0, layout.TOLD))


def _plain(columns: Columns) -> Columns:
    """The columns as the kernels read them: copies of those that are of another type, or do not lie in one piece."""
    return Columns(*(_fitting(column, dtype) for column, dtype in zip(columns, _TYPES, strict=False)))


def _fitting(column: Any, dtype: np.dtype[Any]) -> Any:
    if column is None or (type(column) is np.ndarray and column.dtype is dtype and column.flags.num & _READY == _READY):
        return column
    made = np.empty(np.shape(column), dtype)  # its type is this very object, which is what machine code looks for
    made[...] = column
    return made
