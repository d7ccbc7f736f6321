"""Why `zone` did or did not: where the positions lay, how far from the zone, and how long they stayed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import shapely

from tocsin.correlate.geometry import great_circle
from tocsin.correlate.phrases import metres
from tocsin.correlate.series.sample import Found, Sample
from tocsin.correlate.series.whereabouts import BorderMachine, DwellMachine, StayMachine
from tocsin.correlate.series.zones import ZoneIndex
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.links import BY_SOURCE
from tocsin.model.plan import ZoneEvent, Zones
from tocsin.model.time import format_span

from .condition import clock, misses, passed
from .keyed import History, histories, in_stretch, matches
from .scene import Candidate, Scene, at_row
from .shapes import metres_to, metres_to_edge


def candidates(scene: Scene, when: ZoneEvent) -> list[Candidate]:
    """Per source: its matches, and the position that came closest."""
    index = ZoneIndex(when.zones or Zones("", ""))
    shapes = [shapely.from_wkb(zone.wkb) for zone in (when.zones.zones if when.zones else ())]
    machine = (
        StayMachine(when) if when.what == "stays" else DwellMachine(when, index) if when.what == "dwells" else BorderMachine(when, index)
    )
    found: list[Candidate] = []
    for history in histories(scene, BY_SOURCE, [(when.of, False)], lambda _key: machine, placed=True):
        found += matches(scene, history, partial(_rang, scene, when, history))
        found += _closest(scene, when, history, index, shapes)
    return found or misses(scene, when.of, "zone.of", scene.start, scene.at, placed=True)


def _rang(scene: Scene, when: ZoneEvent, history: History, found: Found) -> Sequence[Clause]:
    row = history.row(found.anchor)
    words = {"enters": "inside, and outside or unknown before", "leaves": "outside, and inside before"}.get(
        when.what, f"for {format_span(when.lasting)}"
    )
    what = f"{history.text} {when.what} {found.label or metres(when.radius)}: {words}"
    return (passed(scene, when.of, "zone.of", row), Clause(f"zone.{when.what}", HELD, what, when.what, when.what, 0.0, ""))


def _closest(scene: Scene, when: ZoneEvent, history: History, index: ZoneIndex, shapes: Sequence[shapely.Geometry]) -> list[Candidate]:
    best: tuple[float, int, Clause] | None = None
    for i, sample in list(in_stretch(scene, history))[-200:]:
        score, clause = _miss(when, history, i, sample, index, shapes)
        if best is None or score <= best[0]:
            best = (score, i, clause)
    if best is None:
        return []
    score, i, clause = best
    row = history.row(history.folded.samples[i])
    return [at_row(scene, row, False, score, lambda: (passed(scene, when.of, "zone.of", row), clause))]


def _miss(
    when: ZoneEvent, history: History, i: int, sample: Sample, index: ZoneIndex, shapes: Sequence[shapely.Geometry]
) -> tuple[float, Clause]:
    if when.what == "stays":
        return _stay(when, history, i)
    inside = [index.names[zone] for zone in index.covering(sample.lon, sample.lat)]
    name = f"zone.{when.what}"
    if when.what == "dwells" and inside:
        return _dwell(when, history, i, inside)
    if when.what == "enters" and inside:
        before = history.folded.samples[i - 1] if i else None
        at = "" if before is None else f" at {clock(before.time)}"
        return 0.6, Clause(name, FAILED, f"it was inside {inside[0]} already{at}: it enters only once", "inside before", "outside before")
    if when.what == "leaves":
        if inside:
            edge = min(metres_to_edge(shapes[zone], sample.lon, sample.lat) for zone in index.covering(sample.lon, sample.lat))
            return 0.5, Clause(
                name, FAILED, f"it is inside {inside[0]} still, {metres(edge)} from its edge", "inside", "outside", edge, "m"
            )
        return 1.5, Clause(name, FAILED, "it was outside before as well", "outside before", "inside before")
    if not shapes:
        return 2.0, Clause(name, FAILED, "the layer has no such zone", "none", "a zone")
    away, zone = min((metres_to(shape, sample.lon, sample.lat), number) for number, shape in enumerate(shapes))
    words = f"it was {metres(away)} outside {index.names[zone]}"
    return 1 + min(1.0, away / 10_000), Clause(name, FAILED, words, metres(away), "inside", away, "m")


def _dwell(when: ZoneEvent, history: History, i: int, inside: Sequence[str]) -> tuple[float, Clause]:
    _, stays = history.folded.states[i]
    time = history.folded.samples[i].time
    start, fired = max(((time - start[0], fired) for _, start, fired in stays), default=(0, False))
    needed = format_span(when.lasting)
    if fired:
        return 0.4, Clause("zone.dwells", FAILED, f"it has been in {inside[0]} longer, and rings once", format_span(start), needed)
    short = max(0, when.lasting - start)
    words = f"it was in {inside[0]} for {format_span(start)}: {format_span(short)} short of {needed}"
    if 0 < when.max_gap < short:
        words += f"; the next position had to come within {format_span(when.max_gap)}"
    return 0.9 * short / max(when.lasting, 1), Clause("zone.for", FAILED, words, format_span(start), needed, short / 1e6, "s")


def _stay(when: ZoneEvent, history: History, i: int) -> tuple[float, Clause]:
    """Looks back from a position as the machine does, and says what ended it."""
    samples = history.folded.samples
    newest, first = samples[i], i
    needed = format_span(when.lasting)
    while newest.time - samples[first].time < when.lasting:
        lasted = newest.time - samples[first].time
        score = 1 - 0.9 * lasted / max(when.lasting, 1)
        if first == 0:
            short = when.lasting - lasted
            words = f"positions are known for {format_span(lasted)} only: {format_span(short)} short of {needed}"
            return score, Clause("zone.for", FAILED, words, format_span(lasted), needed, short / 1e6, "s")
        before = samples[first - 1]
        gap = samples[first].time - before.time
        if 0 < when.max_gap < gap:
            words = f"no position for {format_span(gap)} up to {clock(samples[first].time)}; at most {format_span(when.max_gap)} may lie between two"
            return score, Clause(
                "zone.max_gap", FAILED, words, format_span(gap), format_span(when.max_gap), (gap - when.max_gap) / 1e6, "s"
            )
        away = great_circle(newest.lon, newest.lat, before.lon, before.lat)
        if away > when.radius * (1 + 1e-9) + 1e-8:
            words = f"{metres(away)} away {format_span(newest.time - before.time)} before: {metres(away - when.radius)} too far for {metres(when.radius)}"
            return score, Clause("zone.stays", FAILED, words, metres(away), metres(when.radius), away - when.radius, "m")
        first -= 1
    return 0.4, Clause(
        "zone.stays", FAILED, f"it has stayed for {needed} already, and rings once when it has", "stayed before", "moved before"
    )
