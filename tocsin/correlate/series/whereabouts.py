"""`zone`: something of one's own enters, leaves or stays in a place, by its positions alone (SEMANTICS 19)."""

from __future__ import annotations

from typing import Any

from tocsin.correlate.geometry import chord_limit
from tocsin.model.plan import ZoneEvent

from .places import chord
from .sample import NEVER, Found, Sample, at_deadline, at_sample
from .track import Plain, Steady
from .zones import ZoneIndex


class BorderMachine(Plain):
    """`enters`, `leaves`. The state: the zones of the newest position."""

    def __init__(self, when: ZoneEvent, zones: ZoneIndex) -> None:
        self._when = when
        self._zones = zones
        self.reach = 0
        self.blank: tuple[int, ...] = ()

    def step(self, state: tuple[int, ...], samples: list[Sample], i: int, out: list[Found]) -> tuple[int, ...]:
        """A position."""
        sample = samples[i]
        before = samples[i - 1] if i else None
        stale = self._when.max_gap > 0 and (before is None or sample.time - before.time > self._when.max_gap)
        was = () if stale else state
        now = tuple(self._zones.covering(sample.lon, sample.lat))
        entering = self._when.what == "enters"
        crossed = [zone for zone in now if zone not in was] if entering else [zone for zone in was if zone not in now]
        for zone in crossed:
            others = (before,) if before is not None and not entering else ()
            out.append(at_sample(sample, others, self._zones.names[zone]))
        return now


class DwellMachine(Steady):
    """`dwells`. The state: time of the newest position, and per zone it lies in (zone, first position of the run, whether it has fired)."""

    def __init__(self, when: ZoneEvent, zones: ZoneIndex) -> None:
        self._when = when
        self._zones = zones
        self.reach = 0
        self.blank: tuple[Any, ...] = (0, ())

    def step(self, state: tuple[Any, ...], samples: list[Sample], i: int, out: list[Found]) -> tuple[Any, ...]:
        """A position."""
        sample, (last, stays) = samples[i], state
        broken = 0 < self._when.max_gap < sample.time - last
        known = {} if broken else {zone: (start, fired) for zone, start, fired in stays}
        made = []
        for zone in self._zones.covering(sample.lon, sample.lat):
            start, fired = known.get(zone, (tuple(sample), False))
            if not fired and sample.time >= start[0] + self._when.lasting:
                out.append(at_sample(sample, (Sample(*start),), self._zones.names[zone]))
                fired = True
            made.append((zone, start, fired))
        return sample.time, tuple(made)

    def due(self, state: tuple[Any, ...]) -> int:
        """When the next of the stays will have lasted long enough, if the newest position still counts then."""
        last, stays = state
        ends = [start[0] + self._when.lasting for _, start, fired in stays if not fired]
        return min((end for end in ends if not 0 < self._when.max_gap < end - last), default=NEVER)

    def expire(self, state: tuple[Any, ...], at: int, samples: list[Sample], i: int, out: list[Found]) -> tuple[Any, ...]:
        """Some stay has lasted long enough between two positions."""
        last, stays = state
        made = []
        for zone, start, has_fired in stays:
            fires = not has_fired and start[0] + self._when.lasting == at
            if fires and i:  # else every position was cancelled, too late to be judged again
                out.append(at_deadline(samples[i - 1], at, (Sample(*start),), self._zones.names[zone]))
            made.append((zone, start, has_fired or fires))
        return last, tuple(made)

    def ready(self, _found: Found, _samples: list[Sample]) -> bool:
        """Always."""
        return True

    def holds(self, state: tuple[Any, ...]) -> bool:
        """While it stays in a zone in which it has dwelt for long enough."""
        return any(fired for _, _, fired in state[1])


class StayMachine(Plain):
    """`stays`: all positions over a span lie near the newest one. The state: whether they do."""

    def __init__(self, when: ZoneEvent) -> None:
        self._when = when
        self._limit = chord_limit(when.radius)
        self.reach = when.lasting + when.max_gap
        self.blank = False

    def step(self, state: bool, samples: list[Sample], i: int, out: list[Found]) -> bool:
        """A position: looks back until the span is full, a gap is too long or a position too far away."""
        newest, first = samples[i], i
        while newest.time - samples[first].time < self._when.lasting:
            before = first - 1
            if before < 0 or 0 < self._when.max_gap < samples[first].time - samples[before].time:
                return False
            if chord(newest, samples[before]) > self._limit:
                return False
            first = before
        if not state:
            out.append(at_sample(newest, (samples[first],)))
        return True
