"""Exercises of a city, `exercises/*.yaml`: YAML in, `model.exercise` out, one scenario a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tocsin.kernel.document import Document, read_file, read_text
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.kernel.shape import BAD, Place
from tocsin.model.exercise import Detection, Scenario, Span
from tocsin.model.time import MINUTE

from .city_keys import SCENARIO
from .ruletests import check_events, test_event

FOLDER = "exercises"


def load_exercises(root: Path, rules: Iterable[str] | None = None) -> dict[str, Scenario]:
    """Every scenario of a city directory by name. `rules`: names that exist, when they are known. Raises Misconfigured."""
    names = None if rules is None else sorted(rules)
    found: dict[str, Scenario] = {}
    problems: list[Problem] = []
    for path in sorted((root / FOLDER).glob("*.yaml")):
        scenarios, wrong = read_exercises(path, f"{FOLDER}/{path.name}", names)
        problems += wrong
        for one in scenarios:
            if one.name in found:
                problems.append(Problem(one.file, one.line, f"exercise: {one.name!r} is already defined in {found[one.name].file}"))
            found[one.name] = one
    if problems:
        raise Misconfigured(problems)
    return found


def read_exercises(path: Path, name: str, rules: Iterable[str] | None = None) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of a file and everything wrong in it."""
    return _scenarios(*read_file(path, name), name, rules)


def parse_exercises(text: str, name: str = "exercise", rules: Iterable[str] | None = None) -> tuple[list[Scenario], list[Problem]]:
    """Like `read_exercises`, for text."""
    return _scenarios(*read_text(text, name), name, rules)


def _scenarios(
    documents: Iterable[Document], problems: list[Problem], name: str, rules: Iterable[str] | None
) -> tuple[list[Scenario], list[Problem]]:
    scenarios: list[Scenario] = []
    found: list[Problem] = []
    for document in documents:
        place = Place(name)
        values = SCENARIO.read(document.root, place)
        if values is not BAD:
            _check(values, place, rules)
            if not place.problems:
                scenarios.append(_scenario(values, place))
        found += sorted(place.problems, key=lambda one: one.line)
    return scenarios, found + problems


def _check(values: Mapping[str, Any], place: Place, rules: Iterable[str] | None) -> None:
    if not values["events"] and not values["recorded"]:
        place.add(place.lines["exercise"], "nothing happens; write events, or recorded: [{from: ..., to: ...}]")
    check_events(values["events"], place)
    for index, one in enumerate(values["expect"], 1):
        if rules is not None and one["rule"] not in rules:
            words = f"expect[{index}].rule: there is no rule {one['rule']!r}; {nearest(one['rule'], rules)}"
            place.add(place.lines[f"expect[{index}]"], words)
    for index, one in enumerate(values["recorded"], 1):
        if one["to"] <= one["from"]:
            place.add(place.lines[f"recorded[{index}]"], f"recorded[{index}].to: is not after its from")


def _scenario(values: Mapping[str, Any], place: Place) -> Scenario:
    events = tuple(test_event(one, index, place.lines[f"events[{index}]"]) for index, one in enumerate(values["events"], 1))
    recorded = tuple(Span(one["from"], one["to"], one["at"], tuple(one["feeds"])) for one in values["recorded"])
    last = max([*(one.at + one.arrives for one in events), *(one.at + one.stop - one.start for one in recorded)])
    expect = tuple(
        Detection(
            one["name"] or one["rule"], **{key: one[key] for key in ("rule", "within", "after", "acknowledged", "east", "north", "radius")}
        )
        for one in values["expect"]
    )
    slack = max((one.after + one.within + (one.acknowledged or 0) for one in expect), default=0)
    return Scenario(
        name=values["exercise"],
        title=values["title"],
        purpose=values["purpose"],
        events=events,
        expect=expect,
        runs=values["runs"] if values["runs"] is not None else max(last, slack) + MINUTE,
        recorded=recorded,
        file=place.file,
        line=place.lines["exercise"],
    )
