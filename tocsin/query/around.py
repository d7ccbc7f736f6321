"""Everything within R and T of a place and a time, nearest first: the context of an incident."""

from __future__ import annotations

from math import asin, cos, degrees, radians, sin
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.archive import Box, Look, Want
from tocsin.model.asking import Answer, Around, Filter

from .engine import Session
from .rows import EVENT_COLUMNS, as_written, from_clause, plan_of, straight_rows
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
    """Columns of an event, and `distance_m` and `gap_us` (negative: before). Nearest first, then nearest in time, then journal order."""
    want = want_around(asked)
    wanted = Filter(want.start, want.stop, want.box, asked.kinds, asked.feeds, asked.sources, asked.severity, asked.text)
    where = where_of(wanted)
    near = near_of(wanted)
    # The engine takes longer to plan its statement than these few rows take to be looked through; words are its business.
    rows = straight_rows(session, look.files, look.tail, EVENT_COLUMNS, near) if near is not None and not asked.text else None
    source = "events" if rows is not None else from_clause(session, look.files, look.tail, EVENT_COLUMNS, near=near)
    chord = "pow(sin(radians(lat - ?) / 2), 2) + cos(radians(?)) * cos(radians(lat)) * pow(sin(radians(lon - ?) / 2), 2)"
    distance = f"2 * {RADIUS} * asin(least(1.0, sqrt({chord})))"
    sql = (
        f"SELECT *, epoch_us(event_time) - ? AS gap_us FROM (SELECT *, {distance} AS distance_m FROM {source} WHERE {where.sql}) "  # noqa: S608
        f"WHERE distance_m <= ? ORDER BY distance_m, abs(epoch_us(event_time) - ?), seq LIMIT {asked.limit + 1}"
    )
    values = (asked.at, asked.lat, asked.lat, asked.lon, *where.values, asked.within, asked.at)
    found = session.table(sql, values) if rows is None else nearest(rows, wanted, asked)
    cut = len(found) > asked.limit
    notes = (f"only the nearest {asked.limit:,}; ask for less distance or time to see all",) if cut else ()
    return Answer(found.slice(0, asked.limit), plan_of(look), look.reaches, as_written(sql, source, "events", values), notes=notes, cut=cut)


def nearest(rows: pa.Table, wanted: Filter, asked: Around) -> pa.Table:
    """What the statement above gives, of rows with names as texts."""
    lon, lat = (rows[name].to_numpy() for name in ("lon", "lat"))  # null: NaN, which is near nothing
    half_lat, half_lon = np.radians(lat - asked.lat) / 2, np.radians(lon - asked.lon) / 2
    chord = np.sin(half_lat) ** 2 + cos(radians(asked.lat)) * np.cos(np.radians(lat)) * np.sin(half_lon) ** 2
    metres = 2 * RADIUS * np.arcsin(np.minimum(1.0, np.sqrt(chord)))
    gap = rows["event_time"].cast(pa.int64()).to_numpy() - asked.at
    held = np.flatnonzero((metres <= asked.within) & (-asked.before <= gap) & (gap <= asked.after) & _named(rows, wanted))
    seq = rows["seq"].to_numpy()
    order = held[np.lexsort((seq[held], np.abs(gap[held]), metres[held]))][: asked.limit + 1]
    found = rows.take(pa.array(order))
    return found.append_column("distance_m", pa.array(metres[order])).append_column("gap_us", pa.array(gap[order]))


def _named(rows: pa.Table, wanted: Filter) -> NDArray[np.bool_]:
    """What the conditions about kind, feed, source and severity say; null is never what is asked for."""
    held = np.ones(len(rows), bool)
    for column, names in (("feed", wanted.feeds), ("source", wanted.sources)):
        if names:
            held &= pc.is_in(rows[column], pa.array(names, pa.string())).to_numpy()
    if wanted.kinds:
        below = [pc.starts_with(rows["kind"], f"{kind}.").fill_null(False).to_numpy() for kind in wanted.kinds]
        held &= np.logical_or.reduce([pc.is_in(rows["kind"], pa.array(wanted.kinds, pa.string())).to_numpy(), *below])
    if wanted.severity is not None:
        held &= pc.greater_equal(rows["severity"], wanted.severity).fill_null(False).to_numpy()
    return held
