"""Every mistake in an operator, a guard or the alert is found, with its line and what would be valid; and what is right is let through."""

from __future__ import annotations

import bad_operators
import pytest

from tocsin.rules.check import check_rules
from tocsin.rules.defaults import complete
from tocsin.rules.nodes import Rule
from tocsin.rules.parse import parse_rules
from tocsin.rules.produced import Produced


def messages(text: str) -> list[str]:
    rules, problems = parse_rules(text, "r.yaml")
    return [str(problem).removeprefix("r.yaml:") for problem in problems + check_rules(rules).problems]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in bad_operators.CASES], ids=[case[0] for case in bad_operators.CASES])
def test_a_mistake_is_explained(text: str, expected: list[str]) -> None:
    assert messages(text) == expected


NAMES = {"a circle of three": "abcd", "a name nearly right": ("r", "smoke-high", "smoke-low")}


@pytest.mark.parametrize(("name", "bodies", "expected"), bad_operators.TOGETHER, ids=[case[0] for case in bad_operators.TOGETHER])
def test_rules_that_only_together_are_wrong(name: str, bodies: list[str], expected: list[str]) -> None:
    plain = "when: {match: {of: x, samples: 2}}"
    names = NAMES.get(name, "ab")
    text = "---\n".join(
        f"rule: {one}\ntitle: t\nwhy: w\n{body or plain}\n{bad_operators.TAIL}" for one, body in zip(names, bodies, strict=True)
    )
    assert [found.partition(": ")[2] for found in messages(text)] == expected


def rule(when: str, extra: str = "", tail: str = bad_operators.TAIL) -> Rule:
    rules, problems = parse_rules(f"{bad_operators.HEAD}when: {{{when}}}\n{extra}{tail}", "r.yaml")
    assert problems == []
    return rules[0]


FEEDS = (
    Produced("gauges", frozenset({"water.level"}), frozenset({"cm"}), {}, None, 600_000_000),
    Produced("wind", frozenset({"weather.wind"}), frozenset({"m/s"}), {"station": "string"}, None, None),
    Produced("air", frozenset({"weather.humidity"}), frozenset({"%"}), {}, frozenset({"source", "lon", "lat"}), None),
)


def against_feeds(one: Rule) -> tuple[list[str], list[str]]:
    found = check_rules([complete(one, FEEDS)], FEEDS)
    return [problem.message for problem in found.problems], [warning.message for warning in found.warnings]


@pytest.mark.parametrize(
    ("when", "problems", "warnings"),
    [
        ("change: {of: water.level, during: 1 h, by: 20 mm}", [], []),
        (
            "change: {of: water.level, during: 1 h, by: 20 kg}",
            ["when.change.by: kg belongs to a value of mass, but water.level is measured in cm (length) by the feed gauges; write for example by: 20 cm"],
            [],
        ),
        ("change: {of: water.level, during: 1 h, slope: 20 mm/h, samples: 7}", [], []),
        (
            "change: {of: water.level, during: 1 h, slope: 20 cm}",
            ["when.change.slope: cm belongs to a value of m.s, but water.level is measured in cm (length) by the feed gauges; write for example slope: 20 cm/h"],
            [],
        ),
        (
            "accumulate: {of: water.level, integral: 20 mm, during: 12 h, hold: 1 h}",
            ["when.accumulate.integral: mm belongs to a value of speed, but water.level is measured in cm (length) by the feed gauges; write for example integral: 20 cm.h"],
            [],
        ),
        (
            "silence: {of: water.level, during: 10 min}",
            [],
            ["when.silence.during: water.level is expected every 10 min, so it rings between any two of them; write for example 30 min"],
        ),
        ("silence: {of: water.level, during: 601 s}", [], []),
        (
            "match: {of: water.level, for: 1 h, max_gap: 5 min}",
            [],
            ["when.match.max_gap: water.level is expected every 10 min, so every gap is longer than this; write for example 20 min"],
        ),
        (
            "accumulate: {of: water.level where value > 4 m, total: 3 h, during: 12 h, hold: 1 min}",
            [],
            [
                (
                    "when.accumulate.hold: a sample every 10 min that speaks for 1 min gives 1 h 12 min in 12 h at most, but total is 3 h;"
                    " write for example hold: 20 min"
                )
            ],
        ),
        ("accumulate: {of: water.level where value > 4 m, total: 1 h, during: 12 h, hold: 1 min}", [], []),
        ("accumulate: {of: water.level where value > 4 m, total: 3 h, during: 12 h, hold: 10 min}", [], []),
        (
            "inside: {of: weather.wind, sector: {of: water.level, within: 1 km, width: 360 deg, bearing: value}}",
            ["when.inside.sector.bearing: deg belongs to a value of angle, but water.level is measured in cm (length) by the feed gauges; write for example bearing: attrs.azimuth"],
            [],
        ),
        ("timer: {since: water.level, during: 1 h, until: water}", ["when.timer.until: can never fire: what starts it also stops it; write another condition"], []),
        (
            "timer: {since: water.level where value > 4 m, during: 1 h, until: water.level where value > 300 cm}",
            ["when.timer.until: can never fire: what starts it also stops it; write another condition"],
            [],
        ),
        ("timer: {since: water.level where value > 4 m, during: 1 h, until: water.level where value > 5 m}", [], []),
        (
            "absence: {after: water.level, expect: water.gate, within: 1 km, during: 1 h}",
            [],
            ["when.absence.expect: no feed produces 'water.gate', so every deadline passes; did you mean 'water.level'? known: water.level, weather.humidity, weather.wind"],
        ),
        ("change: {of: water.level, during: 1 h, slope: 20 mm/h, samples: 8}", [], ["when.change.samples: 8 samples every 10 min take 1 h 10 min, but during is 1 h"]),
        ("rate: {of: water.level, during: 1 h, measure: mean, above: 3 m}", [], []),
        (
            "rate: {of: water.level, during: 1 h, measure: mean, above: 3 s}",
            ["when.rate.above: s belongs to a value of time, but water.level is measured in cm (length) by the feed gauges; write for example above: 20 cm"],
            [],
        ),
        ("rate: {of: water.level, during: 1 h, above: 0}", [], ["when.rate.above: holds as soon as there is one event; a match says that more plainly, or write above: 3"]),
        (
            "accumulate: {of: [weather.wind, weather.humidity], total: 1 h, during: 2 h, hold: 1 h}",
            ["when.accumulate.of: can never fire: no source gives weather.wind and weather.humidity, they come from different feeds; write each: attrs.<name>, or each: all"],
            [],
        ),
        ("accumulate: {of: [weather.wind, weather.humidity], total: 1 h, during: 2 h, hold: 1 h, each: all}", [], []),
        (
            "inside: {of: water.level, area: weather.humidity}",
            ["when.inside.area: weather.humidity has no area (feed air), so nothing is ever inside it; map area, or write around"],
            [],
        ),
        ("match: {of: water.level, for: 1 h}", [], []),
        ("match: {of: weather.wind, for: 1 h}", ["when.match.for: max_gap is missing and no feed of weather.wind declares expected_every; write max_gap: 2 min"], []),
        ("timer: {since: water.level, during: 1 h, repeat: true}", [], ["when.timer.repeat: nothing ever stops it; write until"]),
    ],
)  # fmt: skip
def test_an_operator_is_held_against_the_feeds(when: str, problems: list[str], warnings: list[str]) -> None:
    assert against_feeds(rule(when)) == (problems, warnings)


