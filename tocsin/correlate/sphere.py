"""Great-circle distance on the mean sphere (SEMANTICS 3), for what people read; the kernels have their own."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

RADIUS = 6_371_008.8  # IUGG mean radius, metres


def distance(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Metres between two points given in degrees; haversine, exact also for near points."""
    half_lat = radians(other_lat - lat) / 2
    half_lon = radians(other_lon - lon) / 2
    chord = sin(half_lat) ** 2 + cos(radians(lat)) * cos(radians(other_lat)) * sin(half_lon) ** 2
    return 2 * RADIUS * asin(min(1.0, sqrt(chord)))
