"""Geometry: places, areas, circles on the sphere, the antimeridian, what is not on the Earth."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds import geometry, repair, wkb
from tocsin.feeds.geometry import from_geojson
from tocsin.feeds.unfit import Unfit

SQUARE = [[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5], [0.5, 0.5]]


def distance_km(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    a, b = math.radians(lat), math.radians(other_lat)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(other_lon - lon) / 2) ** 2
    return 2 * geometry.EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


def shape_of(place: geometry.Place) -> Any:
    assert place.area is not None
    return shapely.from_wkb(place.area)


def test_a_point_is_a_place_without_area() -> None:
    assert from_geojson({"type": "Point", "coordinates": [-122.3, 47.6, 12.0]}) == geometry.Place(-122.3, 47.6, None)


@pytest.mark.parametrize("empty", [None, {"type": "GeometryCollection", "geometries": []}, {"type": "Point", "coordinates": []}])
def test_no_geometry_is_nowhere(empty: Any) -> None:
    assert from_geojson(empty) == geometry.NOWHERE


def test_a_polygon_is_an_area_with_a_point_inside() -> None:
    hole = [[0.7, 0.7], [1.3, 0.7], [1.3, 1.3], [0.7, 1.3], [0.7, 0.7]]
    place = from_geojson({"type": "Polygon", "coordinates": [SQUARE, hole]})
    shape = shape_of(place)
    assert shape.area == pytest.approx(1 - 0.36)
    assert shape.contains(shapely.Point(place.lon, place.lat))
    assert place.area is not None
    assert place.area[0] == 1  # little-endian


def test_overlapping_polygons_become_one_valid_area() -> None:
    shifted = [[x + 0.5, y] for x, y in SQUARE]
    shape = shape_of(from_geojson({"type": "MultiPolygon", "coordinates": [[SQUARE], [shifted]]}))
    assert shape.is_valid
    assert shape.area == pytest.approx(1.5)


def test_a_bow_tie_is_repaired() -> None:
    shape = shape_of(from_geojson({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}))
    assert shape.is_valid
    assert shape.area == pytest.approx(2)


def test_a_line_is_a_point_on_it() -> None:
    assert from_geojson({"type": "LineString", "coordinates": [[1, 1], [2, 2], [3, 3]]}) == geometry.Place(2.0, 2.0)
    assert from_geojson({"type": "MultiLineString", "coordinates": [[[1, 1], [2, 2]]]}) == geometry.Place(2.0, 2.0)
    assert from_geojson({"type": "MultiPoint", "coordinates": [[4, 5], [6, 7]]}) == geometry.Place(4.0, 5.0)


def test_an_area_across_the_antimeridian_is_cut_there() -> None:
    place = from_geojson({"type": "Polygon", "coordinates": [[[178, -10], [-178, -10], [-178, 10], [178, 10], [178, -10]]]})
    shape = shape_of(place)
    assert shape.is_valid
    assert shape.area == pytest.approx(80)
    assert shape.bounds == (-180, -10, 180, 10)
    assert shape.covers(shapely.Point(179, 0))
    assert shape.covers(shapely.Point(-179, 0))
    assert not shape.covers(shapely.Point(0, 0))


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ("Point", "geometry"),
        ({"type": "Cube", "coordinates": []}, "geometry type"),
        ({"type": "Point", "coordinates": [1]}, "position"),
        ({"type": "Point", "coordinates": ["1", "2"]}, "coordinate"),
        ({"type": "Point", "coordinates": [True, 2]}, "coordinate"),
        ({"type": "Point", "coordinates": [math.nan, 2]}, "coordinate"),
        ({"type": "Point", "coordinates": [10**400, 2]}, "coordinate"),
        ({"type": "Point", "coordinates": [1, math.inf]}, "coordinate"),
        ({"type": "Point", "coordinates": [47.6, -122.3]}, "swapped"),
        ({"type": "Point", "coordinates": [200, 1]}, "longitude"),
        ({"type": "Polygon", "coordinates": []}, "no ring"),
        ({"type": "Polygon", "coordinates": [SQUARE[:3]]}, "at least 4"),
        ({"type": "Polygon", "coordinates": [[*SQUARE[:4], [0.6, 0.5]]]}, "closed"),
        ({"type": "Polygon", "coordinates": [[[1, 1], [1, 1], [1, 1], [1, 1]]]}, "surface"),
        ({"type": "Polygon", "coordinates": [[1, 2, 3, 4]]}, "position"),
        ({"type": "Polygon", "coordinates": 5}, "rings"),
        ({"type": "GeometryCollection"}, "geometries"),
    ],
)
def test_refuses(bad: Any, word: str) -> None:
    with pytest.raises(Unfit) as caught:
        from_geojson(bad)
    assert word in caught.value.reason(quote=True)


def test_collections_in_collections_end_somewhere() -> None:
    nested: dict[str, Any] = {"type": "Point", "coordinates": [1, 1]}
    for _ in range(20):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    with pytest.raises(Unfit):
        from_geojson(nested)


@settings(max_examples=80, deadline=None)
@given(lon=st.floats(-180, 180), lat=st.floats(-89.9, 89.9), radius=st.floats(0.05, 4000), bearing=st.floats(0, 360))
def test_a_circle_covers_its_circle_and_hardly_more(lon: float, lat: float, radius: float, bearing: float) -> None:
    shape = geometry.circle(lon, lat, radius)
    assert shape.is_valid
    for share, inside in ((0.9985, True), (1.01, False)):
        # a point at that share of the radius, on the sphere
        angle, north, turn = radius * share / geometry.EARTH_RADIUS_KM, math.radians(lat), math.radians(bearing)
        y = math.asin(math.sin(north) * math.cos(angle) + math.cos(north) * math.sin(angle) * math.cos(turn))
        x = math.radians(lon) + math.atan2(
            math.sin(turn) * math.sin(angle) * math.cos(north), math.cos(angle) - math.sin(north) * math.sin(y)
        )
        point = ((math.degrees(x) + 540) % 360 - 180, math.degrees(y))
        assert distance_km(lon, lat, *point) == pytest.approx(radius * share, rel=1e-3, abs=1e-3)
        if radius < 1000 and abs(lat) < 60:  # edges of the polygon are straight on the map, not on the sphere
            assert shape.covers(shapely.Point(point)) == inside


def test_a_circle_over_the_pole_covers_it() -> None:
    shape = geometry.circle(30.0, 85.0, 1500.0)
    assert shape.is_valid
    for lon in (-170.0, -90.0, 0.0, 90.0, 179.0):
        assert shape.covers(shapely.Point(lon, 89.5))
    assert not shape.covers(shapely.Point(30.0, 60.0))


@pytest.mark.parametrize("radius", [-1.0, 0.0, math.nan, math.inf, 20_000.0])
def test_a_circle_off_the_earth_is_refused(radius: float) -> None:
    with pytest.raises(Unfit, match="kilometres"):
        geometry.circle(0, 0, radius)


def test_wkt_and_wkb_are_checked_like_geojson() -> None:
    text = "POLYGON((0.5 0.5, 1.5 0.5, 1.5 1.5, 0.5 1.5, 0.5 0.5))"
    place = geometry.from_wkt(text)
    assert place == geometry.from_wkb(place.area or b"") == from_geojson({"type": "Polygon", "coordinates": [SQUARE]})
    for bad in (
        "POLYGON((0 0, 1 1",
        "",
        "POINT(1 200)",
        "POLYGON((0 0, 1 1, 1 0, 0 0, 5 nan))",
        "POINT(1e999 1)",
        "CIRCULARSTRING(0 0, 1 1, 2 0)",
    ):
        with pytest.raises(Unfit):
            geometry.from_wkt(bad)
    for raw in (b"", b"\x01\x03\x00\x00\x00\xff\xff\xff\xff", b"garbage", (place.area or b"") + b"\x00", (place.area or b"")[:-1]):
        with pytest.raises(Unfit):
            geometry.from_wkb(raw)


SHAPES = [
    shapely.Point(1, 2), shapely.Point(1, 2, 3), shapely.LineString([(1, 1), (2, 2)]), shapely.box(1, 1, 2, 2).difference(shapely.box(1.2, 1.2, 1.5, 1.5)),
    shapely.MultiPoint([(1, 2), (3, 4)]), shapely.MultiLineString([[(1, 1), (2, 2)], [(3, 3), (4, 4)]]),
    shapely.MultiPolygon([shapely.box(1, 1, 2, 2), shapely.box(3, 3, 4, 4)]), shapely.Point(),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.geom_type for shape in SHAPES])
@pytest.mark.parametrize(
    ("order", "flavour", "srid"), [(1, "iso", False), (0, "iso", False), (1, "extended", True), (0, "extended", False)]
)
def test_binary_is_read_as_geos_writes_it(shape: Any, order: int, flavour: Any, srid: bool) -> None:
    data = shapely.to_wkb(shapely.set_srid(shape, 4326), byte_order=order, flavor=flavour, include_srid=srid)
    assert wkb.read(data) == json.loads(shapely.to_geojson(shapely.force_2d(shape)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_binary_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(shapely.to_wkb(data.draw(st.sampled_from(SHAPES)), byte_order=data.draw(st.integers(0, 1))))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, min(len(raw) - 1, 40)))] = data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 10, 127, 128, 255]))
    kinds = set()
    try:
        kinds.add(type(geometry.from_wkb(bytes(raw))))
    except Unfit:
        kinds.add(geometry.Place)
    assert kinds == {geometry.Place}


def test_geometries_nested_a_million_deep_do_not_end_the_process() -> None:
    for code in (7, 6):
        with pytest.raises(Unfit):
            geometry.from_wkb(struct.pack("<BII", 1, code, 1) * 1_000_000)
    with pytest.raises(Unfit):
        geometry.from_wkt("GEOMETRYCOLLECTION(" * 300_000 + "POINT(1 1)" + ")" * 300_000)
    with pytest.raises(Unfit):
        geometry.from_wkt("POLYGON(" + "(" * 300_000 + ")" * 300_000 + ")")


def star(corners: int, seed: int) -> list[list[float]]:
    """A ring that crosses itself everywhere."""
    dice = random.Random(seed)
    ring = [[dice.random() * 10, dice.random() * 10] for _ in range(corners)]
    return [*ring, ring[0]]


def test_an_area_is_repaired_only_within_a_bound_of_work() -> None:
    """GEOS needs minutes for a polygon of 500 corners like this one, and the square of that for twice as many."""
    assert shape_of(from_geojson({"type": "Polygon", "coordinates": [star(60, 1)]})).is_valid
    for corners in (600, 20_000):
        with pytest.raises(Unfit, match="too often"):
            from_geojson({"type": "Polygon", "coordinates": [star(corners, 1)]})
    crowd = [[[[5 * x + a, 5 * y + b] for x, y in SQUARE]] for a, b in (star(1000, 2))]
    with pytest.raises(Unfit, match="too often"):
        from_geojson({"type": "MultiPolygon", "coordinates": crowd})


def test_the_bound_counts_for_a_whole_message() -> None:
    bad = 0
    with repair.effort():
        for seed in range(40):
            try:
                from_geojson({"type": "Polygon", "coordinates": [star(100, seed)]})
            except Unfit:
                bad += 1
    assert 0 < bad < 40
    assert shape_of(from_geojson({"type": "Polygon", "coordinates": [star(100, 39)]})).is_valid


def test_counting_stops_early() -> None:
    shape = shapely.Polygon(star(5000, 3))
    assert 1000 < repair.near_pairs([shape], 1000) < 200_000
    assert repair.near_pairs([shapely.box(0, 0, 1, 1)], 1000) <= 4


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.floats() | st.text(max_size=3) | st.booleans(),
        lambda inner: st.lists(inner, max_size=5) | st.fixed_dictionaries({"type": st.sampled_from(["Polygon", "MultiPolygon", "GeometryCollection"]), "coordinates": inner, "geometries": inner}),
        max_leaves=20,
    )
)  # fmt: skip
def test_nothing_but_unfit_comes_out(garbage: Any) -> None:
    place, reason = geometry.NOWHERE, "none"
    try:
        place = from_geojson(json.loads(json.dumps(garbage)))
    except Unfit as unfit:
        reason = unfit.reason(quote=True)
    assert reason
    assert place.area is None or shapely.from_wkb(place.area).is_valid
