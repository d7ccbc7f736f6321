"""What `unless` and `while` said about a match: what was active near it, until when, or how far the nearest one was."""

from __future__ import annotations

import math

import numpy as np

from tocsin.correlate.geometry import chord_limit
from tocsin.correlate.phrases import metres
from tocsin.correlate.series.links import equal
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.guards import Active, AlertsNear, Guard, Within
from tocsin.model.time import format_span

from .area import covering, known_areas, nearest
from .condition import clock, thing, written
from .facts import Rows
from .scene import NEVER, Candidate, Scene


def clauses(scene: Scene, candidate: Candidate) -> list[Clause]:
    """One clause for each guard of the rule, about one match or near miss."""
    told = [_clause(scene, guard, candidate, f"unless.{i + 1}", wanted=False) for i, guard in enumerate(scene.rule.unless)]
    return told + [_clause(scene, guard, candidate, f"while.{i + 1}", wanted=True) for i, guard in enumerate(scene.rule.only)]


def pass_(scene: Scene, candidate: Candidate) -> bool:
    """Whether every guard lets the match through."""
    if any(_holds(scene, guard, candidate)[0] for guard in scene.rule.unless):
        return False
    return all(_holds(scene, guard, candidate)[0] for guard in scene.rule.only)


def _clause(scene: Scene, guard: Guard, candidate: Candidate, name: str, *, wanted: bool) -> Clause:
    is_so, words, short, unit, rows = _holds(scene, guard, candidate)
    state = HELD if is_so == wanted else FAILED
    ask = f"{'needs' if wanted else 'must not be:'} {_asked(guard)}"
    return Clause(name, state, words, "yes" if is_so else "no", ask, 0.0 if state == HELD else short, unit, scene.seen(rows))


def _asked(guard: Guard) -> str:
    if isinstance(guard, Active):
        near = f" within {metres(guard.within)}" if math.isfinite(guard.within) else ""
        return f"{written(guard.of)} active{near}"
    if isinstance(guard, Within):
        return "inside an area"
    return f"alerts of {f' {guard.how} '.join(guard.rules)}"


def _holds(scene: Scene, guard: Guard, candidate: Candidate) -> tuple[bool, str, float | None, str, list[int]]:
    if isinstance(guard, Active):
        return _active(scene, guard, candidate)
    if isinstance(guard, Within):
        return _within(scene, guard, candidate)
    return _alerts(scene, guard, candidate)


def _known(scene: Scene, rows: Rows, candidate: Candidate) -> Rows:
    """What was known when the match was found: an event is no guard of the match that it completes."""
    facts = scene.facts
    return rows[(facts.seq[rows] < candidate.cause) & (facts.ingest[rows] < candidate.clock)]


def _active(scene: Scene, guard: Active, candidate: Candidate) -> tuple[bool, str, float | None, str, list[int]]:
    facts, time = scene.facts, candidate.time
    mask = facts.passing(guard.of) & (facts.live | scene.with_late)
    rows = _known(scene, np.flatnonzero(mask), candidate)
    rows = rows[_agree(scene, guard.same, rows, candidate)]
    ends = _ends(scene, guard.valid_for, rows)
    active = (facts.time[rows] <= time) & (time < ends)
    finite = math.isfinite(guard.within)
    near = facts.chords(candidate.lon, candidate.lat, rows) <= chord_limit(guard.within) if finite else np.ones(len(rows), np.bool_)
    held = np.flatnonzero(active & near)
    if len(held):
        row, end = int(rows[held[-1]]), int(ends[held[-1]])
        away = facts.metres(candidate.lon, candidate.lat, rows[held[-1:]])[0]
        where = f", {metres(float(away))} away" if finite else ""
        until = f" until {clock(end)}" if end < NEVER else ""
        left = (end - time) / 1e6 if end < NEVER else None
        return True, f"{thing(scene, row)} was active{where}{until}", left, "s", [row]
    return (
        False,
        f"no {written(guard.of)} was active" + _nearly(scene, guard, candidate, rows, active, near, ends),
        *_distance(scene, guard, candidate, rows, active, near),
    )


def _ends(scene: Scene, valid_for: int, rows: Rows) -> np.ndarray:
    """Exclusive ends of validity; a fact that was taken back ended then."""
    facts = scene.facts
    own = facts.columns.valid_until[rows] if facts.columns.valid_until is not None else np.full(len(rows), -1, np.int64)
    ends = np.where(own >= 0, own, facts.time[rows] + valid_for + 1)
    for i, seq in enumerate(facts.seq[rows].tolist()):
        if seq in facts.ended:
            ends[i] = min(int(ends[i]), facts.ended[seq])
    return ends


