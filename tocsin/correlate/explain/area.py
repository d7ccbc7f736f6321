"""Areas of a rule as an explanation asks for them: which covers a place at an instant, and how far the others are in space and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from tocsin.correlate.geometry import great_circle
from tocsin.correlate.phrases import metres
from tocsin.correlate.series.areas import Areas, Slices, Still, areas_of
from tocsin.correlate.series.places import bearing
from tocsin.correlate.series.sample import Sample
from tocsin.model.operators import Area
from tocsin.model.plan import Around, Sector, WarnedArea, Zones
from tocsin.model.time import format_span

from .condition import thing, written
from .facts import Rows
from .scene import NEVER, Scene
from .shapes import metres_to

#: Areas whose distance is worked out one by one.
_CLOSELY = 500


@dataclass(slots=True)
class Known:
    """The areas of a rule or guard, from facts known before a journal position (or clock). `samples`: row of the facts -> sample."""

    areas: Areas
    of: Area
    samples: dict[int, Sample]
    rows: dict[int, int]


def known_areas(scene: Scene, area: Area, cause: int = NEVER, until: int = NEVER, links: tuple[str, ...] = ()) -> Known:
    """Areas made of the facts before journal position `cause` and learnt before clock `until` (µs); `links`: fields wanted besides."""
    facts = scene.facts
    areas = areas_of(area, lambda code: facts.names[code])
    samples: dict[int, Sample] = {}
    asks = [(of, False) for of in areas.asks]
    if asks:
        mask = np.zeros(len(facts), np.bool_)
        for of, _ in asks:
            mask |= facts.passing(of)
        if not scene.with_late:
            mask &= facts.live
        rows: Rows = np.flatnonzero(mask & (facts.seq < cause) & (facts.ingest < until))
        for row, sample in zip(rows.tolist(), facts.samples(rows, facts.flags(rows, asks), (*areas.fields, *links)), strict=True):
            samples[row] = sample
            for ask in range(len(asks)):
                if sample.flags >> ask & 1:
                    areas.add(ask, sample)
        for seq, end in facts.ended.items():
            areas.end(frozenset((seq,)), end)
    return Known(areas, area, samples, {sample.seq: row for row, sample in samples.items()})


@dataclass(frozen=True, slots=True)
class Missed:
    """Why no area covers a place: words, how far (in `unit`), which event. `size`: about 0 to 1, for comparing."""

    words: str
    short: float | None
    unit: str
    row: int
    size: float


def nearest(scene: Scene, known: Known, sample: Sample, at: int) -> Missed:
    """The area that came closest to covering a place at an instant."""
    if not sample.placed:
        return Missed("it has no coordinates", None, "", -1, 3.0)
    if isinstance(known.of, Zones):
        return _nearest_zone(known.of, sample)
    best: Missed | None = None
    some = sorted(known.samples.items(), key=lambda pair: abs(pair[1].time - at))[:_CLOSELY]
    for row, fact in some:
        if fact.seq == sample.seq:
            continue
        missed = _off(scene, known, row, fact, sample, at)
        if best is None or missed.size < best.size:
            best = missed
    if best is None:
        what = written(known.areas.asks[0]) if known.areas.asks else "an area"
        return Missed(f"no {what} was known", None, "", -1, 5.0)
    return best


def _nearest_zone(zones: Zones, sample: Sample) -> Missed:
    ways = [(metres_to(shapely.from_wkb(zone.wkb), sample.lon, sample.lat), zone.name) for zone in zones.zones]
    if not ways:
        return Missed(f"the layer {zones.layer} has no such zone", None, "", -1, 5.0)
    away, name = min(ways)
    return Missed(f"it was {metres(away)} outside {name}", away, "m", -1, min(1.0, away / 10_000))


def _off(scene: Scene, known: Known, row: int, fact: Sample, sample: Sample, at: int) -> Missed:
    """How far one area is from covering a place."""
    what = thing(scene, row)
    early, over = fact.time - at, at - _ends(known, fact)
    words, size, short, unit = [], 0.0, None, ""
    if early > 0:
        words.append(f"begins {_span(early)} later")
        size, short, unit = size + early / 3.6e9, early / 1e6, "s"
    elif over >= 0:
        words.append(f"ended {_span(over)} before")
        size, short, unit = size + (over + 1) / 3.6e9, over / 1e6, "s"
    beyond, told = _beyond(known, fact, sample, at)
    if beyond > 0:
        words.append(told)
        size += beyond / 10_000
        if short is None:
            short, unit = beyond, "m"
    return Missed(f"{what} {' and '.join(words) or 'does not count'}", short, unit, row, size if words else 2.0)


def _ends(known: Known, fact: Sample) -> int:
    lasts = getattr(known.areas, "lasts", None)
    return int(lasts(fact)) if lasts is not None else NEVER


def _beyond(known: Known, fact: Sample, sample: Sample, at: int) -> tuple[float, str]:
    """Metres that are missing, and words; 0 when the place would be covered."""
    if isinstance(known.of, WarnedArea):
        if len(fact.more) < 2 or fact.more[1] is None:
            return 1e6, "names no area"
        away = metres_to(shapely.from_wkb(fact.more[1]), sample.lon, sample.lat)
        return away, f"is {metres(away)} away"
    assert isinstance(known.of, Around | Sector)
    if not fact.placed:
        return 1e6, "has no coordinates"
    away = great_circle(fact.lon, fact.lat, sample.lon, sample.lat)
    if away > known.of.within:
        return away - known.of.within, f"is {metres(away)} away, {metres(away - known.of.within)} too far"
    if isinstance(known.areas, Slices) and isinstance(known.of, Sector):
        direction = known.areas.direction(fact, at)
        if direction is None:
            return 5_000.0, "has no direction: no bearing or wind is known"
        off = abs((bearing(fact, sample) - direction + 180.0) % 360.0 - 180.0)
        if off > known.of.width / 2:
            return 100 * (off - known.of.width / 2), f"points {off - known.of.width / 2:.0f} degrees too far aside"
    return 0.0, ""


def covering(scene: Scene, known: Known, sample: Sample, at: int) -> str:
    """The area over a place in words, empty when none is."""
    area, inside = known.areas.over(sample, at)
    if not inside:
        return ""
    if isinstance(known.areas, Still):
        return known.areas.label(sample)
    return thing(scene, known.rows[area.seq]) if area is not None else "an area"


def _span(us: int) -> str:
    return format_span(us // 1_000_000 * 1_000_000) if us >= 1_000_000 else f"{us / 1e6:g} s"
