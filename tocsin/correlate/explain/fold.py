"""A history judged as a whole: what an operator's machine finds in it, when it was known, and its state after every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.correlate.series.sample import NEVER, Found, Sample
from tocsin.correlate.series.track import Machine


@dataclass(frozen=True, slots=True)
class Learnt:
    """When samples were learnt: seq -> journal clock, µs. `watermark`: deadlines up to it have passed; `delay`: it is that far behind the clock."""

    at: Mapping[int, int]
    watermark: int
    delay: int


@dataclass(slots=True)
class Folded:
    """`found`: matches in order. `states[i]`: after samples[i]. `place`: seq -> index of a sample."""

    machine: Machine
    samples: list[Sample]
    learnt: Learnt
    found: list[Found] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    place: dict[int, int] = field(default_factory=dict)

    def known(self, found: Found) -> tuple[int, int]:
        """What may have kept a match from ringing is what was known when it was found: (journal position, journal clock) before which. A match that
        only a late sample brought about was found when that arrived."""
        late = sorted(s.seq for s in self.samples if s.seq > found.anchor.seq and s.time <= found.time)
        cause = found.anchor.seq
        while late:
            before = [sample for sample in self.samples if sample.seq < late[-1]]
            if any(one.identity == found.identity for one in _found(self.machine, before, self.learnt.watermark)):
                late.pop()
            else:
                cause = late[-1]
                break
        if not found.deadline:
            return cause, NEVER
        return NEVER, max(found.time + self.learnt.delay, self.learnt.at[cause] + 1)


def fold(machine: Machine, samples: Sequence[Sample], learnt: Learnt) -> Folded:
    """Samples in any order; deadlines up to the watermark pass (`track.Track`)."""
    folded = Folded(machine, sorted(samples), learnt)
    found: list[Found] = []
    _walk(machine, folded.samples, learnt.watermark, found, folded.states)
    folded.place = {sample.seq: i for i, sample in enumerate(folded.samples)}
    folded.found = [one for one in found if not one.deadline or machine.ready(one, _known_at(folded, one))]
    return folded


def _walk(machine: Machine, samples: list[Sample], watermark: int, found: list[Found], states: list[Any]) -> None:
    state = machine.blank
    for i, sample in enumerate(samples):
        while (due := machine.due(state)) < sample.time:
            state = machine.expire(state, due, samples, i, found)
        state = machine.step(state, samples, i, found)
        states.append(state)
    while (due := machine.due(state)) <= watermark:
        state = machine.expire(state, due, samples, len(samples), found)
    found[:] = [one for one in found if not one.deadline or one.time <= watermark]


def _found(machine: Machine, samples: list[Sample], watermark: int) -> list[Found]:
    found: list[Found] = []
    _walk(machine, samples, watermark, found, [])
    return found


def _known_at(folded: Folded, found: Found) -> list[Sample]:
    """Samples known when a deadline fired."""
    learnt = folded.learnt
    until = max(found.time + learnt.delay, learnt.at[found.anchor.seq] + 1)
    return [sample for sample in folded.samples if learnt.at[sample.seq] < until]
