"""Headlines and reasons: plain words, whatever is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runkit import LAT, LON, SMOKY, T0, call_then_smoke, no_engine, rule, silence, smoke_cluster, smoke_match

from tocsin.correlate.headline import HOLES, fill, number
from tocsin.correlate.reasons import explain, gap, line, metres, role_word
from tocsin.correlate.sphere import distance
from tocsin.model.alert import Evidence
from tocsin.model.plan import Active, Cluster, Match, Rate
from tocsin.model.predicate import Selector
from tocsin.model.time import HOUR, SECOND

SMOKE = Evidence(1, "sensors", "e1", "fire.smoke", "S-31", T0, T0, LON, LAT, 182.0, "ug/m3", None, "member", 38.4, -27 * SECOND)
CALL = Evidence(2, "calls", "F17", "call.fire", None, T0, T0, LON, LAT, None, None, "Trash fire", "anchor", 0.0, 0)
SMOKE_RULES = Match(SMOKY)


@pytest.mark.parametrize(
    ("template", "values", "line_"),
    [
        (
            "Smoke confirmed by {count} sensors {place}",
            {"count": 3, "place": "near Pike Place"},
            "Smoke confirmed by 3 sensors near Pike Place",
        ),
        ("{text}, {place}", {"text": "Trash fire", "place": ""}, "Trash fire"),
        ("{text}, {place}", {"text": None, "place": "near X"}, "near X"),
        ("Smoke at {value} {unit} {place}.", {"value": 182.0, "unit": None, "place": ""}, "Smoke at 182."),
        ("{nothing} {count.__class__} {0}", {"count": 3}, "{nothing} {count.__class__} {0}"),
        ("{{count}}", {"count": 3}, "{count}"),
        ("Zone {{A}}: {text}", {"text": "{count} }}"}, "Zone {A}: {count} }}"),
        ("  ", {}, ""),
    ],
)
def test_a_headline_closes_over_what_is_missing(template: str, values: dict[str, object], line_: str) -> None:
    assert fill(template, values) == line_


@given(st.text("{}abcount 0.,!(\n", max_size=30), st.text("{}a ,.", max_size=10))
def test_a_headline_never_raises(template: str, text: str) -> None:
    assert isinstance(fill(template, {"text": text, "value": 1.5}), str)


def test_the_holes_are_those_the_language_allows() -> None:
    from tocsin.rules.keys import HOLES as ALLOWED

    assert set(HOLES) == set(ALLOWED)


@pytest.mark.parametrize(
    ("value", "text"), [(182.0, "182"), (0.5, "0.5"), (1234567.0, "1234567"), (1 / 3, "0.333333"), (1e20, "1e+20"), (-0.00001, "-1e-05")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("distance_m", "text"), [(0, "0 m"), (38.4, "38 m"), (999.4, "999 m"), (999.6, "1 km"), (1249, "1.2 km"), (12_000, "12 km")]
)
def test_metres(distance_m: float, text: str) -> None:
    assert metres(distance_m) == text


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "at the same time"),
        (-49_999, "at the same time"),
        (-27 * SECOND, "27 s before"),
        (1_250_000, "1.3 s after"),
        (90 * SECOND + 400_000, "1 min 30 s after"),
        (3 * HOUR + 29 * SECOND, "3 h after"),
    ],
)
def test_gaps(us: int, text: str) -> None:
    assert gap(us) == text


def test_a_line_for_each_event() -> None:
    assert line(SMOKE, SMOKY) == "smoke S-31 at 182 ug/m3 (>= 150 ug/m3), 38 m away, 27 s before"
    assert line(CALL, Selector("call", text="call")) == "fire F17: Trash fire, at 2017-07-14T02:40:00Z"
    assert (
        line(replace(SMOKE, distance_m=0.0, value=3.5, unit="{magnitude}"), None)
        == "smoke S-31 at 3.5 magnitude, at the same place, 27 s before"
    )
    assert line(replace(SMOKE, value=3.5, unit="1", distance_m=None), SMOKY) == "smoke S-31 at 3.5 (>= 150 ug/m3), 27 s before"
    wordy = Selector("call", text=f"call where text in ({', '.join(['x'] * 40)})")
    assert line(replace(CALL, text="Trash fire by F17"), wordy) == "Trash fire by F17, at 2017-07-14T02:40:00Z", (
        "who spoke is not said twice"
    )
    assert line(CALL, wordy) == "fire F17: Trash fire, at 2017-07-14T02:40:00Z"
    assert line(replace(SMOKE, distance_m=None, gap_us=None), None) == "smoke S-31 at 182 ug/m3"
    where = Selector("call.fire", where=None, text='call.fire where attrs.type == "A" and severity >= severe')
    assert line(CALL, where) == 'fire F17: Trash fire (attrs.type == "A" and severity >= severe), at 2017-07-14T02:40:00Z'
    assert (
        line(replace(CALL, text="word " * 30), None).startswith("fire F17: word word")
        and len(line(replace(CALL, text="word " * 30), None)) < 130
    )


def test_the_clause_that_held_comes_first() -> None:
    anchor = replace(SMOKE, role="anchor", distance_m=0.0, gap_us=0, source="S-1")
    other = replace(SMOKE, distance_m=61.0, source="S-2")
    assert explain(smoke_match(), [anchor], 1)[0] == "1 event passed: fire.smoke where value >= 150 ug/m3"
    assert explain(smoke_match(), [anchor], 5)[0] == "5 events passed: fire.smoke where value >= 150 ug/m3"
    assert explain(rule("m", Match(SMOKY, 3)), [anchor], 1)[0] == "3 in a row passed: fire.smoke where value >= 150 ug/m3"
    assert explain(smoke_cluster(), [anchor, SMOKE, other], 1)[0] == "3 distinct sources within 300 m and 10 min: 38 m, 61 m"
    assert explain(rule("c", Cluster(SMOKY, 2000.0, HOUR, 1, 2)), [anchor, other], 1)[0] == "2 events within 2 km and 1 h: 61 m"
    assert explain(no_engine(), [CALL], 1)[0] == "no unit.onscene within 500 m in the 5 min after call.fire"
    assert explain(silence(), [], 1, "S-9")[0] == "nothing heard from S-9 for 2 min (never heard)"
    step = replace(CALL, role="step 1", distance_m=240.0, gap_us=-200 * SECOND)
    assert explain(call_then_smoke(), [anchor, step], 1) == (
        "call, then fire.smoke where value >= 150 ug/m3, each within 500 m and 10 min of the one before: 240 m and 3 min 20 s apart",
        "smoke S-1 at 182 ug/m3 (>= 150 ug/m3), at 2017-07-14T02:40:00Z",
        "fire F17: Trash fire, 240 m away, 3 min 20 s before",
    )


def test_an_alert_that_keeps_64_events_does_not_say_that_those_were_all() -> None:
    """More than 100 calls in an hour rang; 64 of them are kept (decision 0007)."""
    calls = [replace(CALL, seq=i, role="member", gap_us=-i * SECOND, event_time=T0 - i * SECOND) for i in range(64)]
    values = [replace(one, value=2.0, unit="mm") for one in calls]
    many, few = Rate(Selector("call"), HOUR, above=100.0), Rate(Selector("call"), HOUR, above=3.0)
    assert explain(rule("r", many), calls, 1)[0] == "more than 100 events in 1 h"
    assert explain(rule("r", few), calls, 1)[0] == "at least 64 events in 1 h, more than 3"
    assert explain(rule("r", few), calls[:4], 1)[0] == "4 events in 1 h, more than 3"
    mean = Rate(Selector("rain"), HOUR, "mean", above=0.001)
    assert explain(rule("r", mean), values, 1)[0] == "mean of at least 64 values in 1 h, more than the rule allows"
    assert explain(rule("r", mean), values[:2], 1)[0] == "mean 2 mm of 2 values in 1 h, more than the rule allows"
    cluster = Cluster(Selector("call"), 2000.0, HOUR, 1, 80)
    assert explain(rule("c", cluster), calls, 1)[0].startswith("80 events within 2 km and 1 h")
    assert explain(rule("c", replace(cluster, events=3)), calls[:5], 1)[0].startswith("5 events within")


def test_exceptions_that_did_not_apply_notes_and_long_lists() -> None:
    guarded = rule("g", SMOKE_RULES, unless=(Active(Selector("ops.burn_permit"), 1000.0, HOUR),))
    lines = explain(guarded, [SMOKE] * 20, 20, notes=("an event was cancelled",))
    assert lines[-3:] == ("and 8 more events", "no ops.burn_permit active within 1 km", "an event was cancelled")
    assert len(lines) == 1 + 12 + 3


def test_roles_in_words() -> None:
    assert [role_word(role) for role in (0, 1, 10, 12, 30)] == ["anchor", "member", "step 1", "step 3", "after"]


def test_distances_are_great_circle() -> None:
    assert distance(0.0, 0.0, 1.0, 0.0) == pytest.approx(111_195.08, abs=0.01)
    assert distance(0.0, 90.0, 0.0, -90.0) == pytest.approx(20_015_114.4, abs=0.1)
    assert distance(179.999, 0.0, -179.999, 0.0) == pytest.approx(222.39, abs=0.01)
    assert distance(-122.33, 47.6, -122.33, 47.6) == 0.0
