"""Rule tests as the engine gets them: areas, repetitions, rules that build on others, and what is said when a test fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import shapely

from tocsin.app.ruletests import compare, needed, to_entries
from tocsin.app.written import to_batch
from tocsin.config.load import load_city
from tocsin.config.ruletests import parse_tests
from tocsin.correlate.sphere import distance
from tocsin.model.alert import Alert
from tocsin.model.plan import Plan
from tocsin.model.severity import Severity

CITY = load_city(Path(__file__).parents[2] / "examples/rules-library")
HEAD = "test: t\nrule: rising-gauge-under-warning\nevents:\n"


def read(events: str, expected: str = "silent: true\n"):  # type: ignore[no-untyped-def]
    (test,), problems = parse_tests(HEAD + events + expected)
    assert problems == []
    return test


def test_a_round_area_lies_about_its_place() -> None:
    test = read("  - {at: 0, kind: weather.warning, east: 1 km, north: -2 km, area: 5 km, valid_for: 1 h}\n")
    batch = to_batch(test.events[0], CITY)
    lon, lat = batch.column("lon")[0].as_py(), batch.column("lat")[0].as_py()
    shape = shapely.from_wkb(batch.column("area")[0].as_py())
    assert shape.is_valid
    corners = shapely.get_coordinates(shape).tolist()
    assert all(distance(lon, lat, *corner) == pytest.approx(5000, rel=2e-3) for corner in corners)


def test_an_area_needs_a_place() -> None:
    test = read("  - {at: 0, kind: weather.warning, nowhere: true, area: 5 km}\n")
    assert to_batch(test.events[0], CITY).column("area")[0].as_py() is None


def test_what_is_delivered_twice_is_journaled_once_when_it_first_arrives() -> None:
    events = "  - {at: 0, kind: a, id: x, text: first, arrives: +5 min}\n  - {at: 1 min, kind: a, id: y}\n  - {at: 0, kind: a, id: x, text: second}\n"
    other_feed = "  - {at: 2 min, kind: a, id: x, feed: another}\n"
    batches = [entry.batch for entry in to_entries(read(events + other_feed), CITY) if entry.batch is not None]
    assert [(batch.column("feed")[0].as_py(), batch.column("id")[0].as_py(), batch.column("text")[0].as_py()) for batch in batches] == [
        ("test", "x", "second"),
        ("test", "y", None),
        ("another", "x", None),
    ]


def test_a_rule_is_tested_with_all_it_reads() -> None:
    rules = CITY.plan.rules
    assert needed("double-knock", rules) == {"double-knock"}
    assert needed("basin-flood", rules) == {"basin-flood", "upstream-floats", "downstream-floats"}
    assert needed("radiation-downwind", rules) == {"radiation-downwind", "radiation-above-own-past"}
    assert needed("gone", rules) == {"gone"}
    circle = tuple(replace(rule, reads=("b",) if rule.name == "a" else ("a",)) for rule in (replace(rules[0], name=name) for name in "ab"))
    assert needed("a", Plan(circle).rules) == {"a", "b"}, "a circle ends"


def test_a_wrong_severity_is_told() -> None:
    alert = Alert("i", "r", "v", 1, "raised", "h", Severity.MINOR, "", "", 0, 0, 0, None, None, None, "", 1, 1, (), (), 1)
    test = read("  - {at: 0, kind: a}\n", "fires: [{severity: severe}]\n")
    assert list(compare(test, [alert])) == ["alert 1: expected severity severe, got minor"]
    assert list(compare(test, [replace(alert, severity=Severity.SEVERE)])) == []
