"""Everything within R and T of a place and a time, nearest first: the context of an incident."""

from __future__ import annotations

from math import asin, cos, degrees, radians, sin
from typing import Final

from tocsin.model.archive import Box, Look, Want
from tocsin.model.asking import Answer, Around, Filter

from .engine import Session
from .rows import EVENT_COLUMNS, as_written, from_clause, plan_of
from .straight import near_of
from .where import where_of

#: IUGG mean radius, metres: distances are those of the rules (SEMANTICS 3).
RADIUS: Final = 6_371_008.8
#: What rounding may do to the corners of the box that the circle lies in, degrees.
_SLACK: Final = 1e-9


def circle_box(lon: float, lat: float, within: float) -> Box:
    """The smallest box that holds the circle. `within`: metres; near a pole or round the Earth it is a belt."""
    reach = within / RADIUS
    north, south = lat + degrees(reach) + _SLACK, lat - degrees(reach) - _SLACK
    if north >= 90 or south <= -90:
        return Box(-180.0, max(south, -90.0), 180.0, min(north, 90.0))
    half = degrees(asin(min(1.0, sin(reach) / cos(radians(lat))))) + _SLACK
    west, east = lon - half, lon + half
    if half >= 180:
        return Box(-180.0, south, 180.0, north)
    return Box(west + 360 if west < -180 else west, south, east - 360 if east > 180 else east, north)


def want_around(asked: Around) -> Want:
    box = circle_box(asked.lon, asked.lat, asked.within)
    return Want(start=asked.at - asked.before, stop=asked.at + asked.after + 1, box=box, feeds=asked.feeds, kinds=asked.kinds)


def around(session: Session, look: Look, asked: Around) -> Answer:
    """Columns of an event, and `distance_m` and `gap_s` (negative: before). Nearest first, then nearest in time, then journal order."""
    want = want_around(asked)
    wanted = Filter(want.start, want.stop, want.box, asked.kinds, asked.feeds, asked.sources, asked.severity, asked.text)
    where = where_of(wanted)
    chord = "pow(sin(radians(lat - ?) / 2), 2) + cos(radians(?)) * cos(radians(lat)) * pow(sin(radians(lon - ?) / 2), 2)"
    distance = f"2 * {RADIUS} * asin(least(1.0, sqrt({chord})))"
    source = from_clause(session, look.files, look.tail, EVENT_COLUMNS, near=near_of(wanted))
    sql = (
        f"SELECT *, epoch_us(event_time) - ? AS gap_us FROM (SELECT *, {distance} AS distance_m FROM {source} WHERE {where.sql}) "  # noqa: S608
        f"WHERE distance_m <= ? ORDER BY distance_m, abs(epoch_us(event_time) - ?), seq LIMIT {asked.limit + 1}"
    )
    values = (asked.at, asked.lat, asked.lat, asked.lon, *where.values, asked.within, asked.at)
    found = session.table(sql, values)
    cut = len(found) > asked.limit
    notes = (f"only the nearest {asked.limit:,}; ask for less distance or time to see all",) if cut else ()
    return Answer(found.slice(0, asked.limit), plan_of(look), look.reaches, as_written(sql, source, "events", values), notes=notes, cut=cut)
