"""What a series or a map counts: rows, values, total, smallest and largest, from raw events or from rollups with the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from tocsin.model.archive import ROLLUP, Look, Want
from tocsin.model.asking import Filter, Refused
from tocsin.model.time import DAY, HOUR

from .engine import Elsewhere, Session
from .grid import EVENT_ZOOM, ROLLUP_ZOOM
from .rows import ROLLUP_COLUMNS, as_written, from_clause
from .straight import near_of
from .where import Where, add_kinds, add_names, add_times, where_of

#: Groups that one question may have.
GROUPS_MOST: Final = 1_000_000
#: Columns every answer has after its keys; `total` is summed with compensation, so that the order of rows does not show.
AMOUNTS: Final = ("rows", "values", "total", "low", "high")
_RAW: Final = (
    'count(*) AS rows, count(value) AS "values", fsum(value) AS total, min(value) AS low, max(value) AS high, max(severity) AS severity'
)
_ROLLED: Final = (
    'sum(rows)::BIGINT AS rows, sum("values")::BIGINT AS "values", fsum(total) AS total, min(low) AS low, max(high) AS high, '
    "max(severity) AS severity"
)


@dataclass(frozen=True, slots=True)
class Grouped:
    """One row a group: `keys`, then AMOUNTS and `severity`."""

    table: pa.Table
    sql: str


@dataclass(frozen=True, slots=True)
class Key:
    """A column to group by: its name, and its expression over events and over rollups (empty: rollups do not know it). `measure`: width of a bucket
    in µs, zoom of a cell."""

    name: str
    raw: str
    rolled: str = ""
    measure: int = 0


def bucket_key(width: int) -> Key:
    """Whole multiples of `width` µs since 1970, by integer arithmetic: calendar functions of the engine cost thirty times as much."""
    return Key("bucket", f"epoch_us(event_time) // {width}", f"epoch_us(start) // {width}", width)


def cell_key(zoom: int) -> Key:
    """Morton code of the tile at `zoom`. Raises Refused."""
    if not 4 <= zoom <= EVENT_ZOOM:
        raise Refused(f"zoom: found {zoom}; valid is 4 to {EVENT_ZOOM}")
    raw = f"cell >> {2 * (EVENT_ZOOM - zoom)}"
    return Key("cell", raw, f"cell >> {2 * (ROLLUP_ZOOM - zoom)}" if zoom <= ROLLUP_ZOOM else "", zoom)


def name_key(column: str) -> Key:
    return Key(column, column, column if column in ("kind", "feed") else "")


def rollup_for(wanted: Filter, keys: Sequence[Key], width: int | None) -> str:
    """The coarsest rollup (`daily`, `hourly`) that gives exactly what the events would give; empty: none does. `width`: of the time buckets in µs,
    None without."""
    if wanted.box is not None or wanted.sources or wanted.severity is not None or wanted.text or not all(key.rolled for key in keys):
        return ""
    edges = [edge for edge in (wanted.start, wanted.stop, width) if edge is not None]
    for step, size in (("daily", DAY), ("hourly", HOUR)):
        if all(edge % size == 0 for edge in edges):
            return step
    return ""


def want_rollup(wanted: Filter) -> Want:
    return Want(start=wanted.start, stop=wanted.stop, feeds=wanted.feeds, kinds=wanted.kinds)


def grouped(session: Session | Elsewhere, look: Look, wanted: Filter, keys: Sequence[Key], *, basis: str = "", more: str = "") -> Grouped:
    """`look`: of events, or of rollups of `basis` (`hourly`, `daily`; empty: events). `more`: a further condition. Raises Refused when there are too many groups."""
    if not isinstance(session, Session):
        made, told = session.sums(look, wanted, [(key.name, key.measure) for key in keys], basis, more, GROUPS_MOST)
        return Grouped(_within(made), told)
    if basis:
        where = Where()
        add_times(where, wanted.start, wanted.stop, "start")
        add_kinds(where, wanted.kinds)
        add_names(where, "feed", wanted.feeds)
        source = from_clause(session, look.files, look.tail, ROLLUP_COLUMNS, ROLLUP)
    else:
        where = where_of(wanted)
        source = from_clause(session, look.files, look.tail, needed(wanted, keys), near=near_of(wanted))
    if more:
        where.add(more)
    shown = "".join(f"{key.rolled if basis else key.raw} AS {key.name}, " for key in keys)
    by = f"GROUP BY {', '.join(str(n + 1) for n in range(len(keys)))} LIMIT {GROUPS_MOST + 1}" if keys else ""
    sql = f"SELECT {shown}{_ROLLED if basis else _RAW} FROM {source} WHERE {where.sql} {by}"  # noqa: S608
    table = session.table(sql, where.values)
    return Grouped(_within(table), as_written(sql, source, basis or "events", where.values))


def _within(table: pa.Table) -> pa.Table:
    """Raises Refused."""
    if len(table) > GROUPS_MOST:
        raise Refused(f"this would give more than {GROUPS_MOST:,} groups; ask for less time, a longer step or no split")
    return table


def needed(wanted: Filter, keys: Sequence[Key] = ()) -> tuple[str, ...]:
    """The columns that this question reads; no other is decoded."""
    names = {"event_time", "value", "severity"}
    names.update(("lon", "lat", "cell") if wanted.box is not None else ())
    names.update(("kind",) if wanted.kinds else ())
    names.update(("feed",) if wanted.feeds else ())
    names.update(("source",) if wanted.sources else ())
    names.update(("text", "attrs", "source", "id") if wanted.text else ())
    for key in keys:
        names.update({"bucket": ("event_time",)}.get(key.name, (key.name,)))
    return tuple(sorted(names))
