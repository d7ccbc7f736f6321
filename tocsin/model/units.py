"""Units of measure: a UCUM code in, its dimension and the way to the canonical unit out.

Two values may be compared when their dimensions are equal; they are compared in the dimension's canonical unit (coherent SI:
`length` in m, `mass concentration` in kg/m3, `temperature` in K). canonical = value x factor + offset.

Standard: UCUM 2.1, case-sensitive codes, the grammar of its section 2 (terms of `.` and `/`, integer exponents, parentheses,
{annotations}, which carry no meaning: `{magnitude}` is the number 1). Beyond it, `µ`, `²`, `³`, `·`, `°C`, `°F`, `ppm` and
`ppb` are read as what they plainly mean. The table is `model/unit_table.py`.
"""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from .unit_table import ALIASES, ATOMS, BASES, DIMENSIONS, MEANT, PREFIXES, SCALES

Vector = tuple[int, ...]

_TOKEN = re.compile(r"(?P<note>\{[^{}]*\})|(?P<op>[./()])|(?P<atom>(?:10[*^]|\[[^\[\]\s]+\]|[A-Za-z%'])+)(?P<exp>[+-]?\d+)?|(?P<int>\d+)")
_TYPOGRAPHY = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3", "·": ".", "⋅": ".", "⁻": "-", "¹": "1"})
_NUMBER: Vector = (0,) * len(BASES)
_EXPONENT_MAX = 9  # nothing physical is beyond it, and it bounds what hostile input may cost
_LENGTH_MAX = 64


class Canonical(NamedTuple):
    """How a unit reads in its dimension's canonical unit: canonical = value * factor + offset."""

    dimension: str
    factor: float
    offset: float


class UnitError(ValueError):
    """Not a unit we know; the message says why and which units come close."""


class _Term(NamedTuple):
    number: Fraction
    vector: Vector

    def times(self, other: _Term, sign: int) -> _Term:
        number = self.number * other.number if sign > 0 else self.number / other.number
        return _Term(number, tuple(a + sign * b for a, b in zip(self.vector, other.vector, strict=True)))

    def power(self, exponent: int) -> _Term:
        return _Term(self.number**exponent, tuple(a * exponent for a in self.vector))


def canonical(unit: str) -> Canonical | None:
    """`ug/m3` -> (`mass concentration`, 1e-9, 0.0); None when it is no unit (then `resolve` says why)."""
    try:
        return resolve(unit)
    except UnitError:
        return None


@lru_cache(maxsize=4096)
def resolve(unit: str) -> Canonical:
    """Like `canonical`, but raises `UnitError` with the reason and the close units."""
    code = ALIASES.get(unit, unit).translate(_TYPOGRAPHY)
    scale = SCALES.get(code)
    if scale is not None:
        return Canonical(dimension_of(_parse(scale[3]).vector), float(Fraction(scale[1])), float(_fraction(scale[2])))
    if not code.strip():
        raise UnitError("an empty unit; a plain number has the unit '1'")
    if len(code) > _LENGTH_MAX:
        raise UnitError(f"a unit of {len(code)} characters; at most {_LENGTH_MAX} are read")
    if code in MEANT:
        raise UnitError(f"{unit!r} is not a UCUM unit; write {MEANT[code]!r}")
    term = _parse(code)
    if not Fraction(1, 10**200) < term.number < 10**200:
        raise UnitError(f"{unit!r} is too large or too small a unit")
    return Canonical(dimension_of(term.vector), float(term.number), 0.0)


def to_canonical(value: float, unit: str) -> float:
    """A value in its dimension's canonical unit. Raises `UnitError`."""
    way = resolve(unit)
    return value * way.factor + way.offset


def from_canonical(value: float, unit: str) -> float:
    """A canonical value in `unit` again. Raises `UnitError`."""
    way = resolve(unit)
    return (value - way.offset) / way.factor


def canonical_unit(dimension: str) -> str:
    """The unit canonical values of a dimension are in: `speed` -> `m/s`."""
    return DIMENSIONS.get(dimension, dimension)


def dimension_of(vector: Vector) -> str:
    """The dimension's name, or its canonical unit when it has none."""
    return _names().get(vector) or _spell(vector)


def close_units(text: str, most: int = 3) -> tuple[str, ...]:
    """Codes that look like `text` or whose English name does, nearest first: `inches` -> (`[in_i]`,)."""
    names = {atom.name: code for code, atom in ATOMS.items()} | {scale[0]: code for code, scale in SCALES.items()}
    words = {**{code: code for code in (*ATOMS, *SCALES, *_COMMON)}, **names, **MEANT}
    same = [word for word in words if word.casefold() == text.casefold()]
    found = difflib.get_close_matches(text, words, n=most * 3, cutoff=0.6)
    return tuple(dict.fromkeys(words[word] for word in (*same, *found)))[:most]


#: Products people look for, so that `close_units` can name them.
_COMMON = (
    "ug/m3", "mg/m3", "mg/L", "m/s", "km/h", "mm/h", "cm/h", "[mi_i]/h", "m3/s", "L/s", "L/min", "W/m2", "uSv/h", "nSv/h",
    "uGy/h", "Bq/m3", "kW", "kW.h", "hPa", "kPa", "mbar", "mm[Hg]", "m[H2O]", "dB", "km", "cm", "mm", "kg", "mg", "ug", "kV",
    "mA", "kHz", "MHz", "uS/cm", "K/h", "1", "{count}", "har", "km2", "nT", "ms", "mol/L",
)  # fmt: skip


