"""Kinds of single values in configuration files: text, names, spans, lengths, sizes, numbers, instants, zones, units."""

from __future__ import annotations

import math
import re
import zoneinfo
from dataclasses import dataclass
from typing import Any

from tocsin.model.length import format_length, parse_length
from tocsin.model.time import DAY, Endless, format_span, from_iso, parse_span
from tocsin.model.units import UnitError, resolve

from .document import Node
from .fault import nearest
from .shape import Kind, Schema

_SIZES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_SIZE = re.compile(r"([1-9]\d{0,9}) ([A-Za-z]+)")


def _text(node: Node, expected: str) -> str:
    if not isinstance(node.value, str) or node.empty:
        raise ValueError(f"{node.what()} stands where {expected} is expected")
    return node.value


@dataclass(frozen=True)
class Text(Kind):
    """Text as written, whatever it looks like (`2017`, `on`). `high`: characters."""

    high: int = 10_000

    def words(self) -> str:
        return "text"

    def parse(self, node: Node) -> str:
        text = _text(node, "text").strip()
        if not text:
            raise ValueError("empty text")
        if len(text) > self.high:
            raise ValueError(f"{len(text)} characters; at most {self.high} are read")
        return text

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]} if self.high == 10_000 else {"type": "string", "maxLength": self.high}


class Letter(Kind):
    """One character, also a blank one."""

    def words(self) -> str:
        return "one character"

    def parse(self, node: Node) -> str:
        text = _text(node, "one character")
        if len(text) != 1:
            raise ValueError(f"{text!r} is not one character")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "maxLength": 1}


@dataclass(frozen=True)
class Name(Kind):
    """A name that goes into addresses and file names. `dots`: dotted, as in `air.pm25`."""

    dots: bool = False
    high: int = 64

    def words(self) -> str:
        return "a name: lower-case letters, digits, `-`, `_`"

    def parse(self, node: Node) -> str:
        text = _text(node, "a name")
        part = r"[a-z0-9][a-z0-9_-]*"
        if len(text) > self.high or not re.fullmatch(rf"{part}(\.{part})*" if self.dots else part, text):
            dots = ", parted by dots" if self.dots else ""
            raise ValueError(
                f"{text!r} is not a name; names are lower-case letters, digits, '-' and '_'{dots}, at most {self.high} characters"
            )
        return text

    def schema(self) -> Schema:
        part = "[a-z0-9][a-z0-9_-]*"
        return {"type": "string", "pattern": rf"^{part}(\.{part})*$" if self.dots else f"^{part}$", "maxLength": self.high}


@dataclass(frozen=True)
class OneOf(Kind):
    """One of a few words."""

    names: tuple[str, ...]
    noun: str

    def words(self) -> str:
        return "one of " + ", ".join(f"`{name}`" for name in self.names)

    def parse(self, node: Node) -> str:
        text = _text(node, self.noun)
        if text not in self.names:
            raise ValueError(f"unknown {self.noun} {text!r}; {nearest(text, self.names)}")
        return text

    def schema(self) -> Schema:
        return {"enum": list(self.names)}


@dataclass(frozen=True)
class Span(Kind):
    """`10 min` -> microseconds, within [low, high]."""

    low: int = 0
    high: int = 36_500 * DAY

    def words(self) -> str:
        return "a span of time, as in `10 min`, `1 h 30 min`, `2 years`"

    def parse(self, node: Node) -> int:
        text = _text(node, "a span of time, as in '10 min',")
        try:
            span = parse_span(text)
        except Endless:
            span = self.high + 1
        if span < self.low:
            raise ValueError(f"{text!r} is too short; at least {format_span(self.low)}")
        if span > self.high:
            raise ValueError(f"{text!r} is too long; at most {format_span(self.high)}")
        return span

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\s*-?\s*(\d+(\.\d+)?\s*[a-z]+\s*)+$"}


@dataclass(frozen=True)
class Length(Kind):
    """`300 m` -> metres, more than 0 and at most `high`."""

    high: float = 20_100_000.0

    def words(self) -> str:
        return "a length, as in `300 m`, `1.2 km`, `500 ft`"

    def parse(self, node: Node) -> float:
        text = _text(node, "a length, as in '300 m',")
        metres = parse_length(text)
        if metres <= 0:
            raise ValueError(f"{text!r} is no distance: only events at exactly the same point would be that near; write for example '25 m'")
        if metres > self.high:
            raise ValueError(f"{text!r} is too far; at most {format_length(self.high)}")
        return metres

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*\S+\s*$"}


