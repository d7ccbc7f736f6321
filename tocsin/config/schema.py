"""JSON Schema (2020-12) of every kind of file in a city directory, for editors; made from the tables that reading uses."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from tocsin.kernel.shape import Kind, Schema
from tocsin.rules.keys import RULE

from .city_keys import CITY, LAYERS, RULE_TEST, SCENARIO
from .feed_keys import FEED

#: Kind of file -> (table of a document, which files).
FILES: Final[dict[str, tuple[Kind, str]]] = {
    "city": (CITY, "city.yaml"),
    "feed": (FEED, "feeds/*.yaml"),
    "rule": (RULE, "rules/*.yaml"),
    "layers": (LAYERS, "layers.yaml"),
    "test": (RULE_TEST, "tests/*.yaml"),
    "exercise": (SCENARIO, "exercises/*.yaml"),
}

#: Parts longer than this that occur more than once are written once, under `$defs`.
_WORTH: Final = 300


def schema(name: str) -> Schema:
    """The schema of one document of a kind of file: `city`, `feed`, `rule`, `layers`, `test` or `exercise`. Raises KeyError."""
    kind, files = FILES[name]
    whole = kind.schema()
    counts: Counter[str] = Counter()
    _count(whole, counts)
    shared = {text: f"shared-{number}" for number, text in enumerate((text for text, times in counts.items() if times > 1), 1)}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Tocsin {name}",
        "description": f"One document of {files} in a city directory",
    }
    body = _refer(whole, shared)
    defs = {label: _refer(json.loads(text), shared, inside=text) for text, label in shared.items()}
    return {**head, **body, **({"$defs": defs} if defs else {})}


def _text(schema_: Any) -> str:
    """A part worth sharing as text, without what is said where it is used; empty for small parts."""
    if not isinstance(schema_, dict) or not schema_.keys() & {"type", "anyOf", "oneOf", "enum"}:
        return ""
    text = json.dumps({key: value for key, value in schema_.items() if key != "description"}, sort_keys=True)
    return text if len(text) > _WORTH else ""


def _count(part: Any, counts: Counter[str]) -> None:
    """How often each large part occurs; the inside of a repeated part is looked at once."""
    text = _text(part)
    if text:
        counts[text] += 1
        if counts[text] > 1:
            return
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _count(inner, counts)


def _refer(part: Any, shared: dict[str, str], inside: str = "") -> Any:
    """The same schema with shared parts as references."""
    text = _text(part)
    if text in shared and text != inside:
        about = {"description": part["description"]} if "description" in part else {}
        return {**about, "$ref": f"#/$defs/{shared[text]}"}
    if isinstance(part, dict):
        return {key: _refer(value, shared) for key, value in part.items()}
    return [_refer(value, shared) for value in part] if isinstance(part, list) else part
