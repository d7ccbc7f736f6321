"""Why `cluster` did or did not: how many sources and events lay within reach of an anchor, and how far away the next one was."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.geometry import chord_limit
from tocsin.correlate.phrases import metres
from tocsin.model.explanation import FAILED, HELD, UNKNOWN, Clause
from tocsin.model.plan import Cluster
from tocsin.model.time import format_span

from .condition import misses, passed, thing, written
from .facts import Rows
from .scene import Candidate, Scene, at_row

#: Combinations tried for one anchor of a `min_gap` rule, as in the engine.
PATIENCE = 20_000


@dataclass(frozen=True, slots=True)
class _Window:
    """The best window of an anchor. `rows`: what counted in it, the anchor first; `sources`, `events`: how many, up to what is asked for."""

    rows: tuple[int, ...]
    sources: int
    events: int
    given_up: bool = False

    def lacks(self, when: Cluster) -> float:
        """What part of the rule's numbers is missing."""
        needed = max(when.sources - self.sources, 0) + max(when.events - self.events, 0)
        return needed / max(when.sources + when.events, 1)


@dataclass(slots=True)
class _Pool:
    """Every event that may count. `voices`: which source it is, -1 for none."""

    scene: Scene
    when: Cluster
    rows: Rows
    voices: NDArray[np.int64]
    links: list[tuple[object, ...]]

    def silent_about(self, row: int) -> list[str]:
        """The fields in which events must agree and that this one does not have: it agrees with nothing, not even with itself."""
        own = self.links[int(np.searchsorted(self.rows, row))] if self.links else ()
        return [name for name, value in zip(self.when.same, own, strict=False) if value is None]

    def around(self, row: int) -> tuple[Rows, NDArray[np.float64]]:
        """Places in the pool of what was known when the anchor arrived and agrees with it, within twice `during`; and their squared chords."""
        facts, when = self.scene.facts, self.when
        time, seq = int(facts.time[row]), int(facts.seq[row])
        times = facts.time[self.rows]
        low, high = np.searchsorted(times, [time - when.during, time + when.during + 1])
        places = np.arange(low, high)
        places = places[facts.seq[self.rows[places]] < seq]
        if self.links:
            own = self.links[int(np.searchsorted(self.rows, row))]
            agree = [None not in own and self.links[place] == own for place in places.tolist()]
            places = places[np.array(agree, np.bool_)] if len(places) else places
        return places, facts.chords(*self.scene.place(row), self.rows[places])


def candidates(scene: Scene, when: Cluster) -> list[Candidate]:
    """Every passing event near the place, as the one that might have completed the match."""
    mask = scene.passing(when.of) & scene.facts.placed
    anchors = scene.near(mask, scene.start, scene.at, placed=True)
    if not len(anchors):
        return misses(scene, when.of, "cluster.of", scene.start, scene.at, placed=True)
    pool = _pool(scene, when, mask)
    return [_candidate(pool, int(row)) for row in anchors]


def _pool(scene: Scene, when: Cluster, mask: NDArray[np.bool_]) -> _Pool:
    rows = np.flatnonzero(mask)
    low, high = np.searchsorted(scene.facts.time[rows], [scene.start - when.during, scene.at + when.during + 1])
    rows = rows[low:high]
    if scene.somewhere:
        reach = scene.within + 4 * when.within + 1_000.0
        rows = rows[scene.facts.chords(scene.lon, scene.lat, rows) <= chord_limit(min(reach, 2e7))]
    voices = scene.facts.columns.source[rows].astype(np.int64)
    if when.distinct != "source":
        values = scene.facts.columns.extras.links(when.distinct, rows.tolist()) if len(rows) and scene.facts.columns.extras else []
        numbers: dict[object, int] = {}
        voices = np.array([-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values], np.int64)
    links: list[tuple[object, ...]] = []
    if when.same and scene.facts.columns.extras is not None:
        columns = [scene.facts.columns.extras.links(name, rows.tolist()) for name in when.same]
        links = list(zip(*columns, strict=True))
    return _Pool(scene, when, rows, voices, links)


def _candidate(pool: _Pool, row: int) -> Candidate:
    when = pool.when
    places, chords = pool.around(row)
    inside = places[chords <= chord_limit(when.within)]
    best = max(_windows(pool, row, inside), key=lambda window: (-window.lacks(when), window.events))
    ok = best.sources >= when.sources and best.events >= when.events and not pool.silent_about(row)
    return at_row(pool.scene, row, ok, 0.0 if ok else best.lacks(when), lambda: _tell(pool, row, best, ok))


def _windows(pool: _Pool, row: int, inside: Rows) -> Iterator[_Window]:
    """Windows of length `during` that contain the anchor: the one that ends with it, then those that end with something later."""
    facts, when = pool.scene.facts, pool.when
    time = int(facts.time[row])
    times = facts.time[pool.rows[inside]]
    ends = [time, *sorted({int(one) for one in times if one > time})]
    for end in ends:
        rows = inside[(times >= end - when.during) & (times <= end)]
        yield _spaced(pool, row, rows) if when.min_gap > 0 else _counted(pool, row, rows)


