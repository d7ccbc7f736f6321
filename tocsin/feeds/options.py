"""Options of a transport, declared once: what `check` verifies, what the transport reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.feed import FeedSpec
from tocsin.model.time import from_iso, parse_span


@dataclass(frozen=True, slots=True)
class Option:
    """`kind`: a key of `KINDS`. Without `required`, `default` is used as it is when the option is absent."""

    kind: str
    words: str
    default: Any = None
    required: bool = False


def read_options(spec: FeedSpec, declared: Mapping[str, Option]) -> dict[str, Any]:
    """The transport's options, checked and converted. Raises `Misconfigured` with every problem found."""
    problems, values = [], {name: option.default for name, option in declared.items()}
    given = spec.transport.options
    for name, value in given.items():
        if name not in declared:
            problems.append(f"the {spec.transport.name} transport has no option {name!r}; {nearest(name, declared)}")
            continue
        try:
            values[name] = KINDS[declared[name].kind](value)
        except (ValueError, TypeError) as error:
            problems.append(f"{name}: {error}")
    for name, option in declared.items():
        if option.required and name not in given:
            problems.append(f"the {spec.transport.name} transport needs {name}: {option.words}")
    if problems:
        raise Misconfigured(Problem(spec.file, spec.line, f"feed {spec.name}: {text}") for text in problems)
    return values


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"found {value!r}; write a text")
    return value


def _span(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"found {value!r}; write a span of time, as in '10 s'")
    return parse_span(value)


def _size(value: Any) -> int:
    """`16 MB` or a number of bytes."""
    number, _, unit = str(value).strip().partition(" ")
    factor = {"": 1, "B": 1, "kB": 1 << 10, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}.get(unit.strip())
    if factor is None or not number.isdigit() or int(number) == 0:
        raise ValueError(f"found {value!r}; write a size, as in '16 MB'")
    return int(number) * factor


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"found {value!r}; write a whole number from 1")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"found {value!r}; write true or false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    """One text or a list of texts."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not found:
        raise ValueError(f"found {value!r}; write a text or a list of texts")
    return tuple(_text(text) for text in found)


def _map(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"found {value!r}; write name: value pairs")
    return {_text(name): str(text) for name, text in value.items()}


def _instant(value: Any) -> int:
    return from_iso(_text(value))


KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "text": _text,
    "texts": _texts,
    "span": _span,
    "size": _size,
    "count": _count,
    "flag": _flag,
    "map": _map,
    "instant": _instant,
}
