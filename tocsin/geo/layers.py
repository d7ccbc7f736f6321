"""Map layers of the city directory: GeoJSON and CSV points, checked at start and kept as the bytes the console asks for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import shapely

from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.city import Layer

from .csvpoints import read_csv

#: Geometry types by kind of layer (RFC 7946, 3.1).
_TYPES: Final[Mapping[str, tuple[str, ...]]] = {"points": ("Point", "MultiPoint"), "polygons": ("Polygon", "MultiPolygon")}
#: Problems reported of one file at most.
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Feature:
    """One named feature of a layer; `name` empty when it has none."""

    name: str
    shape: shapely.Geometry


@dataclass(frozen=True, slots=True)
class LoadedLayer:
    """A checked layer. `body`: GeoJSON; `bbox`: west, south, east, north, None when it has no features."""

    spec: Layer
    body: bytes
    etag: str
    named: tuple[Feature, ...]
    bbox: tuple[float, float, float, float] | None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def kind(self) -> str:
        return self.spec.kind

    @property
    def licence(self) -> str:
        return self.spec.licence

    @property
    def name_field(self) -> str:
        return self.spec.name_field

    @property
    def features(self) -> int:
        return len(self.named)


def load_layers(layers: Iterable[Layer]) -> Mapping[str, LoadedLayer]:
    """All layers of points and polygons, by name. Raises `Misconfigured` with the problems of all of them."""
    problems: list[Problem] = []
    found: dict[str, LoadedLayer] = {}
    for layer in layers:
        if layer.kind not in _TYPES:
            continue
        try:
            found[layer.name] = load_layer(layer)
        except Misconfigured as fault:
            problems += fault.problems
    if problems:
        raise Misconfigured(problems)
    return found


def load_layer(layer: Layer) -> LoadedLayer:
    """Reads and checks one layer. Raises `Misconfigured`."""
    file = str(layer.path)
    try:
        text = layer.path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured([Problem(file, 0, f"layer {layer.name} cannot be read: {error}")]) from error
    collection = read_csv(text, file) if layer.path.suffix.lower() == ".csv" else _parse(text, file)
    features = _features(collection, file)
    problems = [Problem(file, 0, words) for words in _problems(features, layer)]
    if problems:
        raise Misconfigured(problems[:_MOST])
    try:
        body = orjson.dumps({"type": "FeatureCollection", "features": features})
    except TypeError as error:  # JSON knows larger integers than a browser does
        raise Misconfigured([Problem(file, 0, f"layer {layer.name} cannot be written as JSON: {error}")]) from error
    named = tuple(Feature(str(_properties(one).get(layer.name_field) or ""), _shape(one["geometry"])) for one in features)
    bounds = shapely.total_bounds([feature.shape for feature in named]).tolist() if named else None
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return LoadedLayer(layer, body, etag, named, tuple(bounds) if bounds else None)


def _parse(text: str, file: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Misconfigured([Problem(file, error.lineno, f"this is not JSON: {error.msg} at column {error.colno}")]) from error


def _features(collection: Any, file: str) -> list[dict[str, Any]]:
    kind = collection.get("type") if isinstance(collection, dict) else type(collection).__name__
    if kind != "FeatureCollection" or not isinstance(collection.get("features"), list):
        raise Misconfigured([Problem(file, 1, f"found {kind!r} at the top; valid is a GeoJSON FeatureCollection")])
    return list(collection["features"])


def _problems(features: list[dict[str, Any]], layer: Layer) -> Iterator[str]:
    """What is wrong with the features, each with its place in the file."""
    known: set[str] = set()
    for number, feature in enumerate(features):
        where = f"features[{number}]"
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            yield f"{where}: not a GeoJSON Feature"
            continue
        known |= _properties(feature).keys()
        geometry = feature.get("geometry")
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind not in _TYPES[layer.kind]:
            yield f"{where}.geometry: found {kind!r}; a layer of {layer.kind} holds {' or '.join(_TYPES[layer.kind])}"
            continue
        wrong = next(_wrong_places(geometry), None) if isinstance(geometry, dict) else None
        if wrong is not None:
            yield f"{where}.geometry: {wrong}"
            continue
        try:
            _shape(geometry)
        except (ValueError, TypeError, shapely.errors.GEOSException) as error:
            yield f"{where}.geometry: not a {kind}: {error}"
    if layer.places and features and layer.name_field not in known:
        yield f"no feature has the property {layer.name_field!r} that is to name it; {nearest(layer.name_field, known)}"


def _wrong_places(geometry: dict[str, Any]) -> Iterator[str]:
    """Coordinates that are no place on Earth."""
    stack = [geometry.get("coordinates")]
    while stack:
        one = stack.pop()
        if not isinstance(one, list) or not one:
            yield f"found {one!r} where coordinates were expected"
        elif isinstance(one[0], list):
            stack += one
        elif not (len(one) >= 2 and all(isinstance(value, int | float) and math.isfinite(value) for value in one)):
            yield f"found {one!r}; a position is two numbers, longitude and latitude"
        elif not (-180 <= one[0] <= 180 and -90 <= one[1] <= 90):
            yield f"found {one!r}; longitude is within 180, latitude within 90 degrees (perhaps they are swapped, or in metres)"


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    found = feature.get("properties")
    return found if isinstance(found, dict) else {}


def _shape(geometry: Any) -> shapely.Geometry:
    """A self-crossing outline is mended: real boundaries have them, and 'which district is this' must still be answered."""
    shape = shapely.from_geojson(orjson.dumps(geometry))
    return shape if shape.is_valid else shapely.make_valid(shape)
