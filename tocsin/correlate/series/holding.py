"""Whether a rule still holds for a key of its history, and since when it does not: for alerts that close then (`resolve.below_for`)."""

from __future__ import annotations

from typing import Any, Protocol

from .outlet import KernelOutlet
from .sample import LONG_AGO, NEVER, Found
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

    def marked(self, outlet: Outlet, key: Any) -> Outlet:
        """The outlet for the matches of one key."""
        return _Marked(outlet, self._groups, key)

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
    def __init__(self, inner: Outlet, groups: Groups, key: Any) -> None:
        self._inner = inner
        self._groups = groups
        self._key = key

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A new match of the key."""
        number, slot = self._inner.fire(found, label, cause)
        self._groups.own(number, self._key)
        return number, slot

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        """As the outlet does."""
        self._inner.amend(ticket, found, cause)

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """As the outlet does."""
        self._inner.take_back(ticket, cause)


def stopped(track: Track) -> int:
    """When the condition of a history last stopped holding, µs; `NEVER` while it holds, a time to come when it will stop by then."""
    machine, samples, states = track.machine, track.samples, track.states
    if machine.holds(track.tail):
        return machine.falls(track.tail, samples, len(samples))
    last = next((i for i in reversed(range(len(states))) if machine.holds(states[i])), -1)
    if last < 0 and not machine.holds(track.base):
        return samples[0].time if samples else LONG_AGO
    state: State = states[last] if last >= 0 else track.base
    end = samples[last + 1].time if last + 1 < len(samples) else NEVER
    end = min(end, machine.falls(state, samples, last + 1))
    while (due := machine.due(state)) < end:
        state = machine.expire(state, due, samples, last + 1, [])
        if not machine.holds(state):
            return due
    return end
