"""A condition as written: `fire.smoke where value >= 150 ug/m3 and attrs.type in ("A", "B")` as a small tree that prints itself.

The tree keeps the numbers and units of the author; `compile.py` turns it into `model.predicate`, in canonical units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tocsin.model.severity import Severity

#: Fields a condition may ask about, besides `attrs.<name>`, and what their constants are.
FIELDS: Final[dict[str, str]] = {
    "value": "a number with its unit, as in 150 ug/m3",
    "severity": "one of unknown, minor, moderate, severe, extreme",
    "source": 'text in quotes, as in "station-7"',
    "feed": 'text in quotes, as in "air.pm25"',
    "text": 'text in quotes, as in "Smoke seen"',
    "id": 'text in quotes, as in "F170000001"',
}
ORDER: Final = ("<=", ">=", "<", ">")
EQUALITY: Final = ("==", "!=")
SEVERITIES: Final = {severity.name.lower(): severity for severity in Severity}
KEYWORDS: Final = ("and", "or", "not", "in", "exists", "where", "true", "false")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit as written; no unit is the unit `1`."""

    number: float
    unit: str = ""

    def __str__(self) -> str:
        number = str(int(self.number)) if self.number == int(self.number) and abs(self.number) < 1e15 else repr(self.number)
        return f"{number} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Level:
    """A severity by its name; Severity itself is an int and would equal a number."""

    severity: Severity

    def __str__(self) -> str:
        return self.severity.name.lower()


Constant = Quantity | Level | str | bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field op constant`, `field in (constants)`, `field not in (constants)` or `field exists` (no constants)."""

    field: str
    op: str
    constants: tuple[Constant, ...] = ()

    def __str__(self) -> str:
        if self.op == "exists":
            return f"{self.field} exists"
        if self.op in ("in", "not in"):
            return f"{self.field} {self.op} ({', '.join(map(write, self.constants))})"
        return f"{self.field} {self.op} {write(self.constants[0])}"


@dataclass(frozen=True, slots=True)
class All:
    """Every term holds (`and`)."""

    terms: tuple[Where, ...]

    def __str__(self) -> str:
        return " and ".join(f"({term})" if isinstance(term, AnyOf) else str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one term holds (`or`)."""

    terms: tuple[Where, ...]

    def __str__(self) -> str:
        return " or ".join(str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Negation:
    """The term is known not to hold: a comparison with a missing field neither holds nor fails."""

    term: Where

    def __str__(self) -> str:
        return f"not ({self.term})" if isinstance(self.term, All | AnyOf) else f"not {self.term}"


Where = Comparison | All | AnyOf | Negation


@dataclass(frozen=True, slots=True)
class Condition:
    """Which events: a kind by dotted prefix and what must hold. `text`: as written, on one line."""

    kind: str
    where: Where | None = None
    text: str = ""

    def __str__(self) -> str:
        return self.kind if self.where is None else f"{self.kind} where {self.where}"


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def write(constant: Constant) -> str:
    """A constant as the language writes it."""
    if isinstance(constant, bool):
        return "true" if constant else "false"
    if isinstance(constant, str):
        return '"' + "".join(_ESCAPES.get(letter, letter) for letter in constant) + '"'
    return str(constant)


def comparisons(where: Where | None) -> tuple[Comparison, ...]:
    """Every comparison of a condition, in order."""
    if where is None:
        return ()
    if isinstance(where, Comparison):
        return (where,)
    if isinstance(where, Negation):
        return comparisons(where.term)
    return tuple(test for term in where.terms for test in comparisons(term))