def _fraction(text: str) -> Fraction:
    """`1852/3600`, `2298.35/9`, `1e-9`: exact."""
    top, _, bottom = text.partition("/")
    return Fraction(top) / Fraction(bottom or "1")


@lru_cache(maxsize=1)
def _names() -> dict[Vector, str]:
    return {_parse(unit).vector: name for name, unit in DIMENSIONS.items()}


def _spell(vector: Vector) -> str:
    parts = [base + (str(exponent) if exponent != 1 else "") for base, exponent in zip(BASES, vector, strict=True) if exponent]
    return ".".join(parts)


@lru_cache(maxsize=1024)
def _atom(code: str) -> _Term | None:
    """An atom, with or without a prefix."""
    plain = ATOMS.get(code)
    if plain is not None:
        if plain.of:
            return _Term(_fraction(plain.number), _NUMBER).times(_parse(plain.of), 1)
        base = BASES.index("kg" if code == "g" else code)
        return _Term(_fraction(plain.number), tuple(int(i == base) for i in range(len(BASES))))
    for length in (1, 2):
        prefix, rest = PREFIXES.get(code[:length]), ATOMS.get(code[length:])
        if prefix is not None and rest is not None and rest.metric:
            term = _atom(code[length:])
            assert term is not None
            return _Term(Fraction(prefix), _NUMBER).times(term, 1)
    return None


def _parse(code: str) -> _Term:
    return _Parser(code).parse()


class _Parser:
    """UCUM terms, left to right: `kg.m/s2` is ((kg.m)/s2), `/h` is 1/h."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.tokens: list[tuple[str, str, str, int]] = []  # (kind, text, exponent, column)
        self.next = 0
        position = 0
        while position < len(code):
            match = _TOKEN.match(code, position)
            if match is None:
                raise self.bad(position, _why_not(code, position))
            kind = match.lastgroup if match.lastgroup != "exp" else "atom"
            self.tokens.append((str(kind), match["atom"] or match[0], match["exp"] or "", position))
            position = match.end()

    def bad(self, position: int, why: str) -> UnitError:
        return UnitError(f"{self.code!r} is not a UCUM unit: {why} (column {position + 1})")

    def peek(self) -> str:
        kind, text, _, _ = self.tokens[self.next] if self.next < len(self.tokens) else ("end", "", "", len(self.code))
        return text if kind == "op" else kind

    def parse(self) -> _Term:
        term = self.term()
        if self.next < len(self.tokens):
            _, text, _, position = self.tokens[self.next]
            raise self.bad(position, f"{text!r} needs '.' or '/' before it")
        return term

    def term(self, depth: int = 0) -> _Term:
        if depth > 4:
            raise self.bad(0, "too many parentheses")
        term = _Term(Fraction(1), _NUMBER)
        if self.peek() != "/":
            term = self.component(depth)
        while self.peek() in ("/", "."):
            sign = 1 if self.peek() == "." else -1
            self.next += 1
            term = term.times(self.component(depth), sign)
        return term

    def component(self, depth: int) -> _Term:
        if self.next >= len(self.tokens):
            raise self.bad(len(self.code), "a unit is missing at the end")
        kind, text, exponent, position = self.tokens[self.next]
        self.next += 1
        if kind == "note":
            return _Term(Fraction(1), _NUMBER)
        if text == "(":
            term = self.term(depth + 1)
            if self.peek() != ")":
                raise self.bad(position, "'(' is never closed")
            self.next += 1
        elif kind == "int":
            term = self.integer(text, position)
        elif kind == "atom":
            term = self.unit(text, exponent, position)
        else:
            raise self.bad(position, f"a unit is missing before {text!r}")
        if self.peek() == "note":
            self.next += 1
        return term

    def integer(self, text: str, position: int) -> _Term:
        if int(text) == 0:
            raise self.bad(position, "a unit cannot be zero")
        return _Term(Fraction(int(text)), _NUMBER)

    def unit(self, text: str, exponent: str, position: int) -> _Term:
        if text in SCALES:
            raise self.bad(position, f"{text!r} has a zero of its own and must stand alone; use K in products")
        term = _atom(text)
        if term is None:
            raise self.bad(position, _unknown(text))
        power = int(exponent) if exponent else 1
        if abs(power) > (24 if text in ("10*", "10^") else _EXPONENT_MAX):
            raise self.bad(position, f"the exponent {power} is too large")
        return term.power(power)


def _unknown(text: str) -> str:
    if text in MEANT:
        return f"no unit {text!r}; write {MEANT[text]!r}"
    close = close_units(text)
    return f"no unit {text!r}" + (f"; close: {', '.join(close)}" if close else "; codes are those of UCUM, as in ug/m3, mm, Cel, km/h")


def _why_not(code: str, position: int) -> str:
    found = code[position]
    if found == "^":
        return "exponents are written plainly, as in m3"
    if found == "*":
        return "a product is written with '.', as in kW.h"
    if found.isspace():
        return "a unit has no spaces"
    if found in "{[":
        return f"{found!r} is never closed"
    return f"unexpected {found!r}"
