"""`accumulate`: a condition true for long enough in total, or an integral large enough, within a span (SEMANTICS 16).

How fast the total grows is constant between the instants at which a sample speaks, falls silent or leaves the span, so the
instant at which the total is reached is worked out exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any, NamedTuple

from tocsin.model.plan import Accumulate

from .sample import LONG_AGO, NEVER, Found, Sample, at_deadline, at_sample
from .track import Steady

#: Rounding: an integral may miss by this part of what is asked, an instant by this part of a microsecond.
SLACK, GRAIN = 1e-12, 1e-3
_EVIDENCE = 64


class Tally(NamedTuple):
    """`now`: how far it is worked out. `voices`: (selector, source, silent from, passes, value). `spans`: (from, to, how fast the total
    grew), those within the span that ends now; the last may still grow. `on`: the total is reached."""

    now: int = LONG_AGO
    on: bool = False
    voices: tuple[tuple[int, int, int, bool, float], ...] = ()
    spans: tuple[tuple[int, int, float], ...] = ()


class AccumulateMachine(Steady):
    """The history holds all samples of every selector; flag 2i: of selector i, flag 2i + 1: passing it."""

    def __init__(self, when: Accumulate) -> None:
        self._when = when
        self._selectors = 1 + len(when.also)
        self._wanted: float = when.total if when.integral is None else when.integral * 1e6
        self.reach = when.during + when.hold
        self.blank = tuple(Tally())

    def step(self, saved: tuple[Any, ...], samples: list[Sample], i: int, out: list[Found]) -> tuple[Any, ...]:
        """A sample speaks from now on."""
        sample = samples[i]
        state = self._advance(Tally(*saved), sample.time)
        state = self._judge(state, out, lambda: at_sample(sample, self._evidence(samples, i)))
        voices = [voice for voice in state.voices if not (voice[1] == sample.source and sample.flags >> 2 * voice[0] & 1)]
        for selector in range(self._selectors):
            if sample.flags >> 2 * selector & 1:
                passes = bool(sample.flags >> (2 * selector + 1) & 1)
                voices.append((selector, sample.source, sample.time + self._when.hold, passes, sample.value))
        return tuple(state._replace(voices=tuple(sorted(voices))))

    def due(self, saved: tuple[Any, ...]) -> int:
        """When somebody falls silent, something leaves the span, or the total is reached."""
        state = Tally(*saved)
        if not state.voices and not state.spans:
            return NEVER
        ends = [voice[2] for voice in state.voices]
        ends += [
            edge + self._when.during for first, last, _ in state.spans for edge in (first, last) if edge + self._when.during > state.now
        ]
        following = min(ends, default=NEVER)
        total, pace = self._total(state), self._pace(state)
        missing = self._wanted - total
        if not state.on and pace > 0 and missing > 0:
            following = min(following, state.now + max(1, math.ceil(missing / pace - GRAIN)))
        return following

    def expire(self, saved: tuple[Any, ...], at: int, samples: list[Sample], i: int, out: list[Found]) -> tuple[Any, ...]:
        """One of these instants."""
        state = self._advance(Tally(*saved), at)
        # nothing to tell of when all that spoke was taken back too late to be judged again
        state = self._judge(state, out, lambda: at_deadline(samples[i - 1], at, self._evidence(samples, i - 1)) if i else None)
        state = state._replace(voices=tuple(voice for voice in state.voices if voice[2] > at))
        return tuple(state) if state.voices or state.spans or state.on else self.blank

    def ready(self, _found: Found, _samples: list[Sample]) -> bool:
        """Always."""
        return True

    def holds(self, saved: tuple[Any, ...]) -> bool:
        """While the total is reached."""
        return Tally(*saved).on

    def _judge(self, state: Tally, out: list[Found], found: Any) -> Tally:
        reached = self._total(state) >= self._wanted * (1 - SLACK if self._when.integral is not None else 1)
        if reached and not state.on and (match := found()) is not None:
            out.append(match)
        return state._replace(on=reached)

    def _speed(self, state: Tally) -> float:
        """How fast the total grows now, not counting what leaves the span."""
        speaking = [voice for voice in state.voices if voice[3]]
        if len({voice[0] for voice in speaking}) < self._selectors:
            return 0.0
        return 1.0 if self._when.integral is None else math.fsum(voice[4] for voice in speaking if voice[0] == 0)

    def _pace(self, state: Tally) -> float:
        """How fast the total within the span changes just after now."""
        start = state.now - self._when.during
        leaving = next((speed for first, last, speed in state.spans if first <= start < last), 0.0)
        return self._speed(state) - leaving

    def _total(self, state: Tally) -> float:
        start = state.now - self._when.during
        parts = [(last - max(first, start)) * speed for first, last, speed in state.spans if last > start]
        return math.fsum(parts)

    def _advance(self, state: Tally, time: int) -> Tally:
        """Lets the total grow up to a time at which nothing but that has happened since."""
        speed = self._speed(state)
        spans = [span for span in state.spans if span[1] > time - self._when.during]
        if speed != 0.0 and time > state.now:
            if spans and spans[-1][1] == state.now and spans[-1][2] == speed:
                spans[-1] = (spans[-1][0], time, speed)
            else:
                spans.append((state.now, time, speed))
        return state._replace(now=time, spans=tuple(spans))

    def _evidence(self, samples: list[Sample], i: int) -> tuple[Sample, ...]:
        """The newest samples of the span that passed."""
        first = bisect_left(samples, (samples[i].time - self._when.during, LONG_AGO), 0, i)
        passing = [sample for sample in samples[first:i] if sample.flags & 0xAAAAAAAAAAAAAAAA]
        return tuple(reversed(passing[-_EVIDENCE:]))