@dataclass(frozen=True)
class Number(Kind):
    """A number within [low, high]; `whole`: without a fraction."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def words(self) -> str:
        what = "a whole number" if self.whole else "a number"
        ends = math.isfinite(self.low), math.isfinite(self.high)
        return what + (f", {self.low:g} to {self.high:g}" if all(ends) else f", at least {self.low:g}" if ends[0] else "")

    def parse(self, node: Node) -> Any:
        value = node.scalar()
        what = "a whole number" if self.whole else "a number"
        good = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, good) or not math.isfinite(value):
            raise ValueError(f"{node.what()} is not {what}")
        if not self.low <= value <= self.high:
            raise ValueError(f"{value} is out of range; {self.words().partition(', ')[2]}")
        return value if self.whole else float(value)

    def schema(self) -> Schema:
        ends = {"minimum": self.low, "maximum": self.high}
        return {"type": "integer" if self.whole else "number"} | {name: end for name, end in ends.items() if math.isfinite(end)}


class Flag(Kind):
    """true or false."""

    def words(self) -> str:
        return "`true` or `false`"

    def parse(self, node: Node) -> bool:
        value = node.scalar()
        if not isinstance(value, bool):
            raise ValueError(f"{node.what()} is neither true nor false")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


class Size(Kind):
    """`10 MB` -> bytes."""

    def words(self) -> str:
        return "a size, as in `10 MB`, `64 kB`"

    def parse(self, node: Node) -> int:
        text = _text(node, "a size, as in '10 MB',")
        match = _SIZE.fullmatch(text.strip())
        if match is None or match[2] not in _SIZES:
            raise ValueError(f"{text!r} is not a size; write a number and one of {', '.join(_SIZES)}, as in '10 MB'")
        return int(match[1]) * _SIZES[match[2]]

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\s*[1-9]\d* [kMG]?B\s*$"}


class Instant(Kind):
    """ISO 8601 with an offset -> microseconds since 1970."""

    def words(self) -> str:
        return "a time with its offset, as in `2017-07-04T15:00:00-07:00`"

    def parse(self, node: Node) -> int:
        text = _text(node, "a time, as in 2017-07-04T21:05:00Z,")
        try:
            return from_iso(text)
        except (ValueError, OverflowError) as fault:
            reason = str(fault) if "offset" in str(fault) else f"{text!r} is not an ISO 8601 time; write for example 2017-07-04T21:05:00Z"
            raise ValueError(reason) from None

    def schema(self) -> Schema:
        return {"type": "string", "format": "date-time"}


class Zone(Kind):
    """An IANA time zone."""

    def words(self) -> str:
        return "an IANA time zone, as in `America/Los_Angeles`"

    def parse(self, node: Node) -> str:
        text = _text(node, "a time zone, as in America/Los_Angeles,")
        known = zoneinfo.available_timezones()
        if text not in known:
            city = text.rpartition("/")[2].replace(" ", "_").casefold()
            same = sorted(name for name in known if name.rpartition("/")[2].casefold() == city and "/" in name)
            close = "" if len(text) < 6 else nearest(text, known).partition("known:")[0]
            hint = f"did you mean {same[0]!r}? " if same else close
            raise ValueError(f"unknown time zone {text!r}; {hint}zones are those of the IANA data base, as in America/Los_Angeles or UTC")
        return text

    def schema(self) -> Schema:
        return {"type": "string"}


class Unit(Kind):
    """A UCUM unit, kept as written."""

    def words(self) -> str:
        return "a UCUM unit, as in `ug/m3`, `Cel`, `cm/h`, `1`"

    def parse(self, node: Node) -> str:
        text = _text(node, "a unit, as in ug/m3,")
        try:
            resolve(text)
        except UnitError as fault:
            raise ValueError(str(fault)) from None
        return text

    def schema(self) -> Schema:
        return {"type": ["string", "integer"]}
