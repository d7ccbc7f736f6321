"""JSON Schema (2020-12) of every kind of file in a city directory, for editors; made from the tables that reading uses."""

from __future__ import annotations

from typing import Final

from tocsin.kernel.shape import Kind, Schema
from tocsin.rules.keys import RULE

from .city_keys import CITY, LAYERS, RULE_TEST
from .feed_keys import FEED

#: Kind of file -> (table of a document, which files).
FILES: Final[dict[str, tuple[Kind, str]]] = {
    "city": (CITY, "city.yaml"),
    "feed": (FEED, "feeds/*.yaml"),
    "rule": (RULE, "rules/*.yaml"),
    "layers": (LAYERS, "layers.yaml"),
    "test": (RULE_TEST, "tests/*.yaml"),
}


def schema(name: str) -> Schema:
    """The schema of one document of a kind of file: `city`, `feed`, `rule`, `layers` or `test`. Raises KeyError."""
    kind, files = FILES[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Tocsin {name}",
        "description": f"One document of {files} in a city directory",
        **kind.schema(),
    }
