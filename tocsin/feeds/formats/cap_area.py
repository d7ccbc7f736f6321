"""The areas of a CAP message as one place. CAP writes `lat,lon`; everything else in the house is lon, lat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.feeds import convert, geometry
from tocsin.feeds.geometry import Place, Position
from tocsin.feeds.unfit import Unfit


def place(areas: Iterable[Mapping[str, Any]]) -> Place:
    """All polygons and circles as one MultiPolygon with a point inside; circles of radius 0 are points. Raises Unfit."""
    polygons = []
    points: list[Position] = []
    for area in areas:
        polygons += [geometry.polygon([_ring(written)]) for written in area.get("polygon", [])]
        for written in area.get("circle", []):
            lon, lat, radius = _circle(written)
            if radius:
                polygons.append(geometry.circle(lon, lat, radius))
            else:
                points.append((lon, lat))
    found = geometry.place(polygons, points if not polygons else ())
    return found if found.area is None else Place(found.lon, found.lat, geometry.as_multipolygon(found.area))


def _ring(written: str) -> list[Position]:
    return [_position(pair) for pair in written.split()]


def _position(pair: str) -> Position:
    lat, comma, lon = pair.partition(",")
    if not comma:
        raise Unfit(pair, "a position written as lat,lon")
    return geometry.position(convert.number(lon), convert.number(lat))


def _circle(written: str) -> tuple[float, float, float]:
    parts = written.split()
    if len(parts) != 2:
        raise Unfit(written, "a circle written as lat,lon radius (in kilometres)")
    lon, lat = _position(parts[0])
    radius = convert.number(parts[1])
    if radius < 0:
        raise Unfit(parts[1], "a radius in kilometres, 0 or more")
    return lon, lat, radius
