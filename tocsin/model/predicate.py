"""Predicates as data: what the rule language parses to and the engine evaluates. Never `eval`.

A selector names a kind by dotted prefix and a condition. The part of the condition that is a plain `value >= number` is
kept apart as `at_least`, because the engine indexes rules by it; everything else stays a tree and is evaluated once per
batch for all rules that share it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op constant`. `field`: `value`, `severity`, `source`, `feed`, `text`, `id` or `attrs.<name>`.

    `op`: `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `exists`. For `value` with a unit, `constant` is already in the
    canonical unit of the dimension. A null field passes nothing but a negated `exists`.
    """

    field: str
    op: str
    constant: float | str | bool | tuple[float | str, ...] | None


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Expr


Expr = Compare | And | Or | Not


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events a role of a rule looks at.

    `kind`: dotted prefix (`call` covers `call.fire`). `at_least`: lowest passing value in the canonical unit of
    `dimension`, None when the value does not matter. `dimension`: dimension key of `model.units` (e.g. `length`), None when
    no value is compared; events whose unit is missing or of another dimension do not pass (SEMANTICS 8). `where`: the
    rest of the condition. `text`: the condition as written, for explanations.
    """

    kind: str
    at_least: float | None = None
    dimension: str | None = None
    where: Expr | None = None
    text: str = ""


def covers(prefix: str, kind: str) -> bool:
    """SEMANTICS 8: kinds match by dotted prefix."""
    return kind == prefix or kind.startswith(prefix + ".")
