"""The history of one key of a rule: samples in event-time order, what they amount to, and which matches have been given.

A machine folds the history: a state (a plain value) goes from sample to sample, and between them over the deadlines it names. The
state after every sample is kept, so a sample that arrives late or is taken back costs a fold from its place on. What the fold
finds is compared with what was given: matches that appear are fired, those whose evidence changed amended, those that
vanished taken back - in this order, so that a match that moved amends the alert it can join.

Samples at the time of a deadline come before it. A sample older than `horizon` (clock - lateness) is never judged again; it stays
in the history for as long as windows of younger samples reach it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .sample import LONG_AGO, NEVER, Found, Sample

State = Any  # plain and immutable: numbers, texts, tuples of them


class Machine(Protocol):
    """What an operator does with one history. `reach`: µs its windows go back from a sample."""

    reach: int
    blank: State

    def step(self, state: State, samples: list[Sample], i: int, out: list[Found]) -> State:
        """The state after samples[i]; appends what it finds there."""

    def due(self, state: State) -> int:
        """The next instant at which something happens without a sample, `NEVER` for none."""

    def expire(self, state: State, at: int, samples: list[Sample], i: int, out: list[Found]) -> State:
        """The state after the deadline `at`, which lies behind samples[i - 1] and before samples[i], if there is one."""

    def ready(self, found: Found, samples: list[Sample]) -> bool:
        """Whether a match that was not given yet may be given, with everything known now."""

    def holds(self, state: State) -> bool:
        """Whether the condition holds in a state."""

    def falls(self, state: State, samples: list[Sample], end: int) -> int:
        """When a condition that holds after samples[:end] stops holding with no further sample and no deadline, `NEVER` when it does not."""


class Steady:
    """The parts of a machine whose state is true while its condition holds, and changes at samples and deadlines only."""

    def holds(self, state: State) -> bool:
        """As the state says."""
        return bool(state)

    def falls(self, _state: State, _samples: list[Sample], _end: int) -> int:
        """Only samples and deadlines end it."""
        return NEVER


class Plain(Steady):
    """The parts of a machine without deadlines."""

    def due(self, _state: State) -> int:
        """Nothing happens between samples."""
        return NEVER

    def expire(self, state: State, _at: int, _samples: list[Sample], _i: int, _out: list[Found]) -> State:
        """Never called."""
        return state

    def ready(self, _found: Found, _samples: list[Sample]) -> bool:
        """Always."""
        return True


class Ticket(NamedTuple):
    """A match that was given: its alert's number and group (-1: suppressed), what it rests on, and evidence it rested on before."""

    number: int
    slot: int
    found: Found
    told: tuple[int, ...] = ()

    def amended(self, outlet: Outlet, found: Found, cause: int) -> Ticket:
        """The same match on other evidence."""
        told = (*self.told, *(seq for seq, _ in self.found.evidence))
        outlet.amend(self, found._replace(evidence=tuple(pair for pair in found.evidence if pair[0] not in told)), cause)
        return self._replace(found=found, told=told)