def test_the_longest_gap_comes_from_the_feed() -> None:
    open_, given = rule("match: {of: water.level, for: 1 h}"), rule("match: {of: water.level, for: 1 h, max_gap: 5 min}")
    assert complete(open_, FEEDS).when.max_gap == 2 * 600_000_000
    assert complete(given, FEEDS) == given
    assert complete(open_, ()) == open_


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "when: {match: {of: call}}\nalert: {headline: h}",
            "when.match.of: every event of call raises an alert; write where, or per or budget of alert",
        ),
        ("when: {match: {of: call where value > 1 m}}\nalert: {headline: h}", None),
        ("when: {match: {of: call}}\nalert: {headline: h, per: {hold: 1 h}}", None),
        ("when: {match: {of: call}}\nwhile: {active: {of: b, within: 1 km}}\nalert: {headline: h}", None),
        (
            "when: {rate: {of: call, during: 1 h, above: 3, baseline: {sigmas: 0}}}\nalert: {headline: h}",
            "when.rate.baseline.sigmas: every second hour exceeds its mean; write sigmas: 3, or least",
        ),
        (
            "when: {match: {of: 'call where value > 1 m or value <= 1 m'}}\nalert: {headline: h}",
            "when.match.of: holds for every event of call that has what it asks for; leave where out, or write per or budget of alert",
        ),
    ],
)
def test_a_rule_that_fires_on_everything_is_doubted(text: str, warning: str | None) -> None:
    rules, problems = parse_rules(f"{bad_operators.HEAD}{text}\n", "r.yaml")
    assert problems == []
    assert [found.message for found in check_rules(rules).warnings] == ([warning] if warning else [])


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("zone: {of: a, enters: scars}", None),
        ("zone: {of: a, enters: {layer: scars, only: [North]}}", None),
        ("zone: {of: a, enters: scrs}", "when.zone.enters: there is no layer of polygons 'scrs'; did you mean 'scars'? known: scars"),
        ("zone: {of: a, leaves: {layer: scars, only: [Nort]}}", "when.zone.leaves: the layer 'scars' has no area 'Nort'; did you mean 'North'? known: North, South"),
        ("inside: {of: a, zone: scrs}", "when.inside.zone: there is no layer of polygons 'scrs'; did you mean 'scars'? known: scars"),
        ("rate: {of: a, during: 1 h, above: 3, each: {zone: scrs}}", "when.rate.each.zone: there is no layer of polygons 'scrs'; did you mean 'scars'? known: scars"),
    ],
)  # fmt: skip
def test_zones_are_looked_up(when: str, problem: str | None) -> None:
    found = check_rules([rule(when)], None, {"scars": ["North", "South"]})
    assert [one.message for one in found.problems] == ([problem] if problem else [])
