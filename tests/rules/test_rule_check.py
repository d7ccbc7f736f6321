"""Rules against what the feeds produce, doubts that are only warnings, and text that is not a rule at all."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import bad_rules
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.model.feed import Choice, FeedSpec, FieldMap
from tocsin.rules.alert_keys import TABLES
from tocsin.rules.area_keys import AROUND, GUARDS, SECTOR, WIND
from tocsin.rules.check import Findings, check_rules
from tocsin.rules.compile import compile_rule
from tocsin.rules.defaults import complete
from tocsin.rules.operator_keys import AREA_OUTAGE, OPERATORS
from tocsin.rules.parse import parse_rules
from tocsin.rules.produced import Produced, produced

#: A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LIBRARY = Path(__file__).parents[2] / "examples/rules-library/rules"
AIR = Produced(
    "air",
    frozenset({"air.pm25", "air.ozone"}),
    frozenset({"ug/m3"}),
    {"name": "string", "floor": "integer", "indoor": "boolean", "since": "time"},
)
CALLS = Produced("calls", frozenset({"call.fire", "call.medical"}), frozenset(), {"type": "string"})
UNKNOWN = Produced("devices", None, None, {})


def findings(when: str, *feeds: Produced, unless: str = "") -> Findings:
    text = f"rule: r\ntitle: t\nwhy: w\nwhen:\n  {when}\n{unless}alert:\n  headline: h\n  per: {{hold: 1 h}}\n"
    rules, problems = parse_rules(text, "r.yaml")
    assert problems == []
    return check_rules(rules, feeds)


def texts(found: list[object]) -> list[str]:
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ('match: {of: "air.pm25 where value >= 55 ug/m3"}', None),
        ('match: {of: "air where value >= 0.055 mg/m3 and attrs.name == \\"x\\" and attrs.floor >= 2 and attrs.indoor == true"}', None),
        (
            'match: {of: "air.pm25 where value >= 20 cm/h"}',
            (
                "when.match.of: value is compared in cm/h (speed), but air.pm25 is measured in ug/m3 (mass concentration) by the feed air;"
                " write for example value >= 20 ug/m3"
            ),
        ),
        (
            'match: {of: "air.pm25 where value >= 20"}',
            (
                "when.match.of: value is compared in 1 (number), but air.pm25 is measured in ug/m3 (mass concentration) by the feed air;"
                " write for example value >= 20 ug/m3"
            ),
        ),
        (
            'match: {of: "call where value >= 3 mm"}',
            "when.match.of: value is compared, but call has none: no value is mapped by its feed calls",
        ),
        (
            'match: {of: "call.fire where attrs.typ == \\"Brush\\""}',
            "when.match.of: call.fire has no attribute 'typ' (feed calls); did you mean 'type'? known: type",
        ),
        (
            'match: {of: "call.fire where attrs.type > 3"}',
            'when.match.of: attrs.type is a string; compare it with text, as in == "A"',
        ),
        (
            'match: {of: "air where attrs.floor == \\"2\\""}',
            "when.match.of: attrs.floor is an integer; compare it with a number, as in >= 5",
        ),
        (
            'match: {of: "air where attrs.since == \\"2\\""}',
            "when.match.of: attrs.since is a time; compare it with nothing: in this version a time only exists or not",
        ),
        ('match: {of: "air where attrs.since exists"}', None),
        (
            "silence: {of: call, during: 1 h, by: feed, declared: [cals]}",
            "when.silence.declared: there is no feed 'cals'; did you mean 'calls'? known: air, calls",
        ),
    ],
)
def test_a_rule_is_held_against_its_feeds(when: str, problem: str | None) -> None:
    found = findings(when, AIR, CALLS)
    assert texts(found.problems) == ([f"r.yaml:5: {problem}"] if problem else [])
    assert found.warnings == []


def test_what_a_feed_produces_is_not_guessed() -> None:
    """A feed whose kinds or units come from its records may produce anything, so nothing is refused because of it."""
    for when in ('match: {of: "air.pm25 where value >= 20 cm/h"}', 'match: {of: "radiation where attrs.x == 3"}'):
        found = findings(when, AIR, UNKNOWN)
        assert (found.problems, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("when", "warning"),
    [
        (
            "match: {of: call.fyre}",
            "when.match.of: no feed produces 'call.fyre'; did you mean 'call.fire'? known: air.ozone, air.pm25, call.fire, call.medical",
        ),
        ("match: {of: \"call where feed == 'call'\"}", "when.match.of: there is no feed 'call'; did you mean 'calls'? known: air, calls"),
        (
            "cluster: {of: call, sources: 3, events: 2, within: 1 km, during: 1 h}",
            "when.cluster.events: 2 events are implied by 3 sources; leave it out, or ask for more",
        ),
    ],
)
def test_doubts_are_warnings(when: str, warning: str) -> None:
    found = findings(when, AIR, CALLS)
    assert found.problems == []
    assert texts(found.warnings) == [f"r.yaml:5: {warning}"]


def test_an_exception_to_a_silent_feed_is_doubted_and_its_condition_checked() -> None:
    found = findings("silence: {of: call, during: 1 h, by: feed}", AIR, CALLS, unless="unless: {active: {of: ops.drill, within: 1 km}}\n")
    assert texts(found.warnings) == [
        "r.yaml:6: unless.active.of: no feed produces 'ops.drill'; known: air.ozone, air.pm25, call.fire, call.medical",
        "r.yaml:6: unless: an alert about a silent feed has no place, so this never applies; use by: source",
    ]


BARE = Produced("bare", frozenset({"bare.a"}), frozenset(), {}, frozenset({"kind", "event_time"}))
PLACED = Produced("placed", frozenset({"placed.a"}), frozenset(), {}, frozenset({"kind", "event_time", "lon", "lat", "source"}))
NOWHERE = "bare has no coordinates (feed bare), so it is never near anything; map lon and lat"


@pytest.mark.parametrize(
    ("when", "unless", "problems", "warnings"),
    [
        (
            "cluster: {of: bare, sources: 2, within: 1 km, during: 1 h}",
            "",
            [
                "r.yaml:5: when.cluster.of: bare names no source (feed bare), so there are never 2 different ones; map source, or count events",
                f"r.yaml:5: when.cluster.of: {NOWHERE}",
            ],
            [],
        ),
        ("cluster: {of: placed, sources: 2, within: 1 km, during: 1 h}", "", [], []),
        ("absence: {after: placed, expect: bare, within: 1 km, during: 1 h}", "", [f"r.yaml:5: when.absence.expect: {NOWHERE}"], []),
        ("match: {of: bare}", "", [], []),
        ("match: {of: placed}", "unless:\n  - active: {of: bare, within: 1 km}\n", [f"r.yaml:7: unless[1].active.of: {NOWHERE}"], []),
        (
            "silence: {of: bare, during: 1 h}",
            "",
            [],
            ["r.yaml:5: when.silence.of: bare names no source (feed bare), so all of it is one source; map source, or write by: feed"],
        ),
        ("silence: {of: bare, during: 1 h, by: feed}", "", [], []),
    ],
)
def test_an_operator_needs_what_it_goes_by(when: str, unless: str, problems: list[str], warnings: list[str]) -> None:
    found = findings(when, BARE, PLACED, unless=unless)
    assert texts(found.problems) == problems
    assert texts(found.warnings) == warnings


def test_a_cluster_without_per_is_doubted() -> None:
    text = bad_rules.BASE.replace("  per: {place: 300 m, hold: 30 min}\n", "")
    rules, _ = parse_rules(text, "r.yaml")
    assert texts(check_rules(rules).warnings) == [
        "r.yaml:6: alert: every further event that completes the cluster raises another alert; write per, as in per: {place: 500 m, hold: 30 min}"
    ]


def feed(**changes: object) -> FeedSpec:
    plain = {
        "name": "f", "title": "f", "purpose": "p", "owner": "o", "retention": 1, "sensitivity": "public", "transport": Choice("webhook"),
        "format": Choice("json"), "mapping": {},
    }  # fmt: skip
    return FeedSpec(**{**plain, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("format_", "mapping", "kinds", "units"),
    [
        ("json", {"kind": FieldMap(constant="a.b")}, {"a.b"}, set()),
        ("json", {"kind": FieldMap(path="t", table={"x": "a", "y": "b"}, default="c")}, {"a", "b", "c"}, set()),
        ("json", {"kind": FieldMap(path="t"), "value": FieldMap(path="v", unit="mm")}, None, {"mm"}),
        ("json", {"kind": FieldMap(template="a.{t}"), "value": FieldMap(path="v", unit_path="u", unit="mm")}, None, None),
        ("json", {"kind": FieldMap(constant="a"), "value": FieldMap(path="v"), "unit": FieldMap(constant="m")}, {"a"}, {"m"}),
        ("json", {"kind": FieldMap(constant="a"), "value": FieldMap(path="v"), "unit": FieldMap(path="u", table={"1": "m"}, default="cm")}, {"a"}, {"m", "cm"}),
        ("json", {"kind": FieldMap(constant="a"), "value": FieldMap(path="v"), "unit": FieldMap(path="u")}, {"a"}, None),
        ("geojson", {"kind": FieldMap(constant="a")}, {"a"}, set()),
        ("cloudevents", {}, None, None),
        ("cloudevents", {"value": FieldMap(path="v")}, None, None),
        ("cloudevents", {"value": FieldMap(path="v", unit="m")}, None, {"m"}),
    ],
)  # fmt: skip
def test_what_a_feed_produces_is_read_from_its_declaration(
    format_: str, mapping: dict[str, FieldMap], kinds: set[str] | None, units: set[str] | None
) -> None:
    found = produced(feed(format=Choice(format_), mapping=mapping, attrs={"n": FieldMap(path="n", as_type="number")}))
    fields = (
        None
        if format_ == "cloudevents"
        else frozenset(mapping) | (frozenset({"lon", "lat", "area"}) if format_ == "geojson" else frozenset())
    )
    assert found == Produced("f", kinds, units, {"n": "number"}, fields)


# ---- text that is not a rule never crashes it ----
def survive(text: str) -> None:
    rules, problems = parse_rules(text, "r.yaml")
    assert all(problem.message and problem.line >= 0 for problem in problems)
    feeds = [AIR, CALLS]
    rules = [complete(rule, feeds) for rule in rules]
    found = check_rules(rules, feeds, {"zones": ["A"]})
    if not problems and not found.problems:
        assert all(compile_rule(rule).words for rule in rules)


@calm
@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    survive(text)


@calm
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_damaged_rules_are_survived(seed: int, times: int) -> None:
    """Bytes lost, doubled, swapped with others that mean something, somewhere in good rules."""
    rng = random.Random(seed)
    text = rng.choice([bad_rules.BASE, bad_rules.BASE.replace("cluster", "match"), bad_rules.BASE + "---\n" + bad_rules.BASE])
    for _ in range(times):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 1, 3, 20]))
        piece = rng.choice(
            ["", text[start:end] * 2, *"{}[]:,&*!|>'\"%@#-\n\t ?~\\\x00é", "null", "true", "1e999", "-1", "9" * 400, "- ", ": "]
        )
        text = text[:start] + piece + text[end:]
    survive(text)


WORDS = sorted(
    {
        one.name
        for table in (*OPERATORS.values(), *GUARDS.values(), *TABLES.values(), AROUND, SECTOR, WIND, AREA_OUTAGE)
        for one in table.fields
    }
)
#: What stands in good rules, so that random ones are right now and then.
VALUES = (
    "a",
    "call.fire",
    "air where value > 3 ug/m3",
    "1 h",
    "5 min",
    "300 m",
    "20 ug/m3",
    "20 mm/h",
    "30 %",
    "60 deg",
    "source",
    "attrs.x",
    "zones",
    "rise",
    "r",
    "all",
    "severe",
    "evidence",
)

json_values = st.recursive(
    st.none()
    | st.sampled_from(VALUES)
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["of", "within", "during", "x", "match", "sources"]), inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=8,
)


@calm
@given(st.sampled_from(["rule", "title", "why", "when", "while", "unless", "alert"]), json_values)
def test_any_value_in_any_place_is_survived(key: str, value: object) -> None:
    document = {
        "rule": "r", "title": "t", "why": "w", "when": {"match": {"of": "a"}}, "unless": [], "alert": {"headline": "h"}, key: value,
    }  # fmt: skip
    survive(json.dumps(document))


@calm
@given(st.sampled_from(sorted(OPERATORS)), json_values)
def test_any_value_under_an_operator_is_survived(operator: str, value: object) -> None:
    survive(json.dumps({"rule": "r", "title": "t", "why": "w", "when": {operator: value}, "alert": {"headline": "h"}}))


def without(value: Any, drop: float, rng: random.Random) -> Any:
    """A copy with keys left out, here and there."""
    if isinstance(value, dict):
        return {key: without(inner, drop, rng) for key, inner in value.items() if rng.random() > drop}
    return [without(inner, drop, rng) for inner in value] if isinstance(value, list) else value


GOOD = [document for path in sorted(LIBRARY.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]


@calm
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 0.2]), st.sampled_from(VALUES))
def test_good_rules_with_parts_missing_or_changed_are_survived(seed: int, drop: float, value: str) -> None:
    """Of the library's rules: operators with keys left out, put together anew, a value changed."""
    rng = random.Random(seed)
    one, other = rng.choice(GOOD), rng.choice(GOOD)
    parts = ["when", "alert", "unless", "while"]
    document = without({**one, rng.choice(parts): other.get(rng.choice(parts))}, drop, rng)
    for body in list((document.get("when") or {}).values()):
        if isinstance(body, dict) and body:
            body[rng.choice(sorted(body))] = value
    survive(json.dumps(document))
