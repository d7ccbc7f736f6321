"""The options of a format, read with the same kinds and words as those of a transport (`feeds/options.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.feeds.options import KINDS, Option
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.feed import FeedSpec

Options = Mapping[str, Option]


def read(spec: FeedSpec, declared: Options) -> dict[str, Any]:
    """The feed's options, converted, with defaults. Raises Misconfigured with every problem found."""
    values, found = _read(spec, declared)
    if found:
        raise Misconfigured(Problem(spec.file, spec.line, f"feed {spec.name}: {text}") for text in found)
    return values


def problems(spec: FeedSpec, declared: Options) -> list[str]:
    """Unknown options and values of the wrong kind, in words."""
    return _read(spec, declared)[1]


def _read(spec: FeedSpec, declared: Options) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {name: option.default for name, option in declared.items()}
    found = []
    for name, value in spec.format.options.items():
        if name not in declared:
            known = nearest(name, declared) if declared else "it has none"
            found.append(f"the {spec.format.name} format has no option {name!r}; {known}")
            continue
        try:
            values[name] = KINDS[declared[name].kind](value)
        except (ValueError, TypeError) as error:
            found.append(f"format option {name}: {error}")
    return values, found
