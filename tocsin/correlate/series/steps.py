"""`sequence` with links, in any order, or without a distance (SEMANTICS 10); the kernels run the plain one."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tocsin.correlate.geometry import chord_limit
from tocsin.model.plan import Sequence

from .links import agree
from .places import chord
from .sample import FIRST_STEP, Found, Sample


class StepsPattern:
    """Flag i: passes step i. Place i: step i."""

    def __init__(self, when: Sequence) -> None:
        self._when = when
        self._limits = [chord_limit(step.within) if math.isfinite(step.within) else math.inf for step in when.then]
        self.span = when.during if when.any_order else sum(step.max_gap for step in when.then)
        self.fields = (*when.same, *when.differs)

    def places(self, anchor: Sample) -> Iterator[tuple[int, list[int]]]:
        """One match an anchor: as the latest step it completes; from there outward, in any order from the first step on."""
        n = 1 + len(self._when.then)
        for here in range(n - 1, -1, -1):
            if not anchor.flags >> here & 1:
                continue
            outward = [*range(here - 1, -1, -1), *range(here + 1, n)]
            yield here, [step for step in range(n) if step != here] if self._when.any_order else outward

    def fits(self, place: int, sample: Sample, chosen: dict[int, Sample], _anchor: Sample) -> bool:
        """Near the step beside it (the first step's event in any order), with the right gap, and linked with all."""
        if not sample.flags >> place & 1:
            return False
        when, others = self._when, chosen.values()
        if not all(agree(when.same, when.differs, sample, other, 0) for other in others):
            return False
        times = [sample.time, *(other.time for other in others)]
        if when.during and max(times) - min(times) > when.during:
            return False
        if when.any_order:
            pairs = [(other, sample) for other in chosen if other] if place == 0 else [(place, sample)] if 0 in chosen else []
            return all(self._beside(step, chosen[0] if place else sample, sample if place else chosen[step]) for step, _ in pairs)
        return all(
            self._beside(step, chosen.get(step - 1, sample), chosen.get(step, sample))
            for step in (place, place + 1)
            if step > 0 and ({step - 1, step} - {place}) <= chosen.keys()
        )

    def _beside(self, step: int, before: Sample, after: Sample) -> bool:
        link = self._when.then[step - 1]
        gap = after.time - before.time
        if not link.min_gap <= (abs(gap) if self._when.any_order else gap) <= link.max_gap:
            return False
        limit = self._limits[step - 1]
        return limit == math.inf or chord(before, after) <= limit

    def found(self, anchor: Sample, place: int, chosen: dict[int, Sample]) -> Found:
        """The chain: the anchor's step first, then the others from the last on."""
        order = [place, *(step for step in sorted(chosen, reverse=True) if step != place)]
        evidence = tuple((chosen[step].seq, FIRST_STEP + step) for step in order)
        return Found(anchor, anchor.time, False, evidence, (anchor.time, anchor.seq), rests=tuple(seq for seq, _ in evidence))
