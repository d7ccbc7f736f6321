"""What the SQL engines share: cells, the distance test and rules as rows with one shape."""

from __future__ import annotations

import math

from bench.stream import LAT0, LON0, METRES_PER_DEGREE

KX = METRES_PER_DEGREE * math.cos(math.radians(LAT0))
LEVELS = (500, 2000)
CX = f"FLOOR((lon - ({LON0!r}E0)) * {KX!r}E0 / {{reach:.2f}}E0)"
CY = f"FLOOR((lat - ({LAT0!r}E0)) * {METRES_PER_DEGREE!r}E0 / {{reach:.2f}}E0)"
#: a is the anchor, w the other event, {r} the radius in metres; the same flat formula as the other peers use
NEAR = (
    f"((w.lon-a.lon)*(w.c+a.c)*{0.5 * METRES_PER_DEGREE!r}E0)*((w.lon-a.lon)*(w.c+a.c)*{0.5 * METRES_PER_DEGREE!r}E0)"
    f" + ((w.lat-a.lat)*{METRES_PER_DEGREE!r}E0)*((w.lat-a.lat)*{METRES_PER_DEGREE!r}E0) <= {{r}}*{{r}}"
)


def pair_rows(name: str, rows: list[tuple]) -> list[tuple]:
    """(rule, the anchor's kind, its lowest value, the other's kind, its lowest value, radius m, span µs, sources wanted)."""
    if name == "cluster":
        return [(rule, kind, low, kind, low, r, t, k) for rule, kind, low, r, t, k, _ in rows]
    if name == "sequence":  # the second event completes it
        return [(rule, kb, lb, ka, la, r, t, 0) for rule, ka, la, kb, lb, r, t, _ in rows]
    return [(rule, ka, la, kb, lb, r, t, 0) for rule, ka, la, kb, lb, r, t, _ in rows]


def widest(rows: list[tuple]) -> int:
    """The longest span of these rows in whole seconds, and one more: engines with milliseconds round, the exact test follows."""
    return max(row[6] for row in rows) // 1_000_000 + 1