def _agree(scene: Scene, same: tuple[str, ...], rows: Rows, candidate: Candidate) -> np.ndarray:
    agree = np.ones(len(rows), np.bool_)
    extras = scene.facts.columns.extras
    for name in same:
        own = extras.links(name, [candidate.row])[0] if extras is not None and candidate.row >= 0 else None
        values = extras.links(name, rows.tolist()) if extras is not None and len(rows) else []
        agree &= np.array([equal(own, value) for value in values], np.bool_) if len(rows) else agree
    return agree


def _nearly(
    scene: Scene,
    guard: Active,
    candidate: Candidate,
    rows: Rows,
    active: np.ndarray,
    near: np.ndarray,
    ends: np.ndarray,
) -> str:
    facts = scene.facts
    where = f" within {metres(guard.within)}" if math.isfinite(guard.within) else ""
    far, over = np.flatnonzero(active & ~near), np.flatnonzero(near & ~active)
    if len(far) and math.isfinite(guard.within):
        away = facts.metres(candidate.lon, candidate.lat, rows[far])
        if np.isfinite(away).any():
            least = float(np.nanmin(away))
            return f"{where}; the nearest was {metres(least)} away, {metres(least - guard.within)} too far"
    if len(over):
        last = int(over[-1])
        if facts.time[rows[last]] > candidate.time:
            return f"{where}; the next began {_span(int(facts.time[rows[last]]) - candidate.time)} later"
        return f"{where}; the last one ended {_span(candidate.time - int(ends[last]))} before"
    return where


def _distance(
    scene: Scene,
    guard: Active,
    candidate: Candidate,
    rows: Rows,
    active: np.ndarray,
    near: np.ndarray,
) -> tuple[float | None, str, list[int]]:
    far = np.flatnonzero(active & ~near)
    if not len(far) or not math.isfinite(guard.within):
        return None, "", []
    away = scene.facts.metres(candidate.lon, candidate.lat, rows[far])
    if not np.isfinite(away).any():
        return None, "", []
    place = int(np.nanargmin(away))
    return float(away[place]) - guard.within, "m", [int(rows[far[place]])]


def _within(scene: Scene, guard: Within, candidate: Candidate) -> tuple[bool, str, float | None, str, list[int]]:
    if candidate.row < 0:
        return False, "there is no event whose place could be looked up", None, "", []
    known = known_areas(scene, guard.area, candidate.cause, candidate.clock)
    sample = scene.facts.samples(np.array([candidate.row]))[0]
    over = covering(scene, known, sample, sample.time)
    if over or known.areas.over(sample, sample.time)[1]:
        return True, f"it is inside {over or 'an area'}", None, "", []
    missed = nearest(scene, known, sample, sample.time)
    return False, f"no area covered it; the closest: {missed.words}", missed.short, missed.unit, [missed.row] if missed.row >= 0 else []


def _alerts(scene: Scene, guard: AlertsNear, candidate: Candidate) -> tuple[bool, str, float | None, str, list[int]]:
    """Alerts of other rules near the anchor, in the time before it."""
    facts = scene.facts
    held: dict[str, list[int]] = {}
    for rule in guard.rules:
        mask = facts.of_kind(f"alert.{rule}") & (facts.time <= candidate.time) & (facts.time >= candidate.time - guard.during)
        rows = _known(scene, np.flatnonzero(mask), candidate)
        if math.isfinite(guard.within):
            rows = rows[facts.chords(candidate.lon, candidate.lat, rows) <= chord_limit(guard.within)]
        held[rule] = [int(row) for row in rows if _linked(scene, guard.same, int(row), candidate)]
    there = [rule for rule, rows in held.items() if rows]
    is_so = len(there) == len(guard.rules) if guard.how == "all" else bool(there)
    shown = [rows[-1] for rows in held.values() if rows]
    near = f" within {metres(guard.within)}" if math.isfinite(guard.within) else ""
    span = f"{near} in the {format_span(guard.during)} before"
    missing = [rule for rule in guard.rules if rule not in there]
    words = f"there is an alert of {', '.join(there)}{span}" if is_so else f"there is no alert of {', '.join(missing)}{span}"
    return is_so, words, None, "", shown


def _linked(scene: Scene, same: tuple[str, ...], row: int, candidate: Candidate) -> bool:
    extras = scene.facts.columns.extras
    anchor = scene.facts.attribute(row, "anchor")
    there = scene.facts.row_of(int(anchor)) if anchor is not None else None
    for name in same:
        if extras is None or there is None or candidate.row < 0:
            return False
        if not equal(*extras.links(name, [there, candidate.row])):
            return False
    return True


def _span(us: int) -> str:
    return format_span(us // 1_000_000 * 1_000_000) if us >= 1_000_000 else f"{us / 1e6:g} s"