class Outlet(Protocol):
    """Where matches go (`outlet.py`)."""

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A new match. Facts of journal position `cause` and later do not suppress it. Returns (alert's number, slot of its group)."""

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        """The match of a ticket rests on further evidence now."""

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """The match of a ticket does not hold."""


@dataclass(slots=True)
class Track:
    """See the module. `rank`: what orders the histories of a rule whose deadlines are equal. `passed`: the last deadline behind the newest sample. `wake`: when it is looked at again. `floor`:
    what came to be before has been given or will not be."""

    key: Any
    label: str
    machine: Machine
    base: State
    tail: State
    samples: list[Sample] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    passed: int = LONG_AGO
    found: list[Found] = field(default_factory=list)
    given: dict[tuple[int, int, str], Ticket] = field(default_factory=dict)
    wake: int = NEVER
    floor: int = LONG_AGO
    off: int = -1  # when the condition stopped holding, as it was last said (`holding.py`)
    rank: Any = 0

    def add(self, sample: Sample) -> list[Found] | None:
        """Puts a sample where it belongs. Returns what it found when it is the newest, None when the history was folded again."""
        if sample.time > self.passed and (not self.samples or sample > self.samples[-1]):
            out: list[Found] = []
            self.expire(sample.time - 1, out)
            self.samples.append(sample)
            self.tail = self.machine.step(self.tail, self.samples, len(self.samples) - 1, out)
            self.states.append(self.tail)
            self.passed = LONG_AGO
            self.found += out
            return out
        at = bisect_left(self.samples, sample)
        self.samples.insert(at, sample)
        self.states.insert(at, None)
        self.fold(at)
        return None

    def holds_any(self, seqs: frozenset[int]) -> bool:
        """Whether any of these events is a sample of the history."""
        return any(sample[1] in seqs for sample in self.samples)

    def remove(self, seqs: frozenset[int], horizon: int) -> None:
        """Takes samples out of the history, of which it has at least one."""
        first = next(i for i, sample in enumerate(self.samples) if sample.seq in seqs)
        frozen = bisect_left(self.samples, (horizon, LONG_AGO))
        state = self.states[frozen - 1] if frozen else self.base
        left = [i for i, sample in enumerate(self.samples) if sample.seq not in seqs]
        self.states, self.samples = [self.states[i] for i in left], [self.samples[i] for i in left]
        frozen = bisect_left(self.samples, (horizon, LONG_AGO))
        if frozen:
            self.states[frozen - 1] = state
        else:
            self.base = state
        self.fold(max(first, frozen))

    def fold(self, first: int) -> None:
        """Judges samples[first:] anew."""
        machine = self.machine
        state, out = (self.states[first - 1] if first else self.base), list[Found]()
        after = self.samples[first - 1][:2] if first else (LONG_AGO, LONG_AGO)
        for i in range(first, len(self.samples)):
            time = self.samples[i].time
            while (due := machine.due(state)) < time:
                state = machine.expire(state, due, self.samples, i, out)
            state = self.states[i] = machine.step(state, self.samples, i, out)
        self.found = [found for found in self.found if found.born <= after] + out
        self.tail, self.passed = state, LONG_AGO

    def expire(self, until: int, out: list[Found]) -> None:
        """Passes the deadlines up to `until` behind the newest sample."""
        while (due := self.machine.due(self.tail)) <= until:
            self.tail = self.machine.expire(self.tail, due, self.samples, len(self.samples), out)
            self.passed = due

    def give(self, outlet: Outlet, found: Found, cause: int) -> None:
        """Fires a match."""
        label = ", ".join(part for part in (self.label, found.label) if part)
        self.given[found.identity] = Ticket(*outlet.fire(found, label, cause), found)

    def compare(self, outlet: Outlet, wanted: Callable[[Found], bool], horizon: int, cause: int) -> None:
        """Makes what was given equal to what is found, among the matches wanted."""
        now = {found.identity: found for found in self.found if wanted(found)}
        for found in now.values():
            if self.waits(found):
                self.give(outlet, found, cause)
        for name, ticket in list(self.given.items()):
            if not wanted(ticket.found):
                continue
            if name not in now:
                if ticket.found.born[0] >= horizon:
                    del self.given[name]
                    outlet.take_back(ticket, cause)
            elif now[name].evidence != ticket.found.evidence:
                self.given[name] = ticket.amended(outlet, now[name], cause)

    def waits(self, found: Found) -> bool:
        """Whether a match is still to be given."""
        return found.born[0] >= self.floor and found.identity not in self.given and self.machine.ready(found, self.samples)

    def next_wake(self) -> int:
        """The earliest instant at which this track has something to do."""
        waiting = min((found.time for found in self.found if found.deadline and self.waits(found)), default=NEVER)
        return min(self.machine.due(self.tail), waiting)

    def prune(self, horizon: int) -> None:
        """Forgets what no later fact can change or look at."""
        keep = bisect_left(self.samples, (horizon - self.machine.reach, LONG_AGO))
        keep -= 1  # the one before is looked at, too
        if keep > 0:
            self.base = self.states[keep - 1]
            del self.samples[:keep], self.states[:keep]
        self.floor = max(self.floor, horizon)
        if self.found and self.found[0].born[0] < horizon:
            self.found = [found for found in self.found if found.born[0] >= horizon]
        for name in [name for name, ticket in self.given.items() if ticket.found.born[0] < horizon]:
            del self.given[name]
