"""An archive written through the journal, its figures by plain counting, and the question that any engine answers over its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from archive_world import DAY, START, batch, keeper, spread

from tocsin.archive.compact import compact

#: SQL that DuckDB, Polars and Spark all understand, over a table `events` of all files. Times as µs: `{micros}` of the column.
SUMS = """
    SELECT kind, count(*) AS n, count(value) AS measured, sum(value) AS total, sum(severity) AS severity, count(lon) AS placed, sum(lon) AS lon, sum(lat) AS lat,
           count(text) AS texts, count(DISTINCT source) AS sources, min({micros}) AS first, max({micros}) AS last, sum(seq) AS seq
    FROM events GROUP BY kind ORDER BY kind
"""
NAMES = ("kind", "n", "measured", "total", "severity", "placed", "lon", "lat", "texts", "sources", "first", "last", "seq")
_MICRO_DEGREES = 6  # sums of coordinates agree so far, whatever order they were added in


class Written(NamedTuple):
    """`day`, `month`: files of each tier. `expected`: rows as SUMS gives them."""

    day: list[Path]
    month: list[Path]
    expected: list[tuple[Any, ...]]


def written(folder: Path) -> Written:
    """Three feeds over fifty-five days: old ones in month files, the newest in day files."""
    kept = keeper(folder)
    feeds = [spread(900, days=55), spread(400, 1, 55, "fleet"), spread(300, 2, 55, "calls")]
    kept.append([(number, batch(rows)) for number, rows in enumerate(feeds, 1)], len(feeds))
    kept.flush()
    compact(kept.catalog, START + 70 * DAY)
    files = {tier: [one.file for one in kept.catalog.files(f"gone IS NULL AND tier = '{tier}'")] for tier in ("day", "month")}
    kept.close()
    assert files["day"] and files["month"]
    rows = [row | {"seq": entry << 20 | place} for entry, some in enumerate(feeds, 1) for place, row in enumerate(some)]
    return Written([one.path for one in files["day"]], [one.path for one in files["month"]], _counted(rows))


def _counted(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found = []
    for kind in sorted(Counter(row["kind"] for row in rows)):
        mine = [row for row in rows if row["kind"] == kind]
        have = {
            name: [row[name] for row in mine if row.get(name) is not None] for name in ("value", "severity", "lon", "lat", "text", "source")
        }
        sums = {name: sum(have[name]) if have[name] else None for name in ("value", "severity", "lon", "lat")}
        times = [row["event_time"] for row in mine]
        found.append(
            (
                kind, len(mine), len(have["value"]), sums["value"], sums["severity"], len(have["lon"]), sums["lon"], sums["lat"],
                len(have["text"]), len(set(have["source"])), min(times), max(times), sum(row["seq"] for row in mine),
            )
        )  # fmt: skip
    return comparable(found)


def comparable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Fractions to what two orders of adding agree in."""
    return [tuple(round(value, _MICRO_DEGREES) if isinstance(value, float) else value for value in row) for row in rows]
