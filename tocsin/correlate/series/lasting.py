"""`match` for T: everything heard over a span of time passed (SEMANTICS 17)."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.model.plan import Match

from .sample import NEVER, Found, Sample, at_deadline, at_sample
from .track import Steady

OF, UNTIL = 1, 2  # flags


class Lasting(NamedTuple):
    """`start`: first sample of the unbroken run (empty: none), `length` samples long, the newest at `last`. `off`: samples in a row that
    passed `until`."""

    on: bool = False
    start: tuple[object, ...] = ()
    length: int = 0
    last: int = 0
    off: int = 0


class LastingMachine(Steady):
    """The history holds all samples of the selector, and of `until` where it has one."""

    def __init__(self, when: Match) -> None:
        self._when = when
        self._samples = max(when.samples, 1)
        self.reach = 0
        self.blank = tuple(Lasting())

    def step(self, saved: tuple[object, ...], samples: list[Sample], i: int, out: list[Found]) -> tuple[object, ...]:
        """Judges a sample."""
        state, sample = Lasting(*saved), samples[i]  # type: ignore[arg-type]
        if state.on and self._when.until is not None:
            off = state.off + 1 if sample.flags & UNTIL else 0
            return self.blank if off >= self._samples else tuple(state._replace(off=off))
        if not sample.flags & OF:
            return self.blank
        broken = not state.start or (self._when.max_gap > 0 and sample.time - state.last > self._when.max_gap)
        if broken:
            state = Lasting(start=tuple(sample), length=1, last=sample.time)
        else:
            state = state._replace(length=state.length + 1, last=sample.time)
        if not state.on and state.length >= self._samples and sample.time >= self._end(state):
            out.append(at_sample(sample, (Sample(*state.start),)))  # type: ignore[arg-type]
            state = state._replace(on=True)
        return tuple(state)

    def due(self, saved: tuple[object, ...]) -> int:
        """When the run will have lasted long enough, if its newest sample still speaks then."""
        state = Lasting(*saved)  # type: ignore[arg-type]
        if state.on or not state.start or state.length < self._samples:
            return NEVER
        end = self._end(state)
        return NEVER if 0 < self._when.max_gap < end - state.last else end

    def expire(self, saved: tuple[object, ...], at: int, samples: list[Sample], i: int, out: list[Found]) -> tuple[object, ...]:
        """The run has lasted long enough between two samples."""
        state = Lasting(*saved)  # type: ignore[arg-type]
        if i:  # else all that it rests on was cancelled, too late to be judged again
            out.append(at_deadline(samples[i - 1], at, (Sample(*state.start),)))  # type: ignore[arg-type]
        return tuple(state._replace(on=True))

    def ready(self, _found: Found, _samples: list[Sample]) -> bool:
        """Always."""
        return True

    def holds(self, saved: tuple[object, ...]) -> bool:
        """While it is on."""
        return Lasting(*saved).on  # type: ignore[arg-type]

    def ahead(self, saved: tuple[object, ...]) -> tuple[object, ...]:
        """What decides about the samples to come."""
        state = Lasting(*saved)  # type: ignore[arg-type]
        return (state.off, state.last) if state.on else saved

    def _end(self, state: Lasting) -> int:
        return int(state.start[0]) + self._when.lasting  # type: ignore[call-overload, no-any-return]
