"""Geometry as it is written (GeoJSON, WKT, CAP) to what an event carries: a point in degrees and an area as WKB.

Longitude and latitude are WGS 84 degrees. A polygon with an edge longer than 180 degrees of longitude crosses the antimeridian and is
cut there (RFC 7946, 3.1.9). Polygons that cross themselves are repaired; overlapping ones are merged, so that a point is in the area
or not, whichever rule a reader counts crossings by (`feeds/repair.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from . import wkb
from .repair import cut, merge, valid
from .unfit import SAID, Unfit

Position = tuple[float, float]  # lon, lat

EARTH_RADIUS_KM: Final = 6371.0088  # mean sphere, as everywhere in the house (SEMANTICS 3)
_CIRCLE_CORNERS: Final = 64
_LARGEST_CIRCLE_KM: Final = EARTH_RADIUS_KM * math.pi / 2  # half of the Earth
_DEEPEST: Final = 8  # GeometryCollections in one another


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a point (of the area, when there is one) and the area as little-endian WKB."""

    lon: float | None = None
    lat: float | None = None
    area: bytes | None = None


NOWHERE: Final = Place()
_WKT: Final = re.compile(r"\s*(?:MULTI)?(?:POINT|LINESTRING|POLYGON)\s*(?:Z|M|ZM)?\s*\([-+0-9.eE,()\s]*\)\s*", re.IGNORECASE)


def position(lon: Any, lat: Any) -> Position:
    """A pair of numbers on the Earth. Raises Unfit, with a hint when the two are in the wrong order."""
    for value in (lon, lat):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit(value, "a coordinate in degrees")
        if not abs(value) <= 1e6:  # also NaN, infinity and integers that no float can hold
            raise Unfit(value, "a coordinate in degrees")
    if abs(lat) > 90:
        swapped = "; lon and lat look swapped" if abs(lon) <= 90 and abs(lat) <= 180 else ""
        raise Unfit(lat, f"a latitude from -90 to 90{swapped}")
    if abs(lon) > 180:
        raise Unfit(lon, "a longitude from -180 to 180")
    return float(lon), float(lat)


def not_null_island(lon: float, lat: float) -> None:
    """Refuse 0, 0: what a receiver without a fix says, never where something happened."""
    if lon == 0 and lat == 0:
        raise Unfit(SAID, "0, 0 is what a device without a position fix says, not a place; leave lon and lat out instead")


def from_geojson(geometry: Any) -> Place:
    """RFC 7946 geometry -> place; null -> NOWHERE. A GeometryCollection's first point is the point. Raises Unfit."""
    if geometry is None:
        return NOWHERE
    points: list[Position] = []
    polygons: list[BaseGeometry] = []
    _collect(geometry, points, polygons, 0)
    return place(polygons, points)


def place(polygons: Sequence[BaseGeometry], points: Sequence[Position] = ()) -> Place:
    """Polygons and points -> one place; the first point wins over the area's own representative point."""
    if not polygons:
        return Place(*points[0]) if points else NOWHERE
    area = merge(polygons)
    if points:
        return Place(*points[0], shapely.to_wkb(area, byte_order=1))
    inner = area.representative_point()
    return Place(inner.x, inner.y, shapely.to_wkb(area, byte_order=1))


def from_wkt(text: str) -> Place:
    """Well-known text of a point, line, polygon or several of them -> place. Raises Unfit."""
    if _WKT.fullmatch(text):  # nothing nested: GEOS reads collections in collections on the machine's stack
        try:
            with np.errstate(all="ignore"):  # what is not finite is refused below, in words
                return from_geojson(shapely.from_wkt(text).__geo_interface__)
        except shapely.errors.GEOSException:
            pass
    raise Unfit(text, "a geometry in well-known text, as in POLYGON((lon lat, ...))")


def from_wkb(data: bytes) -> Place:
    """Well-known binary of the same -> place; a MultiPolygon of one polygon stays one. Raises Unfit."""
    written = wkb.read(data)
    found = from_geojson(written)
    if found.area is None or written["type"] != "MultiPolygon":
        return found
    return Place(found.lon, found.lat, as_multipolygon(found.area))


def polygon(rings: Iterable[Sequence[Position]]) -> BaseGeometry:
    """Closed rings (shell, then holes) -> a valid polygon or multipolygon, cut at the antimeridian. Raises Unfit."""
    shells = [list(ring) for ring in rings]
    if not shells:
        raise Unfit([], "a polygon: it has no ring")
    for ring in shells:
        if len(ring) < 4:
            raise Unfit(ring, f"a ring: it has {len(ring)} positions, a ring needs at least 4")
        if ring[0] != ring[-1]:
            raise Unfit(ring, "a closed ring: its last position differs from its first")
    if any(_crosses(ring) for ring in shells):
        return cut(shapely.Polygon(_unwrap(shells[0]), [_unwrap(hole, shells[0][0][0]) for hole in shells[1:]]))
    return valid(shapely.Polygon(shells[0], shells[1:]))


