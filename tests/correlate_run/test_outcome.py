"""Severity and expected arrival from evidence: what counts, what does not, and that words of conditions mean here what they mean everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tocsin.correlate.outcome import arrival, arrival_words, passes, severity
from tocsin.model.alert import Evidence
from tocsin.model.plan import Active, AlertSpec, Eta, SeverityRule, SeverityStep
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity
from tocsin.model.time import HOUR, MINUTE, from_iso
from tocsin.rules.expression import parse_condition
from tocsin.rules.selectors import selector

T0 = from_iso("2026-03-28T22:30:00Z")


def event(at: int = 0, kind: str = "water.level", value: float | None = 4.5, unit: str | None = "m", level: int | None = None) -> Evidence:
    return Evidence(1, "gauges", "e1", kind, "g1", T0 + at, T0 + at, None, None, value, unit, "High", "anchor", severity=level)


def of(text: str) -> Selector:
    return selector(parse_condition(text))


def judged(rule: SeverityRule | None, *evidence: Evidence, count: int = 1, distinct: int = 1) -> Severity:
    return severity(AlertSpec("h", Severity.MODERATE, severity_rule=rule), evidence, count, distinct)


def test_without_a_rule_it_is_what_was_declared() -> None:
    assert judged(None, event(level=4)) == Severity.MODERATE


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((None,), Severity.MODERATE), ((1,), Severity.MODERATE), ((1, 3, None), Severity.SEVERE), ((4, 0), Severity.EXTREME)],
)
def test_the_most_severe_event_counts_when_it_is_higher(levels: tuple[int | None, ...], expected: Severity) -> None:
    assert judged(SeverityRule(True), *(event(level=level) for level in levels)) == expected
    assert (
        judged(SeverityRule(False, (SeverityStep(Severity.EXTREME, 99),)), *(event(level=level) for level in levels)) == Severity.MODERATE
    )


@pytest.mark.parametrize(
    ("count", "distinct", "expected"),
    [(4, 3, Severity.MODERATE), (5, 2, Severity.MODERATE), (5, 3, Severity.SEVERE), (50, 3, Severity.SEVERE), (50, 10, Severity.EXTREME)],
)
def test_steps_need_all_they_name(count: int, distinct: int, expected: Severity) -> None:
    steps = (SeverityStep(Severity.SEVERE, 5, 3), SeverityStep(Severity.EXTREME, 0, 10))
    assert judged(SeverityRule(False, steps), event(), count=count, distinct=distinct) == expected


def test_a_step_may_ask_for_an_event() -> None:
    rule = SeverityRule(False, (SeverityStep(Severity.EXTREME, where=of("water.level where value >= 4 m")),))
    assert judged(rule, event(value=3.0), event(value=4.0)) == Severity.EXTREME
    assert judged(rule, event(value=399.0, unit="cm")) == Severity.MODERATE
    near = SeverityRule(False, (SeverityStep(Severity.EXTREME, active=Active(of("a"), 1.0, 1)),))
    assert judged(near, event()) == Severity.MODERATE, "what only the engine can look up is never assumed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("water", True),
        ("water.levels", False),
        ("water.level where value >= 450 cm", True),
        ("water.level where value > 450 cm", False),
        ("water.level where value < 5 m and value != 4 m", True),
        ("water.level where value >= 1 kg", False),
        ("water.level where severity >= severe", True),
        ("water.level where severity in (minor, moderate)", False),
        ('water.level where source == "g1" and feed == "gauges" and id in ("e1", "e2")', True),
        ('water.level where text != "High"', False),
        ("water.level where not text exists or source exists", True),
        ("water.level where attrs.x == 3", False),
        ("water.level where attrs.x exists", False),
    ],
)
def test_conditions_mean_what_they_mean_everywhere(text: str, expected: bool) -> None:
    assert passes(of(text), event(level=3)) is expected


def test_an_event_without_a_value_passes_no_comparison() -> None:
    assert not passes(of("water where value < 5 m"), event(value=None))
    assert not passes(of("water where value < 5 m"), event(unit=None))
    assert passes(of("water where value < 5"), event(unit=None)), "no unit is the unit 1"


def test_the_arrival_counts_from_the_newest_event_that_passes() -> None:
    pieces = (event(), event(20 * MINUTE, "water.upper"), event(10 * MINUTE, "water.upper"), event(HOUR, "water.lower"))
    spec = AlertSpec("h", eta=Eta(6 * HOUR, 8 * HOUR, of("water.upper")))
    assert arrival(spec, pieces) == (T0 + 20 * MINUTE + 6 * HOUR, T0 + 20 * MINUTE + 8 * HOUR)
    assert arrival(spec, pieces[:1]) is None
    assert arrival(AlertSpec("h", eta=Eta(HOUR, HOUR)), pieces) == (T0 + HOUR, T0 + HOUR)
    ahead = [replace(one, event_time=one.event_time + 365 * 24 * HOUR, ahead_us=365 * 24 * HOUR) for one in pieces]
    assert arrival(spec, ahead) == arrival(spec, pieces), "a clock that runs a year ahead does not put off the flood"
    assert arrival(AlertSpec("h", eta=Eta(HOUR, HOUR)), ahead) == (T0 + HOUR, T0 + HOUR)
    assert arrival(AlertSpec("h", eta=Eta(HOUR, HOUR)), ()) is None
    assert arrival(AlertSpec("h"), pieces) is None


@pytest.mark.parametrize(
    ("hours", "zone", "words"),
    [
        ((1, 2), "UTC", "28 Mar 23:30 to 29 Mar 00:30"),
        ((6, 8), "UTC", "29 Mar 04:30 to 06:30"),
        ((1, 2), "Europe/Berlin", "29 Mar 00:30 to 01:30"),
        ((2, 3), "Europe/Berlin", "29 Mar 01:30 to 03:30"),
        ((6, 6), "Europe/Berlin", "29 Mar 06:30"),
    ],
)
def test_the_arrival_is_told_in_local_time(hours: tuple[int, int], zone: str, words: str) -> None:
    assert arrival_words((T0 + hours[0] * HOUR, T0 + hours[1] * HOUR), zone) == words
    assert arrival_words(None, zone) == ""
