"""The alert's one line: a template with a closed set of holes, filled from its evidence. Never raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: The holes a template may have; the rules package refuses any other when it loads.
HOLES: Final = ("count", "sources", "place", "kind", "value", "unit", "source", "text", "eta")

_HOLE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_SPACES = re.compile(r"\s+")
_BEFORE = re.compile(r"\s+([,.;:!?)])")
_DANGLING = re.compile(r"[\s,;:(-]+$")


def fill(template: str, values: Mapping[str, object]) -> str:
    """`Smoke at {source} {place}` -> `Smoke at S-31 near Pike Place`. A hole without a value leaves no gap and no stray comma; `{{` is a brace."""
    text = _HOLE.sub(lambda hole: hole[0][0] if hole[1] is None else _words(values[hole[1]]) if hole[1] in values else hole[0], template)
    text = _BEFORE.sub(r"\1", _SPACES.sub(" ", text))
    return _DANGLING.sub("", text).strip(" ,;:")


def number(value: float) -> str:
    """A measured number as a person writes it: six digits, no exponent for everyday sizes."""
    text = f"{value:.6g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e15 else text


def unit_words(unit: str | None) -> str:
    """A UCUM code as people read it: `{magnitude}` is written `magnitude`, the number 1 not at all."""
    if unit is None or unit == "1":
        return ""
    return unit[1:-1] if unit.startswith("{") and unit.endswith("}") else unit


def _words(value: object) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else str(value)
