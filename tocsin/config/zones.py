"""Layers of polygons as the shapes that rules ask about, strictly: what a map may mend, a rule must not guess."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import shapely

from tocsin.kernel.fault import Problem
from tocsin.model.city import Layer
from tocsin.model.links import Zone

#: Problems reported of one layer at most.
_MOST: Final = 20
_TYPES: Final = ("Polygon", "MultiPolygon")


def read_zones(layers: Iterable[Layer], wanted: Iterable[str]) -> tuple[dict[str, tuple[Zone, ...]], list[Problem]]:
    """The areas of the layers of polygons among `wanted`, by layer, and everything wrong in them. Features without a name are called by their
    number, from 1."""
    names = set(wanted)
    shapes: dict[str, tuple[Zone, ...]] = {}
    problems: list[Problem] = []
    for layer in layers:
        if layer.kind == "polygons" and layer.name in names and layer.path.is_file():
            zones, wrong = _read(layer)
            problems += wrong[:_MOST]
            shapes[layer.name] = tuple(zones)
    return shapes, problems


def _read(layer: Layer) -> tuple[list[Zone], list[Problem]]:
    file = str(layer.path)
    try:
        collection = json.loads(layer.path.read_text("utf-8-sig"))
        features = collection["features"] if isinstance(collection, dict) else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError):
        features = None
    if not isinstance(features, list):
        return [], [Problem(file, 0, f"layer {layer.name} cannot be used by rules: it is no GeoJSON FeatureCollection")]
    zones: list[Zone] = []
    problems: list[Problem] = []
    for number, feature in enumerate(features, 1):
        name = _name(feature, layer, number)
        try:
            zones.append(Zone(name, _shape(feature)))
        except ValueError as fault:
            problems.append(Problem(file, 0, f"features[{number - 1}] ({name}) cannot be used by rules: {fault}"))
    problems += [Problem(file, 0, words) for words in _repeated(zones)]
    if not features:
        problems.append(Problem(file, 0, f"layer {layer.name} has no areas, so a rule about it can never fire"))
    return zones, problems


def _name(feature: Any, layer: Layer, number: int) -> str:
    properties = feature.get("properties") if isinstance(feature, Mapping) else None
    found = properties.get(layer.name_field) if isinstance(properties, Mapping) else None
    return str(found) if found not in (None, "") else str(number)


def _repeated(zones: Iterable[Zone]) -> Iterator[str]:
    seen: set[str] = set()
    for zone in zones:
        if zone.name in seen:
            yield f"two areas are called {zone.name!r}; a rule tells them apart by name, so each needs one of its own"
        seen.add(zone.name)


def _shape(feature: Any) -> bytes:
    """A feature's geometry as WKB. Raises ValueError saying what is wrong and what to do."""
    geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind not in _TYPES:
        raise ValueError(f"found {kind!r}; an area is a Polygon or a MultiPolygon")
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except shapely.errors.GEOSException as fault:
        raise ValueError(f"not a {kind}: {fault}") from fault
    _check_globe(shape)
    if not shape.is_valid:
        where = shapely.is_valid_reason(shape)
        raise ValueError(f"{where[0].lower()}{where[1:]}; a rule would not know what is inside, so draw the outline without crossings")
    if shape.is_empty or shape.area == 0:
        raise ValueError("it covers nothing; draw an area")
    return bytes(shapely.to_wkb(shape))


def _check_globe(shape: shapely.Geometry) -> None:
    west, south, east, north = shape.bounds if not shape.is_empty else (0.0, 0.0, 0.0, 0.0)
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise ValueError(f"it reaches to [{west:g}, {south:g}, {east:g}, {north:g}]; longitude is within 180, latitude within 90 degrees")
    for ring in shapely.get_rings(shape):
        points = shapely.get_coordinates(ring).tolist()
        for (lon, lat), (after, _) in pairwise(points):
            if abs(after - lon) > 180:
                raise ValueError(
                    f"the edge at [{lon:g}, {lat:g}] spans more than 180 degrees of longitude, so it crosses the antimeridian or goes round a pole;"
                    " cut the area at 180 degrees into a MultiPolygon (RFC 7946, 3.1.9), round a pole along latitude 90"
                )
