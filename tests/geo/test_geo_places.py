"""Place names against plain arithmetic."""

import json
import math
from pathlib import Path

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.geo.layers import Feature, LoadedLayer, load_layer
from tocsin.geo.places import EARTH, NEAR, PlaceNames, compass, format_metres
from tocsin.model.city import Layer

EXAMPLES = Path(__file__).parents[2] / "examples" / "seattle" / "layers"


def loaded(features, kind="points", places=True, name="one"):
    spec = Layer(name, name, kind, Path(), "", places=places)
    return LoadedLayer(spec, b"", "", tuple(Feature(*one) for one in features), None)


def points(*named):
    return loaded([(name, shapely.Point(lon, lat)) for name, lon, lat in named])


def distance(lon1, lat1, lon2, lat2):
    """By the chord between unit vectors: another formula than the code's."""
    a, b = (
        (math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y))
        for x, y in ((math.radians(lon1), math.radians(lat1)), (math.radians(lon2), math.radians(lat2)))
    )
    return 2 * EARTH * math.asin(min(1.0, math.dist(a, b) / 2))


lons, lats = st.floats(-180, 180), st.floats(-85, 85)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), lons, lats), min_size=1, max_size=12), lons, lats)
def test_nearest_is_the_nearest(named, lon, lat):
    found = PlaceNames([points(*named)]).nearest(lon, lat)
    best = min(distance(x, y, lon, lat) for _, x, y in named)
    assert found.metres == pytest.approx(best, abs=0.5, rel=1e-6)
    assert found.name in {name for name, x, y in named if distance(x, y, lon, lat) <= best + 0.5 + best * 1e-6}


@given(st.permutations([("b", 1.0, 1.0), ("a", 1.0, 1.0), ("c", 1.0, 1.0)]))
def test_ties_go_to_the_first_name_whatever_the_order(named):
    assert PlaceNames([points(*named)]).nearest(1.0, 1.001).name == "a"


@pytest.mark.parametrize(
    ("lon", "lat", "direction"),
    [(0, 1, "N"), (1, 1, "NE"), (1, 0, "E"), (1, -1, "SE"), (0, -1, "S"), (-1, -1, "SW"), (-1, 0, "W"), (-1, 1, "NW")],
)
def test_compass(lon, lat, direction):
    assert compass(10.0, 0.0, 10.0 + lon * 0.001, lat * 0.001) == direction


def test_compass_across_the_antimeridian():
    assert compass(179.999, 0.0, -179.999, 0.0) == "E"


def test_words():
    names = PlaceNames([points(("Harborview", -122.3240, 47.6040))])
    degree = math.degrees(1 / EARTH)
    north = 163 * degree
    east = 163 * degree / math.cos(math.radians(47.604))
    assert names.name(-122.3240 + east, 47.6040 + north) == "near Harborview, 230 m NE"
    assert names.label(-122.3240 + east, 47.6040 + north) == "Harborview, 230 m NE"
    assert names.name(-122.3240, 47.6040 + 20 * degree) == "at Harborview"
    assert names.label(-122.3240, 47.6040 - 1400 * degree) == "Harborview, 1.4 km S"
    assert names.name(-122.3240, 47.6040 - (NEAR + 10) * degree) == "at 47.5589° N, 122.3240° W"


def test_far_from_points_the_smallest_area_speaks():
    city, district = shapely.box(0, 0, 2, 2), shapely.box(1, 1, 2, 2)
    names = PlaceNames([loaded([("City", city), ("District", district)], "polygons"), points(("Far", 50, 50))])
    assert names.name(1.5, 1.5) == "in District"
    assert names.name(0.5, 0.5) == "in City"
    assert names.label(0.5, 0.5) == "City"
    assert [area.name for area in names.areas(1.0, 1.0)] == ["City", "District"]


def test_layers_that_are_no_places_do_not_name_but_are_found():
    tracts = loaded([("Tract 1", shapely.box(0, 0, 1, 1)), ("", shapely.box(0, 0, 1, 1))], "polygons", places=False, name="tracts")
    names = PlaceNames([tracts, loaded([("x", shapely.Point(0.5, 0.5))], places=False)])
    assert names.nearest(0.5, 0.5) is None
    assert names.name(0.5, 0.5) == "at 0.5000° N, 0.5000° E"
    assert [(area.layer, area.name) for area in names.areas(0.5, 0.5)] == [("tracts", "Tract 1")]


def test_nothing_at_all():
    names = PlaceNames([])
    assert names.name(-1.0, -2.0) == "at 2.0000° S, 1.0000° W"
    assert names.areas(0, 0) == []


def test_real_neighbourhoods_contain_the_hospitals():
    hoods = load_layer(Layer("hoods", "Hoods", "polygons", EXAMPLES / "neighbourhoods.geojson", "", places=True))
    hospitals = load_layer(Layer("hospitals", "Hospitals", "points", EXAMPLES / "hospitals.geojson", "", places=True))
    names = PlaceNames([hoods, hospitals])
    shapes = [(f["properties"]["name"], shapely.from_geojson(json.dumps(f["geometry"]))) for f in json.loads(hoods.body)["features"]]
    for hospital in hospitals.named:
        lon, lat = hospital.shape.x, hospital.shape.y
        assert names.name(lon, lat) == f"at {names.nearest(lon, lat).name}"
        assert {area.name for area in names.areas(lon, lat)} == {name for name, shape in shapes if shape.intersects(hospital.shape)}


@pytest.mark.parametrize(
    ("metres", "words"), [(4, "0 m"), (234, "230 m"), (994, "990 m"), (996, "1.0 km"), (1449, "1.4 km"), (12345, "12.3 km")]
)
def test_metres(metres, words):
    assert format_metres(metres) == words
