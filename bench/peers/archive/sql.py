"""The questions as SQL, in the dialects of the engines that speak it. Columns are those of `one.parquet`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RADIUS = 6_371_008.8
METRES, HALF = 500, 30 * 60 * 1_000_000
COLUMNS = "n, event_time, ingest_time, feed, kind, source, id, lon, lat, value, severity, action, attrs, text, cell"
_STEPS = {"hour": 3_600_000_000, "day": 86_400_000_000}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`instant`: a literal of a time, from µs; `micros`: µs of `event_time`; `divided`: whole division; `tile`: of `cell`."""

    instant: str
    micros: str
    divided: str
    tile: str
    table: str


def rows(dialect: Dialect, how: str, q: dict[str, Any]) -> str:
    """A statement that gives (rows, sum of n) over all columns of what is found."""
    where = _around(dialect, q) if how == "around" else _calls(dialect, q) if how == "calls" else _history(dialect, q)
    return f"SELECT {COLUMNS} FROM {dialect.table} WHERE {where}"


def groups(dialect: Dialect, how: str, q: dict[str, Any]) -> str:
    """A statement that gives one row a group with its count, named `c`."""
    width = _STEPS[q["step"]] if how == "series" else _STEPS["hour"]
    by = q["split"] if how == "series" else "source"
    bucket = dialect.divided.format(a=dialect.micros, b=width)
    where = " AND ".join([*_span(dialect, q), *([_inside(q["box"]), "kind LIKE 'air.%'"] if how == "by_hour" else [])]) or "1 = 1"
    values = "count(value) AS v, sum(value) AS total, min(value) AS low, max(value) AS high"
    return f"SELECT {bucket} AS b, {by}, count(*) AS c, {values} FROM {dialect.table} WHERE {where} GROUP BY 1, 2"


def tiles(dialect: Dialect) -> str:
    """A statement that gives the busiest tiles of calls with their counts, named `c`."""
    return f"SELECT {dialect.tile} AS t, count(*) AS c FROM {dialect.table} WHERE kind LIKE 'call.%' GROUP BY 1 ORDER BY c DESC LIMIT 20"


def _span(dialect: Dialect, q: dict[str, Any]) -> list[str]:
    made = []
    if q.get("start") is not None:
        made.append(f"event_time >= {dialect.instant.format(us=q['start'])}")
    if q.get("stop") is not None:
        made.append(f"event_time < {dialect.instant.format(us=q['stop'])}")
    return made


def _inside(box: list[float]) -> str:
    west, south, east, north = box
    return f"lon BETWEEN {west!r} AND {east!r} AND lat BETWEEN {south!r} AND {north!r}"


def _around(dialect: Dialect, q: dict[str, Any]) -> str:
    lon, lat = q["lon"], q["lat"]
    chord = (
        f"pow(sin(radians(lat - ({lat!r})) / 2), 2) + cos(radians({lat!r})) * cos(radians(lat)) * pow(sin(radians(lon - ({lon!r})) / 2), 2)"
    )
    span = _span(dialect, {"start": q["at"] - HALF, "stop": q["at"] + HALF + 1})
    return " AND ".join([*span, _inside(q["box"]), f"2 * {RADIUS} * asin(sqrt({chord})) <= {METRES}"])


def _calls(dialect: Dialect, q: dict[str, Any]) -> str:
    return " AND ".join([*_span(dialect, q), _inside(q["box"]), "kind LIKE 'call.%'", "feed = 'calls'"])


def _history(dialect: Dialect, q: dict[str, Any]) -> str:
    return " AND ".join([*_span(dialect, q), f"feed = '{q['feed']}'", f"source = '{q['source']}'"])


ROWS = frozenset({"around", "calls", "history"})


def answer_of_groups(counts: list[int]) -> list[int]:
    return [len(counts), sum(counts), sum(count * count for count in counts)]