def _counted(pool: _Pool, row: int, places: Rows) -> _Window:
    own = int(pool.voices[int(np.searchsorted(pool.rows, row))])
    voices = {own, *pool.voices[places].tolist()} - {-1}
    return _Window((row, *(int(one) for one in pool.rows[places][::-1][:64])), len(voices), 1 + len(places))


def _spaced(pool: _Pool, row: int, places: Rows) -> _Window:
    """The most sources whose events are pairwise `min_gap` apart, the anchor among them."""
    facts, when = pool.scene.facts, pool.when
    own = int(pool.voices[int(np.searchsorted(pool.rows, row))])
    time, gap = int(facts.time[row]), when.min_gap
    some = sorted(((int(facts.time[pool.rows[p]]), int(p)) for p in places), reverse=True)
    some = [(t, p) for t, p in some if abs(t - time) >= gap and pool.voices[p] not in (own, -1)]
    patience = [PATIENCE]
    best: list[int] = []

    def search(first: int, top: int, chosen: list[int], voices: set[int]) -> bool:
        nonlocal best
        if len(chosen) > len(best):
            best = list(chosen)
        if len(chosen) + 1 >= when.sources:
            return True
        for i in range(first, len(some)):
            patience[0] -= 1
            if patience[0] < 0:
                return False
            t, p = some[i]
            voice = int(pool.voices[p])
            if t <= top and voice not in voices and search(i + 1, t - gap, [*chosen, p], voices | {voice}):
                return True
        return False

    search(0, 1 << 62, [], {own})
    return _Window((row, *(int(pool.rows[p]) for p in best)), 1 + len(best), 1 + len(places), patience[0] < 0)


def _tell(pool: _Pool, row: int, best: _Window, ok: bool) -> Sequence[Clause]:
    scene, when = pool.scene, pool.when
    clauses = [passed(scene, when.of, "cluster.of", row)]
    clauses += [
        Clause("cluster.same", FAILED, f"it has no {name}, in which all must agree", "nothing", f"some {name}", 1.0, "1")
        for name in pool.silent_about(row)
    ]
    where = f"within {metres(when.within)} in {format_span(when.during)}"
    if when.min_gap:
        where += f", {format_span(when.min_gap)} apart"
    for name, found, needed in (("sources", best.sources, when.sources), ("events", best.events, when.events)):
        if needed <= 1 and name == "events":
            continue
        held = found >= needed
        state = HELD if held else UNKNOWN if best.given_up else FAILED
        what = written(when.of)
        words = f"{found} of {needed} {name} of {what} {where}"
        short, unit, events = (0.0, "1", best.rows) if held else (float(needed - found), "1", best.rows)
        if not held:
            words += f"; {_next(pool, row, best)}; needs {needed - found} more"
        if best.given_up and not held:
            words += " (too many combinations: the search was given up, as in the engine)"
        clauses.append(Clause(f"cluster.{name}", state, words, str(found), str(needed), short, unit, scene.seen(events[:16], row)))
    if ok and when.min_gap:
        clauses.append(Clause("cluster.min_gap", HELD, f"they are at least {format_span(when.min_gap)} apart", "", "", 0.0, "s"))
    return clauses


def _next(pool: _Pool, row: int, best: _Window) -> str:
    """The one that was nearest to counting: by distance in the same time, or by time in the same place."""
    scene, when, facts = pool.scene, pool.when, pool.scene.facts
    known = {int(pool.voices[int(np.searchsorted(pool.rows, one))]) for one in best.rows}
    lon, lat = scene.place(row)
    near_in_time = np.abs(facts.time[pool.rows] - int(facts.time[row])) <= when.during
    outside = np.flatnonzero(near_in_time & (facts.chords(lon, lat, pool.rows) > chord_limit(when.within)))
    fresh = [int(place) for place in outside if int(pool.voices[place]) not in known]
    told = []
    if fresh:
        away = facts.metres(lon, lat, pool.rows[fresh])
        nearest = int(np.nanargmin(away))
        least = float(away[nearest])
        told.append(
            f"the nearest further one was {metres(least)} away, {metres(least - when.within)} too far ({thing(scene, int(pool.rows[fresh[nearest]]))})"
        )
    early = _just_outside(pool, row, known)
    if early:
        told.append(early)
    return "; ".join(told) if told else "there was no further one in reach"


def _just_outside(pool: _Pool, row: int, known: set[int]) -> str:
    scene, when, facts = pool.scene, pool.when, pool.scene.facts
    time = int(facts.time[row])
    times = facts.time[pool.rows]
    near = facts.chords(*scene.place(row), pool.rows) <= chord_limit(when.within)
    gap = np.maximum((time - when.during) - times, times - (time + when.during))
    for place in np.flatnonzero(near & (gap > 0))[np.argsort(gap[near & (gap > 0)], kind="stable")][:16]:
        if int(pool.voices[place]) not in known:
            span = format_span(int(gap[place]) // 1_000_000 * 1_000_000) if gap[place] >= 1_000_000 else "less than 1 s"
            side = "too early" if times[place] < time else "too late"
            return f"the next in time was {span} {side} ({thing(scene, int(pool.rows[place]))})"
    same = np.flatnonzero(near & (np.abs(times - time) <= when.during) & (pool.rows != row))
    late = [place for place in same if facts.seq[pool.rows[place]] > facts.seq[row]]
    if late and math.isfinite(when.within):
        return f"{len(late)} more came after it"
    return ""
