"""Distances between samples, as the kernels measure them: squared chords of the unit sphere."""

from __future__ import annotations

import math
from typing import Protocol


class Placed(Protocol):
    """Anything at a place in degrees; NaN when it has none."""

    @property
    def lon(self) -> float: ...
    @property
    def lat(self) -> float: ...


def vector(lon: float, lat: float) -> tuple[float, float, float]:
    """Degrees -> unit vector."""
    across = math.cos(math.radians(lat))
    return across * math.cos(math.radians(lon)), across * math.sin(math.radians(lon)), math.sin(math.radians(lat))


def chord(a: Placed, b: Placed) -> float:
    """Squared chord between two places; NaN, which is within no limit, when one has none."""
    return sum((p - q) ** 2 for p, q in zip(vector(a.lon, a.lat), vector(b.lon, b.lat), strict=True))


def bearing(start: Placed, end: Placed) -> float:
    """Degrees clockwise from north in which the great circle leaves `start` for `end`."""
    north, other = math.radians(start.lat), math.radians(end.lat)
    east = math.radians(end.lon - start.lon)
    across = math.cos(north) * math.sin(other) - math.sin(north) * math.cos(other) * math.cos(east)
    return math.degrees(math.atan2(math.sin(east) * math.cos(other), across)) % 360.0
