"""What a place is called: the nearest named point with distance and direction, and the areas a point lies in.

The names stand in alerts, so they must come out the same on every run: plain arithmetic, ties broken by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from .layers import LoadedLayer

#: Mean Earth radius, metres (SEMANTICS 3).
EARTH: Final = 6_371_008.8
#: A named point farther away than this says little about where something is, metres.
NEAR: Final = 5_000.0
#: At this distance or less one is there, metres.
AT: Final = 30.0
_COMPASS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The nearest named point. `metres`: great-circle distance; `direction`: compass point from the named point to the place asked for."""

    name: str
    layer: str
    metres: float
    direction: str


@dataclass(frozen=True, slots=True)
class Area:
    """A named polygon that contains the place."""

    name: str
    layer: str


class PlaceNames:
    """Names from the layers marked `places`; `areas` also knows the polygon layers that are not."""

    def __init__(self, layers: Iterable[LoadedLayer]) -> None:
        points: list[tuple[str, str, float, float]] = []
        polygons: list[tuple[str, str, shapely.Geometry, bool]] = []
        for layer in layers:
            for feature in layer.named:
                if feature.name and layer.kind == "polygons":
                    polygons.append((feature.name, layer.name, feature.shape, layer.spec.places))
                elif feature.name and layer.spec.places:
                    points += [(feature.name, layer.name, float(x), float(y)) for x, y in shapely.get_coordinates(feature.shape)]
        self._points = sorted(points)
        self._lon = np.radians([point[2] for point in self._points])
        self._lat = np.radians([point[3] for point in self._points])
        self._polygons = sorted(polygons, key=lambda one: (one[1], one[0], one[2].wkb))
        self._tree = shapely.STRtree([one[2] for one in self._polygons])

    def name(self, lon: float, lat: float) -> str:
        """`near Harborview, 230 m NE` (the place lies north-east of Harborview), `at Harborview`, `in Ballard`, or degrees."""
        label = self.label(lon, lat)
        found = self.nearest(lon, lat)
        if found is not None and found.metres <= NEAR:
            return ("at " if found.metres <= AT else "near ") + label
        return ("in " if self._within(lon, lat) else "at ") + label

    def label(self, lon: float, lat: float) -> str:
        """The same without the first word, for sentences that have one: `Smoke near {place}`."""
        found = self.nearest(lon, lat)
        if found is not None and found.metres <= NEAR:
            return found.name if found.metres <= AT else f"{found.name}, {format_metres(found.metres)} {found.direction}"
        within = self._within(lon, lat)
        return within[0].name if within else format_degrees(lon, lat)

    def nearest(self, lon: float, lat: float) -> Neighbour | None:
        """The nearest named point of all; None when no layer names any."""
        if not self._points:
            return None
        x, y = math.radians(lon), math.radians(lat)
        half = np.sin((self._lat - y) / 2) ** 2 + math.cos(y) * np.cos(self._lat) * np.sin((self._lon - x) / 2) ** 2
        metres = 2 * EARTH * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
        best = float(metres.min())
        number = int(np.flatnonzero(metres <= best + 1e-6)[0])  # sorted by name: the first of equals
        name, layer, from_lon, from_lat = self._points[number]
        return Neighbour(name, layer, best, compass(from_lon, from_lat, lon, lat))

    def areas(self, lon: float, lat: float) -> list[Area]:
        """Named polygons that contain the point (their edge included), by layer and name."""
        return [Area(name, layer) for name, layer, _, _ in self._containing(lon, lat)]

    def _within(self, lon: float, lat: float) -> list[Area]:
        """Of the layers marked `places`, the smallest first."""
        found = [one for one in self._containing(lon, lat) if one[3]]
        return [Area(name, layer) for name, layer, _, _ in sorted(found, key=lambda one: (one[2].area, one[0]))]

    def _containing(self, lon: float, lat: float) -> list[tuple[str, str, shapely.Geometry, bool]]:
        return [self._polygons[i] for i in sorted(self._tree.query(shapely.Point(lon, lat), predicate="intersects").tolist())]


def compass(from_lon: float, from_lat: float, to_lon: float, to_lat: float) -> str:
    """One of eight compass points: the initial great-circle course from the one to the other."""
    y1, y2, dx = math.radians(from_lat), math.radians(to_lat), math.radians(to_lon - from_lon)
    course = math.atan2(math.sin(dx) * math.cos(y2), math.cos(y1) * math.sin(y2) - math.sin(y1) * math.cos(y2) * math.cos(dx))
    return _COMPASS[round(math.degrees(course) / 45) % 8]


def format_metres(metres: float) -> str:
    """`230 m`, `1.4 km`: as exact as a person would say it."""
    rounded = round(metres, -1)
    return f"{rounded:.0f} m" if rounded < 1000 else f"{metres / 1000:.1f} km"


def format_degrees(lon: float, lat: float) -> str:
    """`47.6062° N, 122.3321° W`: four decimals are 11 m."""
    return f"{abs(lat):.4f}° {'S' if lat < 0 else 'N'}, {abs(lon):.4f}° {'W' if lon < 0 else 'E'}"
