"""Why `inside` did or did not: which area covered an event, or how far the nearest one was in space and time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from tocsin.correlate.series.areas import areas_of
from tocsin.correlate.series.inside import InsideRule
from tocsin.correlate.series.sample import Found, Sample
from tocsin.correlate.series.track import Ticket
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Inside

from .area import Known, covering, known_areas, nearest
from .condition import misses, passed
from .scene import Candidate, Scene, at_row


class _Standing:
    """The matches that stand, for an outlet."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int, str], tuple[Found, int]] = {}

    def fire(self, found: Found, _label: str, cause: int) -> tuple[int, int]:
        """A new match."""
        self.found[found.identity] = (found, cause)
        return 0, -1

    def amend(self, ticket: Ticket, _found: Found, _cause: int) -> None:
        """The same match on other evidence."""

    def take_back(self, ticket: Ticket, _cause: int) -> None:
        """The match does not hold."""
        self.found.pop(ticket.found.identity, None)


def candidates(scene: Scene, when: Inside) -> list[Candidate]:
    """Every passing event near, and for `standing` the last value of every source there."""
    facts = scene.facts
    mask = scene.passing(when.of) & facts.placed
    near = scene.near(mask, scene.start - (when.keep if when.standing else 0), scene.at, placed=True)
    if not len(near):
        return misses(scene, when.of, "inside.of", scene.start, scene.at, placed=True)
    found = _stands(scene, when)
    known = known_areas(scene, when.area, links=(*when.same, *when.differs))
    samples = facts.samples(near, None, (*known.areas.fields, *when.same, *when.differs))
    out = []
    for row, sample in zip(near.tolist(), samples, strict=True):
        one = found.get(sample.seq)
        if one is not None and scene.start <= one[0].time <= scene.at:
            match, cause = one
            tell = partial(_tell, scene, when, known, row, sample, match.time)
            out.append(Candidate(row, match.time, sample.lon, sample.lat, True, 0.0, tell, cause))
        elif one is None and scene.start <= sample.time <= scene.at:
            out.append(_miss(scene, when, known, row, sample))
    return out or misses(scene, when.of, "inside.of", scene.start, scene.at, placed=True)


def _stands(scene: Scene, when: Inside) -> dict[int, tuple[Found, int]]:
    """What the engine's own operator finds in everything known, in the order it arrived: anchor -> (match, cause)."""
    facts = scene.facts
    areas = areas_of(when.area, lambda code: facts.names[code])
    outlet = _Standing()
    rule = InsideRule(when, areas, outlet, scene.plan)
    rule._lateness = 1 << 60  # nothing is forgotten: the facts are those of the stretch  # type: ignore[assignment]
    asks = [(when.of, False), *((of, False) for of in areas.asks)]
    mask = np.zeros(len(facts), np.bool_)
    for of, _ in asks:
        mask |= facts.passing(of)
    if not scene.with_late:
        mask &= facts.live
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(facts.seq[rows], kind="stable")]
    rule.take(facts.samples(rows, facts.flags(rows, asks), rule.fields), scene.clock)
    for seq, end in facts.ended.items():
        rule.withdraw(frozenset((seq,)), scene.clock, end)
    return {found.anchor.seq: (found, cause) for found, cause in outlet.found.values()}


def _miss(scene: Scene, when: Inside, known: Known, row: int, sample: Sample) -> Candidate:
    missed = nearest(scene, known, sample, sample.time)
    over = covering(scene, known, sample, sample.time)

    def tell() -> Sequence[Clause]:
        first = passed(scene, when.of, "inside.of", row)
        if over:
            linked = " and ".join([*(f"the same {name}" for name in when.same), *(f"different {name}" for name in when.differs)])
            words = f"it is inside {over}, but they are not linked: {linked} is asked for" if linked else f"it is inside {over} since later"
            return (first, Clause("inside.same" if when.same else "inside.area", FAILED, words, "", linked))
        seen = scene.seen([missed.row]) if missed.row >= 0 else ()
        return (
            first,
            Clause(
                "inside.area",
                FAILED,
                f"no area covered it; the closest: {missed.words}",
                "outside",
                "inside",
                missed.short,
                missed.unit,
                seen,
            ),
        )

    return at_row(scene, row, False, 0.1 + min(missed.size, 5.0), tell)


def _tell(scene: Scene, when: Inside, known: Known, row: int, sample: Sample, at: int) -> Sequence[Clause]:
    over = covering(scene, known, sample, at)
    return (
        passed(scene, when.of, "inside.of", row),
        Clause("inside.area", HELD, f"it is inside {over or 'an active area'}", over, "inside", 0.0, "m"),
    )
