"""Rule tests of a city, `tests/*.yaml`: YAML in, `model.ruletest` out, one test a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tocsin.kernel.document import Document, read_file, read_text
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.kernel.shape import BAD, Place
from tocsin.model.ruletest import Expected, RuleTest, TestEvent
from tocsin.model.severity import Action, Severity
from tocsin.model.time import DAY

from .city_keys import RULE_TEST


def load_tests(root: Path, rules: Iterable[str] | None = None) -> tuple[RuleTest, ...]:
    """Every test of a city directory, in file order. `rules`: names that exist, when they are known. Raises Misconfigured."""
    names = None if rules is None else sorted(rules)
    tests: list[RuleTest] = []
    problems: list[Problem] = []
    for path in sorted((root / "tests").glob("*.yaml")):
        found, wrong = read_tests(path, f"tests/{path.name}", names)
        tests += found
        problems += wrong
    if problems:
        raise Misconfigured(problems)
    return tuple(tests)


def read_tests(path: Path, name: str, rules: Iterable[str] | None = None) -> tuple[list[RuleTest], list[Problem]]:
    """The tests of a file and everything wrong in it."""
    return _tests(*read_file(path, name), name, rules)


def parse_tests(text: str, name: str = "test", rules: Iterable[str] | None = None) -> tuple[list[RuleTest], list[Problem]]:
    """Like `read_tests`, for text."""
    return _tests(*read_text(text, name), name, rules)


def _tests(
    documents: Iterable[Document], problems: list[Problem], name: str, rules: Iterable[str] | None
) -> tuple[list[RuleTest], list[Problem]]:
    tests: list[RuleTest] = []
    found: list[Problem] = []
    for document in documents:
        place = Place(name)
        values = RULE_TEST.read(document.root, place)
        if values is not BAD:
            _check(values, place, rules)
            if not place.problems:
                tests.append(_test(values, place))
        found += sorted(place.problems, key=lambda one: one.line)
    return tests, found + problems


def _check(values: Mapping[str, Any], place: Place, rules: Iterable[str] | None) -> None:
    line = place.lines["test"]
    if rules is not None and values["rule"] not in rules:
        place.add(place.lines["rule"], f"rule: there is no rule {values['rule']!r}; {nearest(values['rule'], rules)}")
    if values["silent"] == bool(values["fires"]):
        both = "fires and silent exclude each other" if values["silent"] else "nothing is expected"
        place.add(line, f"{both}; write fires: [{{at: 5 min}}] or silent: true")
    check_events(values["events"], place)


def check_events(events: Sequence[Mapping[str, Any]], place: Place) -> None:
    """The events of a test or of an exercise against one another."""
    ids = [one["id"] for one in events if one["id"] is not None]
    for index, one in enumerate(events, 1):
        at = place.lines[f"events[{index}]"]
        action, refers = one["action"], one["refers_to"]
        if action == "report" and refers is not None:
            place.add(at, f"events[{index}]: a report refers to nothing; leave refers_to out, or write action: update or cancel")
        elif action != "report" and refers is None:
            place.add(at, f"events[{index}]: {action} needs refers_to, the id of an earlier event")
        elif refers is not None and refers not in ids:
            hint = nearest(refers, ids) if ids else "none has one; write id"
            place.add(at, f"events[{index}].refers_to: no event here has the id {refers!r}; {hint}")


def _test(values: Mapping[str, Any], place: Place) -> RuleTest:
    events = tuple(test_event(one, index, place.lines[f"events[{index}]"]) for index, one in enumerate(values["events"], 1))
    last = max((one.at + one.arrives for one in events), default=0)
    return RuleTest(
        name=values["test"],
        rule=values["rule"],
        events=events,
        fires=tuple(_expected(one, place.lines[f"fires[{index}]"]) for index, one in enumerate(values["fires"], 1)),
        runs=values["runs"] if values["runs"] is not None else last + DAY,
        file=place.file,
        line=place.lines["test"],
    )


def _expected(one: Mapping[str, Any], line: int) -> Expected:
    severity = Severity[one["severity"].upper()] if one["severity"] else None
    return Expected(**{**one, "severity": severity}, line=line)


def test_event(one: Mapping[str, Any], index: int, line: int) -> TestEvent:
    """An event as it was read; `index` from 1 names one without an id."""
    number, unit = one["value"] or (None, None)
    plain = {key: one[key] for key in ("at", "kind", "feed", "source", "text", "attrs", "valid_for", "refers_to", "arrives", "area")}
    return TestEvent(
        id=one["id"] or f"event-{index}",
        east=None if one["nowhere"] else one["east"],
        north=None if one["nowhere"] else one["north"],
        value=number,
        unit=unit,
        severity=Severity[one["severity"].upper()] if one["severity"] else None,
        action=Action[one["action"].upper()],
        line=line,
        **plain,
    )
