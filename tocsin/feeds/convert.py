"""One found value to one canonical value: text, number, time, severity, action, kind, area. Everything refused is `Unfit`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from tocsin.model.severity import Action, Severity
from tocsin.model.time import LATEST

from . import geometry, times
from .unfit import Unfit

Convert = Callable[[Any], Any]

_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*", re.ASCII)
_INT64: Final = 1 << 63
_WORDS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_SEVERITIES: Final = {name.lower(): int(level) for name, level in Severity.__members__.items()}
_ACTIONS: Final = {
    "report": int(Action.REPORT),
    "alert": int(Action.REPORT),  # CAP's word for a first report
    "update": int(Action.UPDATE),
    "cancel": int(Action.CANCEL),
}


def text(value: Any) -> str:
    """Text as it is; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if isinstance(value, int) and value.bit_length() > 1024:  # Python refuses to write thousands of digits
            raise Unfit(value, "a text")
        return repr(value)
    if isinstance(value, bytes):
        raise Unfit(value, "text")
    if isinstance(value, dict | list):
        raise Unfit(value, "text; point the path at one of its elements")
    return str(value)  # dates and decimals of typed formats (Arrow)


def number(value: Any) -> float:
    """A finite number, also when it is written as text."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise Unfit(value, "a number (digits, and a point before decimals)")
        found = float(value)
    elif isinstance(value, bool) or not hasattr(value, "__float__"):
        raise Unfit(value, "a number")
    else:
        try:
            found = float(value)
        except (OverflowError, ValueError):
            found = math.nan
    if not math.isfinite(found):
        raise Unfit(value, "a finite number")
    return found


def integer(value: Any) -> int:
    """A whole number that fits 64 bits."""
    if isinstance(value, int) and not isinstance(value, bool):
        whole = value
    elif isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,19}\s*", value, re.ASCII):
        whole = int(value)
    else:
        found = number(value)
        if not found.is_integer():
            raise Unfit(value, "a whole number")
        whole = int(found)
    if not -_INT64 <= whole < _INT64:
        raise Unfit(value, "a whole number that fits 64 bits")
    return whole


def boolean(value: Any) -> bool:
    """true/false, 1/0 or the words true, yes, on, false, no, off."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    raise Unfit(value, f"true or false (valid words: {', '.join(_WORDS)})")


def severity(value: Any) -> int:
    """A CAP severity word or its number, 0 (unknown) to 4 (extreme)."""
    if isinstance(value, str) and value.strip().lower() in _SEVERITIES:
        return _SEVERITIES[value.strip().lower()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= max(_SEVERITIES.values()):
        return value
    raise Unfit(value, f"a severity ({', '.join(_SEVERITIES)}, or 0 to 4); translate other words with a `table`")


def action(value: Any) -> int:
    """report, update or cancel, or its number (0, 1, 2)."""
    if isinstance(value, str) and value.strip().lower() in _ACTIONS:
        return _ACTIONS[value.strip().lower()]
    if isinstance(value, int) and not isinstance(value, bool) and value in _ACTIONS.values():
        return value
    raise Unfit(value, "an action (report, update, cancel); translate other words with a `table`")


def kind(value: Any) -> str:
    """A dotted kind in small letters: `call.fire`."""
    found = text(value)
    if _KIND.fullmatch(found):
        return found
    raise Unfit(found, "a kind (small letters and dots, as in call.fire); translate it with a `table`")


def area(value: Any) -> bytes | None:
    """A GeoJSON geometry, well-known text or well-known binary -> WKB of its polygons."""
    if isinstance(value, bytes):
        return geometry.from_wkb(value).area
    if isinstance(value, str):
        return geometry.from_wkt(value).area
    return geometry.from_geojson(value).area


def time(formats: tuple[str, ...], zone: str | None) -> Convert:
    """A converter for times written like this; the instant must be one that a working clock could say."""

    def convert(value: Any) -> int:
        return times.in_range(times.instant(value, formats or times.ISO, zone))

    return convert


def until(formats: tuple[str, ...], zone: str | None) -> Convert:
    """Like `time`, but an end beyond 2099 ("9999-12-31": until further notice) is kept as the last instant there is."""

    def convert(value: Any) -> int:
        return times.in_range(min(times.instant(value, formats or times.ISO, zone), LATEST))

    return convert


#: Types that need no further declaration.
PLAIN: Final[dict[str, Convert]] = {
    "string": text, "number": number, "integer": integer, "boolean": boolean,
    "severity": severity, "action": action, "kind": kind, "area": area,
}  # fmt: skip
