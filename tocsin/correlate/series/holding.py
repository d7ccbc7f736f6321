"""Whether a rule still holds for a key of its history, and since when it does not: for alerts that close then (`resolve.below_for`)."""

from __future__ import annotations

from typing import Any, Protocol

from .outlet import KernelOutlet
from .sample import LONG_AGO, Found
from .track import Outlet, State, Ticket, Track


class Groups(Protocol):
    """Who is told (`parts/grouping.py`)."""

    def own(self, number: int, key: Any) -> None: ...
    def turn(self, row: int, key: Any, since: int) -> None: ...


class Holding:
    """Of one rule. `outlet`: says how much has been said so far."""

    def __init__(self, groups: Groups, outlet: KernelOutlet) -> None:
        self._groups = groups
        self._rows = outlet

    def marked(self, outlet: Outlet, track: Track) -> Outlet:
        """The outlet for the matches of one key."""
        return _Marked(outlet, self._groups, track)

    def look(self, track: Track) -> None:
        """After something happened to a history."""
        machine = track.machine
        if track.off >= 0 and track.samples and track.off <= track.samples[-1].time and not machine.holds(track.tail):
            return
        since = stopped(track)
        if since != track.off:
            track.off = since
            self._groups.turn(self._rows.said, track.key, since)


class _Marked:
    def __init__(self, inner: Outlet, groups: Groups, track: Track) -> None:
        self._inner = inner
        self._groups = groups
        self._track = track

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A new match of the key."""
        number, slot = self._inner.fire(found, label, cause)
        self._groups.own(number, self._track.key)
        self._track.off = -1  # to be said again: the alert may be a new one
        return number, slot

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        """As the outlet does."""
        self._inner.amend(ticket, found, cause)

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """As the outlet does."""
        self._inner.take_back(ticket, cause)


def stopped(track: Track) -> int:
    """When the condition of a history last stopped holding, µs; `NEVER` while it holds, a time to come when it will stop by then."""
    samples = track.samples
    if track.machine.holds(track.tail):
        return track.machine.falls(track.tail, samples, len(samples))
    for i in range(len(samples) - 1, -2, -1):
        off = _stopped_after(track, i)
        if off is not None:
            return off
    return samples[0].time if samples else LONG_AGO


def _stopped_after(track: Track, i: int) -> int | None:
    """When it last stopped holding between samples[i] and the next one, that one included; it does not hold after it."""
    machine, samples = track.machine, track.samples
    last = i + 1 == len(samples)
    end = track.passed + 1 if last else samples[i + 1].time
    state: State = track.states[i] if i >= 0 else track.base
    off: int | None = None
    holds = machine.holds(state)
    while (due := machine.due(state)) < end:
        state = machine.expire(state, due, samples, i + 1, [])
        if holds and not machine.holds(state):
            off = due
        holds = machine.holds(state)
    return min(end, machine.falls(state, samples, i + 1)) if holds and not last else off