def circle(lon: float, lat: float, radius_km: float) -> BaseGeometry:
    """A circle on the mean sphere as a polygon with 64 corners drawn around it, so that nobody inside the circle is left out
    (0.12 % wide of it at the corners). Raises Unfit for a radius that is negative, not a number or beyond half of the Earth."""
    if not 0 < radius_km <= _LARGEST_CIRCLE_KM:
        raise Unfit(radius_km, f"a radius in kilometres on the Earth (above 0, at most {_LARGEST_CIRCLE_KM:.0f})")
    angle = radius_km / EARTH_RADIUS_KM / math.cos(math.pi / _CIRCLE_CORNERS)
    corners = [_destination(lon, lat, 2 * math.pi * k / _CIRCLE_CORNERS, angle) for k in range(_CIRCLE_CORNERS)]
    ring = _unwrap([*corners, corners[0]])
    turn = ring[-1][0] - ring[0][0]
    if abs(turn) > 180:  # a pole lies inside: the ring runs round the Earth and closes over it
        pole = math.copysign(90.0, lat)
        ring = [*ring, (ring[-1][0], pole), (ring[0][0], pole), ring[0]]
    return cut(shapely.Polygon(ring))


def _destination(lon: float, lat: float, bearing: float, angle: float) -> Position:
    north = math.radians(lat)
    sine = math.sin(north) * math.cos(angle) + math.cos(north) * math.sin(angle) * math.cos(bearing)
    end = math.asin(max(-1.0, min(1.0, sine)))
    east = math.atan2(math.sin(bearing) * math.sin(angle) * math.cos(north), math.cos(angle) - math.sin(north) * math.sin(end))
    return (lon + math.degrees(east) + 540) % 360 - 180, math.degrees(end)


def _collect(geometry: Any, points: list[Position], polygons: list[BaseGeometry], depth: int) -> None:
    if not isinstance(geometry, dict) or depth > _DEEPEST:
        raise Unfit(geometry, "a GeoJSON geometry")
    name, coordinates = geometry.get("type"), geometry.get("coordinates")
    if name == "GeometryCollection":
        for part in _list(geometry.get("geometries"), "the geometries of a GeometryCollection"):
            _collect(part, points, polygons, depth + 1)
    elif name == "Point":
        if coordinates != []:  # RFC 7946 3.1: an empty array is a null place
            points.append(_pair(coordinates))
    elif name == "MultiPoint":
        points.extend(_pair(pair) for pair in _list(coordinates, "positions"))
    elif name in ("LineString", "MultiLineString"):
        lines = [coordinates] if name == "LineString" else _list(coordinates, "lines")
        for line in lines:
            path = [_pair(pair) for pair in _list(line, "positions")]
            points.extend(path[len(path) // 2 : len(path) // 2 + 1])
    elif name in ("Polygon", "MultiPolygon"):
        several = [coordinates] if name == "Polygon" else _list(coordinates, "polygons")
        polygons.extend(polygon(_ring(ring) for ring in _list(rings, "rings")) for rings in several)
    else:
        raise Unfit(name, "a GeoJSON geometry type (Point, Polygon, MultiPolygon, ...)")


def _ring(value: Any) -> list[Position]:
    return [_pair(pair) for pair in _list(value, "positions")]


def _pair(value: Any) -> Position:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise Unfit(value, "a position [lon, lat]")
    return position(value[0], value[1])


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise Unfit(value, f"a list of {what}")
    return value


def _crosses(ring: Sequence[Position]) -> bool:
    return any(abs(ring[i + 1][0] - ring[i][0]) > 180 for i in range(len(ring) - 1))


def _unwrap(ring: Sequence[Position], near: float | None = None) -> list[Position]:
    """The same ring with longitudes that run on beyond 180 instead of jumping; it starts within 180 degrees of `near`."""
    before = ring[0][0] if near is None else near
    unwrapped = []
    for lon, lat in ring:
        before = lon - 360 * round((lon - before) / 360)
        unwrapped.append((before, lat))
    return unwrapped


def as_multipolygon(area: bytes) -> bytes:
    """A polygon's WKB as the WKB of a MultiPolygon (what a CAP message becomes, whatever the number of its areas)."""
    shape = shapely.from_wkb(area)
    return area if shape.geom_type == "MultiPolygon" else shapely.to_wkb(shapely.MultiPolygon([shape]), byte_order=1)
