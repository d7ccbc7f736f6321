"""Instants and spans as integers: microseconds since 1970-01-01T00:00:00Z, and microseconds.

Integers because the hot path compares millions of them and because equality must be exact (SEMANTICS 3: edges are
inclusive). Everything that faces a person is ISO 8601 with a `Z`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Outside these an event time is a broken clock, not a fact (1970 and 2100 are what broken clocks say).
EARLIEST = 315_532_800 * SECOND  # 1980-01-01
LATEST = 4_070_908_800 * SECOND  # 2099-01-01

_UNITS = {
    "us": 1, "ms": 1000, "s": SECOND, "sec": SECOND, "second": SECOND, "seconds": SECOND, "min": MINUTE,
    "minute": MINUTE, "minutes": MINUTE, "h": HOUR, "hour": HOUR, "hours": HOUR, "d": DAY, "day": DAY,
    "days": DAY, "week": 7 * DAY, "weeks": 7 * DAY, "year": 365 * DAY, "years": 365 * DAY,
}  # fmt: skip
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


#: Spans from here on (some 4,500 years) lead to instants that no calendar or database has.
_ENDLESS = 1 << 57


class Endless(ValueError):
    """A span longer than any that can be reckoned with."""


def parse_span(text: str) -> int:
    """`10 min`, `1 h 30 min`, `-28 days 12 h` (a leading minus turns the whole) -> microseconds. Raises ValueError naming the units that exist; Endless."""
    if text.lstrip().startswith("-"):
        return -parse_span(text.lstrip()[1:])
    total, position = 0.0, 0
    while position < len(text):
        match = _SPAN.match(text, position)
        if match is None or match[2] not in _UNITS:
            raise ValueError(f"{text!r} is not a span of time; write a number and one of ms, s, min, h, days, weeks, years, as in '10 min'")
        total += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    if total >= _ENDLESS:
        raise Endless(f"{text!r} is too long; write a span of less than 4,500 years, as in '10 min'")
    if not text.strip():
        raise ValueError("an empty span of time; write for example '10 min'")
    return round(total)


def format_span(us: int) -> str:
    """Microseconds -> the shortest exact words a person would use: `10 min`, `1 h 30 min`, `2.5 s`."""
    if us < 0:
        return "-" + format_span(-us)
    if us < MINUTE:
        return f"{us / SECOND:g} s"
    parts = []
    for name, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        whole, us = divmod(us, size)
        if whole:
            parts.append(f"{whole} {name}")
    if us:
        parts.append(f"{us / SECOND:g} s")
    return " ".join(parts)


def to_iso(us: int) -> str:
    """Microseconds -> `2017-07-04T21:05:00.250000Z` (microseconds only when there are any)."""
    return (EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """ISO 8601 with an offset or `Z` -> microseconds. Raises ValueError when the offset is missing: a naive time is not an instant."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; write it with one, as in 2017-07-04T21:05:00Z")
    return from_datetime(moment)


def from_datetime(moment: datetime) -> int:
    """An aware datetime -> microseconds, exactly (no float on the way)."""
    span = moment - EPOCH
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds
