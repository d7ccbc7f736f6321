"""Layers that rules name: good outlines reach the plan, doubtful ones are refused with their place and the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from tocsin.config.load import load_city, read_city
from tocsin.config.zones import read_zones
from tocsin.kernel.fault import Misconfigured
from tocsin.model.city import Layer

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def feature(name: str | None, *rings: Any, kind: str = "Polygon") -> dict[str, Any]:
    return {"type": "Feature", "properties": {"name": name}, "geometry": {"type": kind, "coordinates": list(rings)}}


def layer(folder: Path, *features: Any) -> Layer:
    path = folder / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return Layer("zones", "Zones", "polygons", path, "none")


def read(folder: Path, *features: Any) -> tuple[list[str], list[str]]:
    shapes, problems = read_zones([layer(folder, *features)], ["zones"])
    return [zone.name for zone in shapes["zones"]], [problem.message for problem in problems]


def test_good_areas_are_read_exactly(tmp_path: Path) -> None:
    hole = [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.2]]
    far = [[[179, 0], [180, 0], [180, 1], [179, 0]]], [[[-180, 0], [-179, 0], [-180, 1], [-180, 0]]]
    shapes, problems = read_zones(
        [layer(tmp_path, feature("A", SQUARE, hole), feature("B", *far, kind="MultiPolygon"), feature(None, SQUARE))], ["zones"]
    )
    assert problems == []
    assert [zone.name for zone in shapes["zones"]] == ["A", "B", "3"]
    first, second, _ = (shapely.from_wkb(zone.wkb) for zone in shapes["zones"])
    assert first.equals(shapely.Polygon(SQUARE, [hole]))
    assert second.equals(shapely.MultiPolygon([shapely.Polygon(far[0][0]), shapely.Polygon(far[1][0])]))


def test_only_layers_that_rules_name_are_read(tmp_path: Path) -> None:
    broken = layer(tmp_path, feature("A", [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]))
    assert read_zones([broken], ["other"]) == ({}, [])


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        (
            [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]],
            "self-intersection[0.5 0.5]; a rule would not know what is inside, so draw the outline without crossings",
        ),
        (
            [[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]],
            (
                "the edge at [179, 0] spans more than 180 degrees of longitude, so it crosses the antimeridian or goes round a pole;"
                " cut the area at 180 degrees into a MultiPolygon (RFC 7946, 3.1.9), round a pole along latitude 90"
            ),
        ),
        (
            [[0, 80], [120, 80], [-120, 80], [0, 80]],
            (
                "the edge at [120, 80] spans more than 180 degrees of longitude, so it crosses the antimeridian or goes round a pole;"
                " cut the area at 180 degrees into a MultiPolygon (RFC 7946, 3.1.9), round a pole along latitude 90"
            ),
        ),
        ([[0, 0], [200, 0], [200, 1], [0, 0]], "it reaches to [0, 0, 200, 1]; longitude is within 180, latitude within 90 degrees"),
        (
            [[0, 0], [1, 0], [0, 0], [0, 0]],
            "too few points in geometry component[0 0]; a rule would not know what is inside, so draw the outline without crossings",
        ),
    ],
)
def test_a_doubtful_outline_is_refused(tmp_path: Path, ring: Any, problem: str) -> None:
    names, problems = read(tmp_path, feature("good", SQUARE), feature("bad", ring))
    assert names == ["good"]
    assert problems == [f"features[1] (bad) cannot be used by rules: {problem}"]


def test_the_cap_round_a_pole_is_an_area(tmp_path: Path) -> None:
    cap = [[-180, 60], [-90, 60], [0, 60], [90, 60], [180, 60], [180, 90], [-180, 90], [-180, 60]]
    assert read(tmp_path, feature("cap", cap))[1] != [], "its last edge spans the whole globe"
    stepped = [*cap[:6], [90, 90], [0, 90], [-90, 90], *cap[6:]]
    assert read(tmp_path, feature("cap", stepped)) == (["cap"], [])


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ([], "layer zones has no areas, so a rule about it can never fire"),
        ([feature("A", SQUARE), feature("A", SQUARE)], "two areas are called 'A'; a rule tells them apart by name, so each needs one of its own"),
        ([{"type": "Feature", "properties": {"name": "P"}, "geometry": {"type": "Point", "coordinates": [0, 0]}}], "features[0] (P) cannot be used by rules: found 'Point'; an area is a Polygon or a MultiPolygon"),
        ([{"type": "Feature", "properties": None, "geometry": None}], "features[0] (1) cannot be used by rules: found None; an area is a Polygon or a MultiPolygon"),
        ([7], "features[0] (1) cannot be used by rules: found None; an area is a Polygon or a MultiPolygon"),
    ],
)  # fmt: skip
def test_what_is_no_area_is_refused(tmp_path: Path, features: list[Any], problem: str) -> None:
    assert read(tmp_path, *features)[1] == [problem]


def city(folder: Path, rule: str, ring: Any = SQUARE) -> Path:
    (folder / "rules").mkdir()
    (folder / "city.yaml").write_text("{city: t, title: T, timezone: Europe/Berlin, centre: [0, 0]}")
    (folder / "layers.yaml").write_text("- {name: zones, title: Z, kind: polygons, path: zones.geojson, licence: none}\n")
    layer(folder, feature("A", ring))
    (folder / "rules/r.yaml").write_text(f"rule: r\ntitle: t\nwhy: w\nwhen: {{{rule}}}\nalert: {{headline: h, per: {{hold: 1 h}}}}\n")
    return folder


def test_zones_and_baselines_reach_the_plan(tmp_path: Path) -> None:
    root = city(tmp_path, "rate: {of: a, during: 1 h, above: 5, baseline: {sigmas: 3}, each: {zone: zones}}")
    plain = load_city(root).plan
    assert plain.timezone == "Europe/Berlin"
    assert [zone.name for zone in plain.rules[0].when.key.zones.zones] == ["A"]
    (root / "baselines").mkdir()
    rows = "".join(f"A,6,{day},{hour},1,2\n" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") for hour in range(24))
    (root / "baselines/r.csv").write_text(f"key,weeks,day,hour,mean,sigma\n{rows}")
    learnt = load_city(root).plan.rules[0]
    assert learnt.when.baseline.learnt[0].weeks == 6
    assert learnt.when.baseline.sigmas == 3.0
    assert learnt.version != plain.rules[0].version


def test_mistakes_in_layers_and_baselines_stop_the_city(tmp_path: Path) -> None:
    root = city(tmp_path, "zone: {of: a, enters: zones}", [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]])
    with pytest.raises(Misconfigured, match=r"self-intersection\[0.5 0.5\]"):
        load_city(root)
    (root / "rules/r.yaml").write_text(
        (root / "rules/r.yaml").read_text().replace("zone: {of: a, enters: zones}", "match: {of: a, samples: 2}")
    )
    assert load_city(root).plan.rules[0].name == "r", "a layer that no rule names may be drawn as it likes"
    (root / "baselines").mkdir()
    (root / "baselines/q.csv").write_text("key,weeks,day,hour,mean,sigma\n")
    assert [warning.message for warning in read_city(root).warnings][:1] == ["no rule with a baseline has this name; there is none"]


def test_a_broken_baseline_has_its_line(tmp_path: Path) -> None:
    root = city(tmp_path, "rate: {of: a, during: 1 h, above: 5, baseline: {sigmas: 3}}")
    (root / "baselines").mkdir()
    (root / "baselines/r.csv").write_text("key,weeks,day,hour,mean,sigma\nall,6,Mon,24,1,1\n")
    (problem,) = read_city(root).problems
    assert str(problem).startswith("baselines/r.csv: line 2: found 'all,6,Mon,24,1,1'")
