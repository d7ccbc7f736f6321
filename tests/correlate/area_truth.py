"""Which areas are over an event, and which zone it is in: for the oracle of histories and of guards (SEMANTICS 18)."""

from __future__ import annotations

import math
from typing import Any

from correlate_harness import link
from oracle import NEVER, Fact, distance, near, passes
from shapely import from_wkb

from tocsin.model.plan import Inside, Sector, WarnedArea, Zones


def over(when: Inside, event: Fact, at: int, facts: list[Fact], oracle: Any) -> list[Fact]:
    """Areas over an event at an instant, oldest first."""
    area = when.area
    until = {f.seq: end for f, end in oracle.ended}
    made = sorted({f.seq: f for f in [*facts, *(f for f, _ in oracle.ended)]}.values(), key=lambda f: (f.time, f.seq))
    made = [f for f in made if passes(area.of, f) and f.time <= at < until.get(f.seq, NEVER)]
    if isinstance(area, WarnedArea):
        made = [f for f in made if f.area is not None and lasts(f, area.valid_for, at) and in_area(f.area, event)]
    else:
        newest = {}
        for f in made:
            named = f.source is not None and f.source[1] is not None
            newest[f.code if named else ("", f.seq)] = f
        made = sorted(newest.values(), key=lambda f: (f.time, f.seq))
        made = [f for f in made if lasts(f, area.valid_for, at) and near(f, event, area.within)]
        if isinstance(area, Sector):
            made = [f for f in made if in_slice(area, f, event, at, facts)]
    return [f for f in made if f.seq != event.seq and linked(when.same, when.differs, event, f)]


def linked(same: tuple[str, ...], differs: tuple[str, ...], a: Fact, b: Fact) -> bool:
    def equal(field: str) -> bool:
        x, y = link(a, field), link(b, field)
        return x is not None and y is not None and type(x) is type(y) and x == y

    return all(map(equal, same)) and not any(map(equal, differs))


def lasts(fact: Fact, valid_for: int, at: int) -> bool:
    return at < fact.valid_until if fact.valid_until is not None else at <= fact.time + valid_for


def in_area(area: bytes, fact: Fact) -> bool:
    """Areas of the tests are boxes on one side of the antimeridian."""
    west, south, east, north = from_wkb(area).bounds
    return fact.placed and west <= fact.lon <= east and south <= fact.lat <= north


def zone_of(zones: Zones, fact: Fact) -> str:
    return next((zone.name for zone in zones.zones if in_box(zone, fact)), "")


def in_slice(area: Sector, apex: Fact, event: Fact, at: int, facts: list[Fact]) -> bool:
    if area.wind is None:
        direction = told(area, apex)
    else:
        blown = [f for f in facts if passes(area.wind, f) and told(area, f) is not None and f.time <= at <= f.time + area.wind_for]
        blown = [f for f in blown if area.wind_within == math.inf or near(f, apex, area.wind_within)]
        blown = [f for f in blown if f.time == max(other.time for other in blown)]
        nearest = min(blown, key=lambda f: (distance(f, apex), -f.seq), default=None)
        direction = None if nearest is None else told(area, nearest)
    if direction is None:
        return False
    if distance(apex, event) < 0.001:
        return True
    scale = math.cos(math.radians(apex.lat))
    towards = math.degrees(math.atan2(((event.lon - apex.lon + 540) % 360 - 180) * scale, event.lat - apex.lat))
    off = abs((towards - direction - area.turn + 540) % 360 - 180)
    return off <= area.width / 2


def told(area: Sector, fact: Fact) -> float | None:
    value = math.degrees(fact.value) if area.bearing == "value" and fact.value is not None else link(fact, area.bearing)
    return value if isinstance(value, float) else None


def in_box(zone: Any, fact: Fact) -> bool:
    """Zones of the tests are boxes; their names say where: `west,south,east,north`, in degrees."""
    west, south, east, north = (float(part) for part in zone.name.split(","))
    return fact.placed and west <= fact.lon <= east and south <= fact.lat <= north
