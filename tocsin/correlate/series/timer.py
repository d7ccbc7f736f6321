"""`timer`: a deadline since the last X, with early warnings before it (SEMANTICS 13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tocsin.model.plan import Plan, Timer
from tocsin.model.time import format_span

from .keyed import Keyed
from .keys import Keyer, KeyValue
from .sample import EARLY, NEVER, Found, Sample, at_deadline
from .saving import load_samples, save_samples
from .track import Outlet, Steady, Track

START, STOP = 1, 2  # flags


class TimerMachine(Steady):
    """The history holds what starts and what stops; the state is () or (start, when the span began, next of its instants, turn)."""

    def __init__(self, when: Timer) -> None:
        self._when = when
        self._instants = [(when.during - span, f"early {format_span(span)}") for span in sorted(set(when.warn), reverse=True)]
        self._instants.append((when.during, ""))
        self.reach = 0
        self.blank: tuple[Any, ...] = ()

    def step(self, state: tuple[Any, ...], samples: list[Sample], i: int, _out: list[Found]) -> tuple[Any, ...]:
        """A start or a stop. What stops at the time of a start stops it, whichever came first."""
        sample = samples[i]
        if sample.flags & STOP:
            return ()
        if state and not self._when.restart:
            return state
        j = i - 1
        while j >= 0 and samples[j].time == sample.time:
            if samples[j].flags & STOP:
                return state
            j -= 1
        return tuple(sample), sample.time, 0, 1

    def due(self, state: tuple[Any, ...]) -> int:
        """The next early warning, or the deadline."""
        return int(state[1]) + self._instants[state[2]][0] if state else NEVER

    def expire(self, state: tuple[Any, ...], at: int, _samples: list[Sample], _i: int, out: list[Found]) -> tuple[Any, ...]:
        """A warning or the deadline."""
        start, began, instant, turn = state
        label = ", ".join(part for part in (self._instants[instant][1], f"turn {turn}" if turn > 1 else "") if part)
        found = at_deadline(Sample(*start), at, label=label)
        last = instant + 1 == len(self._instants)
        out.append(found if last else found._replace(evidence=((found.anchor.seq, EARLY),)))
        if not last:
            return start, began, instant + 1, turn
        return (start, at, 0, turn + 1) if self._when.repeat else ()

    def ready(self, found: Found, samples: list[Sample]) -> bool:
        """No deadline fires when something newer is known already, even of after the deadline."""
        for sample in reversed(samples):
            if sample[:2] <= found.anchor[:2]:
                return True
            if sample.flags & STOP or self._when.restart:
                return False
        return True


class TimerRule(Keyed):
    """A word of `until` that lacks some fields of the key stops the timers of all keys that agree with it in the others."""

    def __init__(self, when: Timer, keyer: Keyer, outlet: Outlet, plan: Plan) -> None:
        machine = TimerMachine(when)
        super().__init__(lambda _key: machine, keyer, outlet, plan)
        self._stops: list[tuple[Sample, tuple[Any, ...]]] = []

    def take(self, samples: Sequence[Sample], clock: int) -> None:
        """Starts and stops in journal order."""
        if not self._keyer.fields:
            super().take(samples, clock)
            return
        for sample in samples:
            links = sample.more
            own = sample._replace(more=())
            if sample.flags & STOP:
                self._stops.append((own, links))
                self._seen.add(own.seq)
                for key in [key for key in self._tracks if _agrees(key, links)]:
                    self._add(key, own, clock)
            elif None not in links:
                if links not in self._tracks:
                    self._tracks[links] = self._with_stops(links)
                self._add(links, own, clock)

    def _with_stops(self, key: KeyValue) -> Track:
        """A new history knows the stops that came before its start did."""
        track = self._new(key)
        for stop, links in sorted(self._stops):
            if _agrees(key, links):
                track.add(stop)
        return track

    def withdraw(self, seqs: frozenset[int], clock: int, at: int) -> None:
        """Events are taken back."""
        self._stops = [(stop, links) for stop, links in self._stops if stop.seq not in seqs]
        super().withdraw(seqs, clock, at)

    def prune(self, clock: int) -> None:
        """Stops that no late start can precede are forgotten, too."""
        self._stops = [(stop, links) for stop, links in self._stops if stop.time >= clock - self._keep]
        super().prune(clock)

    def _positions(self) -> set[int]:
        """Stops among them."""
        return super()._positions() | {stop.seq for stop, _ in self._stops}

    def running(self) -> set[int]:
        """Events whose timers run: one that repeats may do so for ever."""
        return {track.tail[0][1] for track in self._tracks.values() if track.tail}

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        stops = [stop._replace(more=links) for stop, links in self._stops]
        return {**super().save(), "stops": save_samples(stops)}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._stops = [(stop._replace(more=()), stop.more) for stop in load_samples(state["stops"])]
        super().load(state)


def _agrees(key: tuple[Any, ...], links: tuple[Any, ...]) -> bool:
    return all(link is None or link == own for own, link in zip(key, links, strict=True))
