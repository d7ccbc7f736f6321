"""Rules files: YAML in, `nodes.Rule` out, every problem with its line; one rule a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tocsin.kernel.document import Document, read_file, read_text
from tocsin.kernel.fault import Problem
from tocsin.kernel.shape import BAD, Place
from tocsin.model.links import Key, Zones

from .build import operator
from .build_alert import alert, guard
from .condition import Condition, Quantity
from .keys import RULE
from .nodes import Rule, written_in


def read_rules(path: Path, name: str) -> tuple[list[Rule], list[Problem]]:
    """The rules of a file, in order, and everything wrong in it; rules with problems are left out. `name`: what messages call the file."""
    return _rules(*read_file(path, name), name)


def parse_rules(text: str, name: str = "rule") -> tuple[list[Rule], list[Problem]]:
    """Like `read_rules`, for text."""
    return _rules(*read_text(text, name), name)


def _rules(documents: Iterable[Document], problems: list[Problem], name: str) -> tuple[list[Rule], list[Problem]]:
    rules: list[Rule] = []
    found: list[Problem] = []
    for document in documents:
        place = Place(name)
        values = RULE.read(document.root, place)
        found += sorted(place.problems, key=lambda one: one.line)
        if values is not BAD:
            rules.append(_rule(values, document, place))
    return rules, found + problems


def _rule(values: Mapping[str, Any], document: Document, place: Place) -> Rule:
    written = written_in((Condition, Quantity, Zones, Key), values, place.lines)
    return Rule(
        name=values["rule"],
        title=values["title"],
        why=values["why"],
        operator=values["when"].name,
        when=operator(values["when"]),
        alert=alert(values["alert"]),
        unless=tuple(guard(chosen) for chosen in values["unless"]),
        only=tuple(guard(chosen) for chosen in values["while"]),
        source=values["source"],
        file=place.file,
        line=place.lines["rule"],
        text=document.text,
        conditions={path: found for path, found in written if isinstance(found, Condition)},
        amounts={path: found for path, found in written if isinstance(found, Quantity)},
        zones=_zones(written),
        lines=place.lines,
    )


def _zones(written: Iterable[tuple[str, Any]]) -> dict[str, Zones]:
    """Layers that are named, by the path of their key; also those of an operator's `each`."""
    found = {path: zones for path, zones in written if isinstance(zones, Zones)}
    keys = {f"{path}.zone": key.zones for path, key in written if isinstance(key, Key) and key.zones is not None}
    return found | keys
