"""Attributes as the archive keeps them, JSON, as the type that their feed declares today, also where it once declared another one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pyarrow as pa

from tocsin.model.event import ATTR_TYPES
from tocsin.model.time import from_iso

#: A column of several types at once cannot be: attributes that feeds declare differently are read as text.
TEXT: Final = "string"
_KEPT: Final = 65_536  # texts whose objects are remembered
_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INT64: Final = 1 << 63


def parsed(texts: pa.Array, attrs: Mapping[str, Mapping[str, str]]) -> pa.StructArray:
    """Attributes from their JSON. Each is of the type its feed declares; where feeds differ, it is text."""
    names = list(dict.fromkeys(name for own in attrs.values() for name in own))
    kinds = {name: {own[name] for own in attrs.values() if name in own} for name in names}
    types = {name: next(iter(found)) if len(found) == 1 else TEXT for name, found in kinds.items()}
    known: dict[str | None, dict[str, Any]] = {None: {}}
    rows = []
    for text in texts.to_pylist():
        row = known.get(text)
        if row is None:
            row = known[text] = orjson.loads(text)
            if len(known) > _KEPT:
                known = {None: {}}
        rows.append(row)
    columns = [pa.array([typed(row.get(name), types[name]) for row in rows], ATTR_TYPES[types[name]]) for name in names]
    return pa.StructArray.from_arrays(columns, names)


def typed(value: Any, kind: str) -> Any:
    """A value as a type has it, as a feed would read it; None where it cannot be of that type (then no condition holds for it)."""
    if value is None:
        return None
    if kind == TEXT:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    if kind == "boolean":
        return (
            value
            if isinstance(value, bool)
            else {"true": True, "false": False}.get(value.strip().lower())
            if isinstance(value, str)
            else None
        )
    if kind == "time":
        return _instant(value)
    number = _number(value)
    if number is None or kind == "number":
        return None if number is None else float(number)
    return int(number) if float(number).is_integer() and -_INT64 <= number < _INT64 else None


def _number(value: Any) -> float | int | None:
    """Numbers written as text too, as feeds read them."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value) if value.strip().lstrip("+-").isdigit() and len(value) < 20 else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _instant(value: Any) -> int | None:
    """µs; numbers are what no calendar has."""
    if isinstance(value, str):
        try:
            return from_iso(value)
        except ValueError:
            return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
