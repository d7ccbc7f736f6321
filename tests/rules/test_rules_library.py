"""The twenty practice rules: short, with a reason and a source, without a doubt, and tested - and the tests pass in the real engine."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tocsin.app.ruletests import needed, run_test
from tocsin.config.load import load_city, read_city
from tocsin.config.ruletests import load_tests
from tocsin.model.ruletest import RuleTest
from tocsin.rules.parse import read_rules

LIBRARY = Path(__file__).parents[2] / "examples/rules-library"
CITY = load_city(LIBRARY)
RULES = [rule for path in sorted(LIBRARY.glob("rules/*.yaml")) for rule in read_rules(path, path.name)[0]]
TESTS = load_tests(LIBRARY, [rule.name for rule in CITY.plan.rules])


def test_the_package_is_whole() -> None:
    files = sorted(path.name[:2] for path in LIBRARY.glob("rules/*.yaml"))
    assert files == [f"{number:02}" for number in range(1, 21)]
    report = read_city(LIBRARY)
    assert report.problems == []
    assert [str(warning) for warning in report.warnings] == ["feeds: no feeds: write one to feeds/NAME.yaml"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_short_and_says_where_it_comes_from(rule) -> None:  # type: ignore[no-untyped-def]
    assert len(rule.text.strip().splitlines()) <= 25
    assert len(rule.why) > 15
    assert rule.source
    assert max(len(line) for line in rule.text.splitlines()) <= 160


#: Rule -> the reason of the first alert of its first test that fires: values, distances, times.
REASONS = {
    "double-knock": "alarm.detector, then alarm.detector, each within 5 min of the one before, the same attrs.zone, different source: 0 m and 2 min apart",
    "second-smoke-sensor": "2 alerts of smoke-above-own-past within 300 m in 10 min: 200 m and 1 min apart",
    "rising-gauge-under-warning": "level g1 rose by 0.14 m in 40 min, from 1 m to 1.14 m",
    "debris-flow-first-year": "rain r1 at 24 mm/h inside Ridge fire, first year",
    "red-flag": "weather.humidity where value <= 15 % and weather.wind where value >= 25 [mi_i]/h held together for 3 h in all within 12 h, last at"
    " 2020-09-13T15:26:40Z",
    "lightning-stand-down": "lightning event-2 within 9.7 km of outdoor stadium, 9.6 km away, known since 2020-09-13T12:26:40Z",
    "lightning-all-clear": "no weather.lightning for 30 min: since 2020-09-13T12:56:40Z",
    "accountability-check": "in 1 min it is 20 min without ops.par and no ops.under_control: since 2020-09-13T12:26:40Z",
    "elapsed-time": "15 min since ops.arrival at 2020-09-13T12:26:40Z and no ops.under_control",
    "firefighter-down": "ppe.motion where attrs.moving == false held for 30 s without a break: since 2020-09-13T12:26:50Z",
    "earthquake-inspection": "critical bridge-1: Elm bridge inside the area of intensity event-2 at 6, 1 km away, known since 2020-09-13T12:36:40Z",
    "radiation-downwind": "dose post2 at 0.5 uSv/h in the sector of dose post1 at 0.5 uSv/h, 5 km away, known since 2020-09-13T12:41:40Z",
    "radiation-above-own-past": "mean 0.5 uSv/h of 2 values in 10 min, 2 times one after another, more than the rule allows",
    "explosion": "alerts of blast-heard and outages-together within 1 km in 2 min: 424 m and 50 s apart",
    "hazmat-at-tunnel": "position T4 entered North portal (tunnel-approaches) at 2020-09-13T12:27:40Z",
}


@pytest.mark.parametrize("rule", REASONS)
def test_an_alert_says_why_with_values_distances_and_times(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.app.ruletests._describe", lambda alert: alert.reasons[0])
    test = next(test for test in TESTS if test.rule == rule and test.fires)
    assert asyncio.run(run_test(test, CITY)).fired[0] == REASONS[rule]


def test_an_outage_says_who_is_silent_and_distinct_fields_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.app.ruletests._describe", lambda alert: f"{alert.headline} | {alert.reasons[0]}")
    outage = next(test for test in TESTS if "one alert for the area" in test.name)
    assert (
        "Not heard for 45 min: 2 sources within 2 km | 2 sources within 2 km not heard for 45 min, silent within 5 min of one another: "
        "at least 30 % of the sources heard there"
    ) in asyncio.run(run_test(outage, CITY)).fired
    odour = replace(next(test for test in TESTS if test.name == "two addresses"), rule="odour-calls")
    (told,) = asyncio.run(run_test(odour, CITY)).fired
    assert told.endswith("| 2 distinct attrs.address within 400 m and 20 min: 300 m")
    assert told.startswith("Gas smelt at 2 addresses")


SIDES = ("just misses", "late", "duplicate", "out of order")


@pytest.mark.parametrize("number", range(1, 21))
def test_a_practice_is_tested_from_all_sides(number: int) -> None:
    """It fires, just misses, is learnt late, twice and out of order: the names of its tests say which is which, and what they try is that."""
    (path,) = LIBRARY.glob(f"tests/{number:02}-*.yaml")
    names = set(re.findall(r"^test: (.*)$", path.read_text(), re.MULTILINE))
    of_practice = [test for test in TESTS if test.name in names and Path(test.file).name == path.name]
    sides = {side: [test for test in of_practice if re.match(rf"{side}\b", test.name)] for side in SIDES}
    assert [side for side, tests in sides.items() if not tests] == []
    assert any(test.fires for test in of_practice if not any(test in tests for tests in sides.values())), "and one that simply fires"
    assert all(any(event.arrives > 0 for event in test.events) for test in sides["late"])
    assert all(len({event.id for event in test.events}) < len(test.events) for test in sides["duplicate"])
    assert any(overtaken(test) for test in sides["out of order"]), "something is learnt of before what happened before it"


def overtaken(test: RuleTest) -> bool:
    learnt = sorted(test.events, key=lambda event: event.at + event.arrives)
    return any(after.at < before.at for before, after in pairwise(learnt))


def test_every_rule_has_a_test() -> None:
    tested = {test.rule for test in TESTS} | {name for test in TESTS for name in needed(test.rule, CITY.plan.rules)}
    assert tested == {rule.name for rule in RULES}


@pytest.mark.parametrize("test", TESTS, ids=lambda test: f"{test.rule}: {test.name}")
def test_it_does_in_the_engine_what_its_test_says(test: RuleTest) -> None:
    verdict = asyncio.run(run_test(test, CITY))
    assert verdict.wrong == (), verdict.fired
