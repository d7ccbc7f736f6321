"""How far a place is from an area, for people: metres to its nearest edge."""

from __future__ import annotations

import math

import numpy as np
import shapely

from tocsin.correlate.geometry import great_circle


def metres_to(shape: shapely.Geometry, lon: float, lat: float) -> float:
    """Metres from a place to a shape in lon/lat, 0 inside; inf for an empty one. East and north are scaled alike round the place, so it is exact
    near by and good enough far away."""
    across = max(math.cos(math.radians(lat)), 1e-6)
    scaled = shapely.transform(shape, lambda corners: corners * np.array([across, 1.0]))
    line = shapely.shortest_line(shapely.Point(lon * across, lat), scaled)
    if line is None or line.is_empty:
        return math.inf
    east, north = line.coords[-1][:2]
    return great_circle(lon, lat, east / across, north)


def metres_to_edge(shape: shapely.Geometry, lon: float, lat: float) -> float:
    """Metres from a place inside a shape to its edge."""
    return metres_to(shape.boundary, lon, lat)
