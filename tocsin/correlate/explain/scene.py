"""What every operator's explanation is told from: the facts, the question, and what a candidate for a match is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.correlate.geometry import chord_limit
from tocsin.model.explanation import Clause, Seen
from tocsin.model.plan import Plan, RulePlan
from tocsin.model.predicate import Selector

from .facts import Facts, Mask, Rows
from .told import Told

#: Events that one answer looks at as possible anchors; of more, the newest.
ANCHORS_MAX: Final = 2_000
#: Misses that are put into words.
MISSES: Final = 5
NEVER: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A match, or what might have become one. `row`: of the anchor, -1 without one. `time`: of the match, µs. `ok`: the operator's clauses all
    hold. `score`: how far it is from holding, 0 to about 1 and more, for comparing misses. `tell`: its clauses in words. `cause`: journal
    position before which facts count for its guards; `clock`: or the journal clock before which (deadlines)."""

    row: int
    time: int
    lon: float
    lat: float
    ok: bool
    score: float
    tell: Callable[[], Sequence[Clause]]
    cause: int = NEVER
    clock: int = NEVER


@dataclass(slots=True)
class Scene:
    """`start`, `at`: the stretch of match times asked about. `lon`, `lat`: NaN without a place. `within`: metres, inf without a place.
    `clock`: the journal clock up to which everything is known. `since`: event time from which facts were read."""

    rule: RulePlan
    plan: Plan
    facts: Facts
    told: Told
    lon: float
    lat: float
    within: float
    start: int
    at: int
    clock: int
    since: int
    newest: dict[str, int] = field(default_factory=dict)
    feeds: dict[str, tuple[str, ...]] = field(default_factory=dict)  # feed -> kinds it declares
    with_late: bool = False
    notes: list[str] = field(default_factory=list)
    _vicinity: Mask | None = None

    @property
    def watermark(self) -> int:
        """The time up to which deadlines have fired."""
        return self.clock - self.plan.delay

    @property
    def somewhere(self) -> bool:
        """Whether the question names a place."""
        return not math.isnan(self.lon)

    @property
    def standing(self) -> Mask:
        """Facts that nothing took back, and that the live engine took in."""
        mask = self.facts.live.copy() if not self.with_late else np.ones(len(self.facts), np.bool_)
        if self.facts.ended:
            mask &= ~np.isin(self.facts.seq, np.fromiter(self.facts.ended, np.int64))
        return mask

    @property
    def vicinity(self) -> Mask | None:
        """Facts that may be `here`, all at once: those that are, and few that lie just outside. None when everything is."""
        if self.somewhere and math.isfinite(self.within) and self._vicinity is None:
            every = np.arange(len(self.facts))
            self._vicinity = self.facts.chords(self.lon, self.lat, every) <= chord_limit(min(self.within * 1.001 + 1.0, 2e7))
        return self._vicinity

    def passing(self, of: Selector, valued: bool = False) -> Mask:
        """Standing facts that pass a selector."""
        return self.facts.passing(of, valued) & self.standing

    def near(self, mask: Mask, since: int, until: int, *, placed: bool = False) -> Rows:
        """Rows of a mask near the place asked about, with times in [since, until]; the newest `ANCHORS_MAX`, oldest first. `placed`: events without
        coordinates are none."""
        low, high = np.searchsorted(self.facts.time, [since, until + 1])
        rows: Rows = np.flatnonzero(mask[low:high]) + low
        if self.somewhere:
            rows = rows[self.facts.chords(self.lon, self.lat, rows) <= chord_limit(self.within)]
        elif placed:
            rows = rows[self.facts.placed[rows]]
        if len(rows) > ANCHORS_MAX:
            self.note(f"only the newest {ANCHORS_MAX:,} of {len(rows):,} events that could have completed a match were looked at")
            rows = rows[-ANCHORS_MAX:]
        return rows

    def away(self, lon: float, lat: float) -> float:
        """Metres from the place asked about; NaN without one."""
        if not self.somewhere or math.isnan(lon):
            return math.nan
        from tocsin.correlate.sphere import distance

        return distance(self.lon, self.lat, lon, lat)

    def here(self, lon: float, lat: float) -> bool:
        """Whether a place is near enough to the one asked about; everywhere is when none was."""
        if not self.somewhere:
            return True
        return self.away(lon, lat) <= self.within * (1 + 1e-9) + 1e-8

    def place(self, row: int) -> tuple[float, float]:
        """Degrees of a row; NaN without."""
        return float(self.facts.columns.lon[row]), float(self.facts.columns.lat[row])

    def note(self, words: str) -> None:
        """Says something once."""
        if words not in self.notes:
            self.notes.append(words)

    def seen(self, rows: Sequence[int], row: int = -1) -> tuple[Seen, ...]:
        """Rows as people see them, with distances and gaps from `row`."""
        out = []
        for one in rows:
            away = gap = None
            if row >= 0:
                lon, lat = self.place(row)
                away = float(self.facts.metres(lon, lat, np.array([one]))[0])
                gap = int(self.facts.time[one]) - int(self.facts.time[row])
            out.append(self.facts.seen(one, away, gap))
        return tuple(out)


def at_row(
    scene: Scene, row: int, ok: bool, score: float, tell: Callable[[], Sequence[Clause]], time: int | None = None, clock: int = NEVER
) -> Candidate:
    """A candidate whose anchor is a row; a match found when that event arrived, unless a `clock` says otherwise."""
    lon, lat = scene.place(row)
    cause = int(scene.facts.seq[row]) if clock == NEVER else NEVER
    return Candidate(row, int(scene.facts.time[row]) if time is None else time, lon, lat, ok, score, tell, cause, clock)
