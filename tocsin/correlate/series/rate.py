"""`rate`: too much in a span of time, over a number or over what is usual at this hour of the week (SEMANTICS 15)."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.model.plan import Learnt, Rate

from .sample import LONG_AGO, NEVER, Found, Sample, at_sample
from .track import Plain

#: Rounding forgiven in sums and means.
SLACK: Final = 1e-9
_EVIDENCE: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER: Final = 900_000_000  # µs; no time zone changes its offset within one
_HOURS: Final = 168


class WeekHours:
    """Hours of the week in a time zone, Monday 00 h first."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._known: dict[int, int] = {}

    def hour(self, time: int) -> int:
        """The hour of the week in which an instant lies."""
        quarter = time // _QUARTER
        hour = self._known.get(quarter)
        if hour is None:
            local = (_EPOCH + timedelta(microseconds=quarter * _QUARTER)).astimezone(self._zone)
            hour = self._known[quarter] = local.weekday() * 24 + local.hour
            if len(self._known) > 8 * _HOURS:
                del self._known[next(iter(self._known))]
        return hour


class RateMachine(Plain):
    """The history holds the passing events; the state is whether the measure is too high. `learnt`: what is usual for this key."""

    def __init__(self, when: Rate, hours: WeekHours, learnt: Learnt | None) -> None:
        self._when = when
        self._hours = hours
        usable = when.baseline is not None and learnt is not None and learnt.weeks >= when.baseline.weeks
        self._learnt = learnt if usable else None
        self._measure = _MEASURES[when.measure]
        self.reach = when.during * max(when.windows, 1)
        self.blank = False

    def step(self, state: bool, samples: list[Sample], i: int, out: list[Found]) -> bool:
        """An event arrives: true now, and not just before?"""
        newest = samples[i]
        on = state and i > 0 and self._stayed(samples, i, newest.time)
        first = bisect_left(samples, (newest.time - self.reach, LONG_AGO), 0, i)
        if not self._holds(samples, i + 1, newest.time, self._when.windows <= 1):
            return False
        if not on:
            others = samples[max(first, i + 1 - _EVIDENCE) : i]
            out.append(at_sample(newest, tuple(reversed(others))))
        return True

    def falls(self, _state: bool, samples: list[Sample], end: int) -> int:
        """When so many events have left that it measures too little."""
        if not end:
            return NEVER
        newest = samples[end - 1].time
        instants = self._instants(samples, end, newest, newest + self.reach + 1)
        return next((instant for instant in instants if not self._holds(samples, end, instant, False)), NEVER)

    def _stayed(self, samples: list[Sample], i: int, until: int) -> bool:
        """Whether it stayed true between samples[i - 1] and an instant, while events left and hours began."""
        return all(self._holds(samples, i, instant, False) for instant in self._instants(samples, i, samples[i - 1].time, until))

    def _instants(self, samples: list[Sample], i: int, after: int, before: int) -> list[int]:
        """Instants between two samples at which the measure or its threshold may change."""
        found: set[int] = set()
        for window in range(1, max(self._when.windows, 1) + 1):
            back = window * self._when.during
            for j in range(bisect_left(samples, (after - back, LONG_AGO), 0, i), i):
                if not after <= samples[j].time + back < before:
                    break
                found.add(samples[j].time + back)
        if self._learnt is not None:
            for window in range(max(self._when.windows, 1)):
                shift = window * self._when.during
                quarters = range((after - shift) // _QUARTER + 1, -(-(before - shift) // _QUARTER))
                found.update(
                    q * _QUARTER + shift for q in quarters if self._hours.hour(q * _QUARTER) != self._hours.hour((q - 1) * _QUARTER)
                )
        return sorted(instant for instant in found if after <= instant < before)

    def _holds(self, samples: list[Sample], end: int, time: int, closed: bool) -> bool:
        """Whether every window that ends at `time` measures too much in samples[:end]. `closed`: the first instant belongs to the window."""
        when = self._when
        for window in range(max(when.windows, 1)):
            to = time - window * when.during
            start = to - when.during
            first = bisect_left(samples, (start, LONG_AGO), 0, end) if closed else bisect_right(samples, (start, NEVER), 0, end)
            last = bisect_right(samples, (to, NEVER), first, end)
            measure = self._measure(samples, first, last)
            if measure is None:
                return False
            threshold = self._threshold(to)
            slack = SLACK * max(abs(measure), abs(threshold)) if when.measure in ("sum", "mean") or self._learnt else 0.0
            heard = measure if when.measure == "sources" else last - first
            if measure <= threshold + slack or heard < when.least:
                return False
        return True

    def _threshold(self, time: int) -> float:
        if self._learnt is None or self._when.baseline is None:
            return self._when.above
        hour = self._hours.hour(time)
        return self._learnt.means[hour] + self._when.baseline.sigmas * self._learnt.sigmas[hour]


def _count(_samples: list[Sample], first: int, last: int) -> float:
    return last - first


def _sources(samples: list[Sample], first: int, last: int) -> float:
    """Different sources, or values of the field asked for; an event that lacks it counts for nothing."""
    return len({_voice(samples[j]) for j in range(first, last)} - {None})


def _voice(sample: Sample) -> object:
    return sample.more[0] if sample.more else sample.source


def _sum(samples: list[Sample], first: int, last: int) -> float:
    return math.fsum(samples[j].value for j in range(first, last))


def _mean(samples: list[Sample], first: int, last: int) -> float | None:
    return _sum(samples, first, last) / (last - first) if last > first else None


_MEASURES: Final[dict[str, Callable[[list[Sample], int, int], float | None]]] = {
    "count": _count,
    "sources": _sources,
    "sum": _sum,
    "mean": _mean,
}
