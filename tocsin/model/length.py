"""Lengths as people write them: `300 m`, `1.2 km`, `500 ft`, in metres."""

from __future__ import annotations

import math
import re
from typing import Final

from .units import canonical

#: Words people use beside the UCUM codes of length.
_WORDS: Final = {"ft": 0.3048, "feet": 0.3048, "yd": 0.9144, "mi": 1609.344, "mile": 1609.344, "miles": 1609.344, "nmi": 1852.0}
_LENGTH = re.compile(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*(\S*)\s*")


def parse_length(text: str) -> float:
    """`1.2 km` -> 1200.0 metres. Raises ValueError saying what would be valid."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length; write a number and a unit, as in '300 m'")
    number, unit = float(match[1]), match[2]
    if not unit:
        raise ValueError(f"{text!r} has no unit of length; write for example '{match[1]} m'")
    way = canonical(unit)
    if unit in _WORDS:
        return number * _WORDS[unit]
    if way is None or way.dimension != "length":
        raise ValueError(f"{unit!r} is not a unit of length; write m, km, ft, yd, mi or nmi, as in '300 m'")
    # Through 15 significant digits, so that 0.3 km and 300 m are one number.
    return float(f"{number * way.factor:.15g}")


def format_length(metres: float) -> str:
    """Metres -> the shortest words that say exactly this: `300 m`, `1.2 km`."""
    if math.isfinite(metres) and metres >= 1000 and float(f"{metres / 1000:.6g}") * 1000 == metres:
        return f"{metres / 1000:.6g} km"
    return f"{metres:.6g} m" if float(f"{metres:.6g}") == metres else f"{metres!r} m"
