"""Baselines of a rate learnt from history: what was usual in every hour of the week (SEMANTICS 15, `model.operators.Baseline`).

History comes as record batches in journal order; corrections in it are followed. Only whole weeks count, the newest ones: 7 x n local days that
end with the last local midnight of the history, and whose first window lies in the history, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.kernel.fault import Fatal
from tocsin.model.baseline import HOURS
from tocsin.model.plan import Learnt, Plan, Rate, RulePlan
from tocsin.model.time import HOUR, from_datetime, to_iso

from .codebook import CodeBook
from .corrections import Corrections
from .engine import Engine
from .series.keys import Keyer
from .series.picker import Ask, Picker
from .series.rate import WeekHours
from .series.runner import samples_of

#: Places of Python's calendar at which learning gives up: nobody has so much history.
_WEEKS_MAX: Final = 5_200
_QUARTER: Final = HOUR // 4
_KEYS_OF_THINGS: Final = ("source", "feed", "fields")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learnt. `start`, `end`: the whole weeks, µs. `short`: keys with a history shorter than the rule asks for. `gaps`: keys
    that have hours of the week in which nothing can be said (a mean of nothing), so that they were left out."""

    learnt: tuple[Learnt, ...]
    start: int
    end: int
    weeks: int
    events: int
    short: int
    gaps: int


