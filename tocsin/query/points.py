"""Places of events for a map: columns for up to a million points, and vector tiles that count what lies too close together."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tocsin.model.archive import Box, Look
from tocsin.model.asking import Answer, Points, Tile

from .engine import Session
from .grid import HIGHEST, held_box
from .rows import as_written, from_clause, plan_of
from .straight import near_of
from .where import add_cells, is_open, want_of, where_of

#: A tile's side in units of its own, and the side of the squares within which events become one symbol (Mapbox Vector Tile 2.1).
EXTENT: Final = 4096
SQUARE: Final = 64
_COLUMNS: Final = ("seq", "event_time", "lon", "lat", "kind", "severity")


def points(session: Session, look: Look, asked: Points) -> Answer:
    """Columns `seq`, `event_time`, `lon`, `lat`, `kind`, `severity` of events with a place."""
    where = where_of(asked.filter)
    where.add("lon IS NOT NULL AND lat IS NOT NULL")
    columns = _all(asked.filter.text, asked.filter.feeds, asked.filter.sources)
    source = from_clause(session, look.files, look.tail, columns, near=near_of(asked.filter))
    sql = f"SELECT {', '.join(_COLUMNS)} FROM {source} WHERE {where.sql} LIMIT {asked.limit + 1}"  # noqa: S608
    table = session.table(sql, where.values)
    cut = len(table) > asked.limit
    notes = (f"only {asked.limit:,} of them; ask for less time or a smaller place to see all",) if cut else ()
    plan = plan_of(look, whole=is_open(want_of(asked.filter)))
    return Answer(table.slice(0, asked.limit), plan, look.reaches, as_written(sql, source, "events", where.values), notes=notes, cut=cut)


def tile(session: Session, look: Look, asked: Tile) -> Answer:
    """Columns `px`, `py` (a place of the square, in units of the tile), `rows`, `severity`, and of the newest event `kind`, `seq`."""
    where = where_of(asked.filter)
    box = held_box(asked.z, asked.x, asked.y)
    below, east = (
        ">=" if box.south == -90 else ">",
        "<=" if box.east == 180 else "<",
    )  # nothing lies beyond these edges to hold what is on them
    where.add(f"lat {below} ? AND lat <= ? AND lon >= ? AND lon {east} ?", box.south, box.north, box.west, box.east)
    add_cells(where, box)
    columns = _all(asked.filter.text, asked.filter.feeds, asked.filter.sources)
    source = from_clause(session, look.files, look.tail, columns, near=near_of(replace(asked.filter, box=box)))
    side = 1 << asked.z
    across = f"((lon + 180) / 360 * {side} - {asked.x}) * {EXTENT}"
    down = f"((1 - asinh(tan(radians(greatest({-HIGHEST}, least({HIGHEST}, lat))))) / pi()) / 2 * {side} - {asked.y}) * {EXTENT}"
    inner = f"SELECT seq, event_time, kind, severity, {across} AS across, {down} AS down FROM {source} WHERE {where.sql}"  # noqa: S608
    sql = (
        "SELECT avg(across)::INTEGER AS px, avg(down)::INTEGER AS py, count(*) AS rows, max(severity) AS severity, "  # noqa: S608
        f"arg_max(kind, (event_time, seq)) AS kind, arg_max(seq, (event_time, seq)) AS seq FROM ({inner}) "
        f"GROUP BY floor(across / {SQUARE})::INTEGER, floor(down / {SQUARE})::INTEGER ORDER BY seq"
    )
    table = session.table(sql, where.values)
    return Answer(table, plan_of(look), look.reaches, as_written(sql, source, "events", where.values))


def within_tile(asked: Tile) -> Box | None:
    """The part of the tile that the filter's own box leaves; None: nothing."""
    box, own = held_box(asked.z, asked.x, asked.y), asked.filter.box
    if own is None or own.west > own.east:
        return box
    both = Box(max(box.west, own.west), max(box.south, own.south), min(box.east, own.east), min(box.north, own.north))
    return both if both.west <= both.east and both.south <= both.north else None


def _all(text: str, feeds: tuple[str, ...], sources: tuple[str, ...]) -> tuple[str, ...]:
    return (
        *_COLUMNS,
        "cell",
        *(("feed",) if feeds else ()),
        *(("text", "attrs", "source", "id") if text else ("source",) if sources else ()),
    )
