"""Layers: what is valid loads whole, what is not is refused with its place."""

import json
from pathlib import Path

import pytest

from tocsin.geo.layers import load_layer, load_layers
from tocsin.kernel.fault import Misconfigured
from tocsin.model.city import Layer

EXAMPLES = Path(__file__).parents[2] / "examples" / "seattle" / "layers"


def layer(path, kind="points", **more):
    return Layer(more.pop("name", "one"), "One", kind, path, "CC0", **more)


def collection(*geometries, **properties):
    features = [
        {"type": "Feature", "geometry": geometry, "properties": {"name": f"n{i}", **properties}} for i, geometry in enumerate(geometries)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def point(lon, lat):
    return {"type": "Point", "coordinates": [lon, lat]}


def square(west, south, east, north):
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}


def problems(tmp_path, text, kind="points", file="a.geojson", **more):
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(Misconfigured) as caught:
        load_layer(layer(path, kind, **more))
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return caught.value.problems


def test_the_examples_load():
    found = load_layers(
        [
            layer(EXAMPLES / "fire_stations.geojson", name="stations", name_field="name", places=True),
            layer(EXAMPLES / "hospitals.geojson", name="hospitals", places=True),
            layer(EXAMPLES / "neighbourhoods.geojson", "polygons", name="hoods", places=True),
            layer(EXAMPLES / "census_blocks.csv", name="blocks"),
        ]
    )
    assert {name: one.features > 10 for name, one in found.items()} == dict.fromkeys(("stations", "hospitals", "hoods", "blocks"), True)
    west, south, east, north = found["hoods"].bbox
    assert -122.5 < west < east < -122.2
    assert 47.4 < south < north < 47.8
    assert len(json.loads(found["hospitals"].body)["features"]) == found["hospitals"].features


def test_body_is_the_file_and_etag_follows_it(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text("\ufeff" + collection(point(1, 2), point(3, 4), height=3.5))
    first = load_layer(layer(path))
    assert json.loads(first.body) == json.loads(path.read_text("utf-8-sig"))
    assert first.bbox == (1, 2, 3, 4)
    assert [feature.name for feature in first.named] == ["n0", "n1"]
    path.write_text(collection(point(1, 2)))
    assert load_layer(layer(path)).etag != first.etag


def test_an_empty_layer_is_a_layer(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(collection())
    assert load_layer(layer(path, places=True)).bbox is None


def test_csv_points(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeffX,Y,name,beds\n-122.3,47.6,"Mercy, General",10\n\n-122.4,47.7,Other,\n')
    found = load_layer(layer(path, places=True))
    features = json.loads(found.body)["features"]
    assert features[0] == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [-122.3, 47.6]},
        "properties": {"name": "Mercy, General", "beds": "10"},
    }
    assert features[1]["properties"] == {"name": "Other"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("name,height\nx,3\n", 1, "no column called lon, lng, long, longitude, x among name, height"),
        ("lon,x,lat\n1,2,3\n", 1, "2 columns"),
        ("lon,lat,name\n1,2,a\nnorth,2,b\n", 3, "could not convert string to float: 'north'"),
        ("lon,lat,name\n1,2\n", 2, "2 cells; the header has 3"),
        ('lon,lat,name\n1,2,"a\n', 2, "not CSV"),
        ("lon,lat,name\n1,nan,a\n", 0, "a position is two numbers"),
        ("lon,lat,name\n547000,5271000,a\n", 0, "in metres"),
    ],
)
def test_bad_tables(tmp_path, text, line, words):
    (problem,) = problems(tmp_path, text, file="a.csv")
    assert (problem.line, words in problem.message) == (line, True), problem


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('{"type": "Feature"}', "points", "found 'Feature' at the top; valid is a GeoJSON FeatureCollection"),
        ("[1]", "points", "found 'list' at the top"),
        (collection(square(0, 0, 1, 1)), "points", "features[0].geometry: found 'Polygon'; a layer of points holds Point or MultiPoint"),
        (collection(point(0, 0), None), "points", "features[1].geometry: found None"),
        (collection(point(47.6, -122.3)), "points", "perhaps they are swapped"),
        (collection(point("1", 2)), "points", "a position is two numbers"),
        (collection({"type": "Polygon", "coordinates": []}), "polygons", "found [] where coordinates were expected"),
        (collection({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}), "polygons", "features[0].geometry: not a Polygon"),
        (
            collection({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 9]]]}),
            "polygons",
            "features[0].geometry: not a Polygon",
        ),
        ('{"type": "FeatureCollection", "features": [3]}', "points", "features[0]: not a GeoJSON Feature"),
        (collection(point(0, 0), n=2**70), "points", "cannot be written as JSON"),
    ],
)
def test_bad_geojson(tmp_path, text, kind, words):
    found = problems(tmp_path, text, kind)
    assert words in found[0].message


def test_syntax_errors_have_a_line(tmp_path):
    (problem,) = problems(tmp_path, '{"type":\n"FeatureCollection",\n]')
    assert problem.line == 3


def test_missing_file_and_wrong_encoding(tmp_path):
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_layer(layer(tmp_path / "none.geojson"))
    (tmp_path / "a.geojson").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_layer(layer(tmp_path / "a.geojson"))


def test_a_name_field_that_no_feature_has(tmp_path):
    (problem,) = problems(tmp_path, collection(point(0, 0)), places=True, name_field="nane")
    assert "'nane'" in problem.message
    assert "did you mean 'name'?" in problem.message


def test_all_problems_of_all_layers_at_once(tmp_path):
    (tmp_path / "a.geojson").write_text("[]")
    (tmp_path / "b.geojson").write_text(collection(point(999, 0), point(0, 999)))
    with pytest.raises(Misconfigured) as caught:
        load_layers([layer(tmp_path / "a.geojson"), layer(tmp_path / "b.geojson"), layer(tmp_path / "c.pmtiles", "tiles")])
    assert len(caught.value.problems) == 3