class History:
    """Takes batches, gives a lesson. `rule`: a `rate` with a baseline; its exceptions do not count, for they are not what is usual."""

    def __init__(self, rule: RulePlan, timezone: str) -> None:
        when = rule.when
        if not isinstance(when, Rate) or when.baseline is None:
            raise Fatal(f"rule {rule.name!r} has no baseline to learn; write baseline: {{sigmas: 3}} under its rate")
        self._when, self._needed = when, when.baseline.weeks
        self._timezone = timezone
        plan = Plan((RulePlan(rule.name, rule.version, "", "", when, rule.alert),), timezone=timezone)
        self._engine = Engine(plan)
        self._codebook = CodeBook(self._engine, plan)
        self._corrections = Corrections(plan)
        self._keyer = Keyer(when.key, self._engine.source_name)
        self._more = (when.distinct,) if when.measure == "sources" and when.distinct != "source" else ()
        self._picker = Picker([(Ask(when.of, valued=when.measure in ("sum", "mean")),)], self._engine.predicates)
        self._facts: dict[Any, dict[int, tuple[int, float, Any]]] = {}  # key -> seq -> time, value, voice
        self._span: tuple[int, int] | None = None

    def take(self, batch: pa.RecordBatch, ingest: int, entry: int) -> None:
        """One more batch, known at `ingest`; `entry`: its number, ascending."""
        runs = self._corrections.runs(batch, ingest, entry)
        columns = self._codebook.columns(batch, ingest, entry)
        if len(columns.time):
            first, last = int(columns.time.min()), int(columns.time.max())
            self._span = (first, last) if self._span is None else (min(first, self._span[0]), max(last, self._span[1]))
        self._picker.kinds(list(self._engine.kinds))
        facts = np.ones(batch.num_rows, np.bool_) if runs is None else np.zeros(batch.num_rows, np.bool_)
        for run in runs or ():
            facts[run.start : run.stop] = True
            for known in self._facts.values():
                for seq in run.withdrawn:
                    known.pop(seq, None)
        fields = (*self._keyer.fields, *self._more)
        width = len(self._keyer.fields)
        for _, rows, flags in self._picker.pick(columns, -(1 << 62))[0]:
            wanted = facts[rows]
            for sample in samples_of(columns, rows[wanted], flags[wanted], fields):
                voice = sample.more[width] if self._more else sample.source
                for key in self._keyer.keys(sample, sample.more[:width]):
                    self._facts.setdefault(key, {})[sample.seq] = sample.time, sample.value, voice

    @property
    def span(self) -> tuple[int, int] | None:
        """Event times of the first and the last event, of whatever kind; None before any came."""
        return self._span

    def lesson(self, start: int | None = None, end: int | None = None) -> Lesson:
        """What the history from `start` to `end` teaches (µs; the first and the last event when None). Raises Fatal when it is too short,
        saying what there is and what is needed."""
        if self._span is None:
            raise Fatal(f"the history holds no event at all; {_needs(self._needed)}")
        first, last = start if start is not None else self._span[0], end if end is not None else self._span[1] + 1
        begin, stop, weeks = self._weeks(first, last)
        if weeks < self._needed:
            found = f"the history from {to_iso(first)} to {to_iso(last)} holds {weeks} whole week{'s' * (weeks != 1)}"
            raise Fatal(f"{found} from midnight to midnight in {self._timezone}; {_needs(self._needed)}")
        instants, hours = self._instants(begin, stop)
        learnt, short, gaps, events = [], 0, 0, 0
        for key in sorted(self._facts, key=self._keyer.text):
            facts = sorted((time, value, voice) for time, value, voice in self._facts[key].values() if first <= time < last)
            events += len(facts)
            own = weeks
            if self._when.key.by in _KEYS_OF_THINGS:
                own = self._weeks(facts[0][0], stop)[2] if facts else 0
            if not own:
                short += 1
                continue
            skip = int(np.searchsorted(instants, self._midnight(stop, -7 * own), "right"))
            one = self._learn(self._keyer.text(key), own, facts, instants[skip:], hours[skip:])
            gaps += one is None
            short += own < self._needed
            learnt += [one] if one is not None else []
        return Lesson(tuple(learnt), begin, stop, weeks, events, short, gaps)

    def _weeks(self, first: int, last: int) -> tuple[int, int, int]:
        """The whole weeks of a history: begin, end, how many."""
        zone = ZoneInfo(self._timezone)
        stop = from_datetime(datetime.combine(_local(last, zone).date(), time(), zone))
        weeks = 0
        begin = stop
        while weeks < _WEEKS_MAX:
            earlier = self._midnight(stop, -7 * (weeks + 1))
            if earlier < first or earlier + HOUR - self._when.during < first:
                break
            begin, weeks = earlier, weeks + 1
        return begin, stop, weeks

    def _midnight(self, midnight: int, days: int) -> int:
        """The local midnight so many days after another one."""
        zone = ZoneInfo(self._timezone)
        day = _local(midnight, zone).date() + timedelta(days=days)
        return from_datetime(datetime.combine(day, time(), zone))

    def _instants(self, begin: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ends of windows, ascending, and the hour of the week that each stands for."""
        ends: list[int] = []
        hours: list[int] = []
        for hour, first, last in _real_hours(begin, stop, self._timezone):
            step = self._when.during if self._when.during < HOUR else last - first
            inside = range(first + step, last + 1, step)
            ends += inside
            hours += [hour] * len(inside)
        return np.array(ends, np.int64), np.array(hours, np.int64)

    def _learn(
        self, key: str, weeks: int, facts: Sequence[tuple[int, float, Any]], ends: NDArray[np.int64], hours: NDArray[np.int64]
    ) -> Learnt | None:
        """Mean and population sigma of every hour of the week; None when an hour has no sample."""
        times = np.array([fact[0] for fact in facts], np.int64)
        low = np.searchsorted(times, ends - self._when.during, "left")
        high = np.searchsorted(times, ends, "right")
        measures = _measured(self._when.measure, facts, low, high)
        means, sigmas = [], []
        for hour in range(HOURS):
            own = [measure for measure in measures[hours == hour].tolist() if not math.isnan(measure)]
            if not own:
                return None
            mean = math.fsum(own) / len(own)
            means.append(mean)
            sigmas.append(math.sqrt(math.fsum((measure - mean) ** 2 for measure in own) / len(own)))
        return Learnt(key, weeks, tuple(means), tuple(sigmas))


def _measured(
    measure: str, facts: Sequence[tuple[int, float, Any]], low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The measure of every window [low, high) of the facts; NaN for the mean of nothing."""
    counts = (high - low).astype(np.float64)
    if measure == "count":
        return counts
    if measure == "sources":
        spans = zip(low.tolist(), high.tolist(), strict=True)
        return np.array([len({fact[2] for fact in facts[first:last]} - {None}) for first, last in spans], np.float64)
    spans = zip(low.tolist(), high.tolist(), strict=True)
    sums = np.array([math.fsum(fact[1] for fact in facts[first:last]) for first, last in spans], np.float64)
    if measure == "sum":
        return sums
    means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1.0), math.nan)
    return means


def _real_hours(begin: int, stop: int, timezone: str) -> Iterator[tuple[int, int, int]]:
    """Hours of the wall clock as they really passed: (hour of the week, first instant, end). One that the clock goes through twice comes
    twice, one that it skips not at all."""
    zone, week = ZoneInfo(timezone), WeekHours(timezone)
    known: tuple[int, timedelta | None] | None = None
    first = begin
    for quarter in range(begin, stop, _QUARTER):
        here = week.hour(quarter), _local(quarter, zone).utcoffset()
        if known is not None and here != known:
            yield known[0], first, quarter
            first = quarter
        known = here
    if known is not None:
        yield known[0], first, stop


def _local(instant: int, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(zone)


def _needs(weeks: int) -> str:
    return f"the rule needs {weeks}: wait, give it an older history, or write fewer weeks under its baseline"
