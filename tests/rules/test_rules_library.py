"""The twenty practice rules: short, with a reason and a source, without a doubt, and tested - and the tests pass in the real engine."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

from tocsin.app.ruletests import needed, run_test
from tocsin.config.load import load_city, read_city
from tocsin.config.ruletests import load_tests
from tocsin.model.ruletest import RuleTest
from tocsin.rules.later import not_yet
from tocsin.rules.parse import read_rules

LIBRARY = Path(__file__).parents[2] / "examples/rules-library"
CITY = load_city(LIBRARY, frozenset())
RULES = [rule for path in sorted(LIBRARY.glob("rules/*.yaml")) for rule in read_rules(path, path.name)[0]]
TESTS = load_tests(LIBRARY, [rule.name for rule in CITY.plan.rules])
#: Rules that use what the engine does not run yet (`rules/later.py`); their tests wait for it. The list there shrinks, this follows.
WAITING = frozenset(rule.name for rule in RULES if any(not_yet(rule)))
RUNNABLE = [test for test in TESTS if not needed(test.rule, CITY.plan.rules) & WAITING]


def test_the_package_is_whole() -> None:
    files = sorted(path.name[:2] for path in LIBRARY.glob("rules/*.yaml"))
    assert files == [f"{number:02}" for number in range(1, 21)]
    report = read_city(LIBRARY, frozenset())
    assert report.problems == []
    assert [str(warning) for warning in report.warnings] == ["feeds: no feeds: write one to feeds/NAME.yaml"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_short_and_says_where_it_comes_from(rule) -> None:  # type: ignore[no-untyped-def]
    assert len(rule.text.strip().splitlines()) <= 25
    assert len(rule.why) > 15
    assert rule.source
    assert max(len(line) for line in rule.text.splitlines()) <= 160


@pytest.mark.parametrize("number", range(1, 21))
def test_a_practice_is_tested_from_all_sides(number: int) -> None:
    (path,) = LIBRARY.glob(f"tests/{number:02}-*.yaml")
    names = re.findall(r"^test: (.*)$", path.read_text(), re.MULTILINE)
    sides = Counter(side for name in names for side in ("just misses", "late", "duplicate", "out of order") if side in name)
    assert sides["just misses"] and sides["duplicate"]
    assert sides["late"] or sides["out of order"]
    assert sum(sides.values()) < len(names), "and one that simply fires"


def test_every_rule_has_a_test() -> None:
    tested = {test.rule for test in TESTS} | {name for test in TESTS for name in needed(test.rule, CITY.plan.rules)}
    assert tested == {rule.name for rule in RULES}


@pytest.mark.parametrize("test", RUNNABLE, ids=lambda test: f"{test.rule}: {test.name}")
def test_it_does_in_the_engine_what_its_test_says(test: RuleTest) -> None:
    verdict = asyncio.run(run_test(test, CITY))
    assert verdict.wrong == (), verdict.fired
