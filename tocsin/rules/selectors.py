"""Conditions as the engine reads them: canonical units, negation normal form, the lower bound of the value apart.

Values are compared to 12 significant digits: 0.15 mg/m3 *is* 150 ug/m3, although the two conversions differ in the last bit of a
float. `>=` and `<=` therefore reach a trillionth beyond their constant, `>` and `<` stop a trillionth short of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from typing import Final

from tocsin.model.predicate import And, Compare, Expr, Not, Or, Selector
from tocsin.model.units import resolve, to_canonical

from .condition import All, AnyOf, Comparison, Condition, Constant, Level, Negation, Quantity, Where, comparisons

_SLACK: Final = 1e-12
_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in"}


def selector(condition: Condition, dimension: str | None = None) -> Selector:
    """A condition as the engine reads it. All comparisons of `value` must be of one dimension (`check` sees to it). `dimension`: what
    the operator needs the value in, when it does."""
    dimensions = value_dimensions(condition) or ((dimension,) if dimension else ())
    expression = predicate(condition.where) if condition.where is not None else None
    at_least, rest = _split(expression)
    return Selector(condition.kind, at_least, dimensions[0] if dimensions else None, rest, condition.text)


def value_dimensions(condition: Condition) -> tuple[str, ...]:
    """The dimensions `value` is compared in, without repetition."""
    quantities = (constant for test in comparisons(condition.where) if test.field == "value" for constant in test.constants)
    return tuple(dict.fromkeys(resolve(one.unit or "1").dimension for one in quantities if isinstance(one, Quantity)))


def predicate(where: Where, negated: bool = False) -> Expr:
    """A condition in negation normal form: `not` stands before `exists` only, so that a missing field passes nothing else."""
    if isinstance(where, Negation):
        return predicate(where.term, not negated)
    if isinstance(where, All | AnyOf):
        terms = tuple(predicate(term, negated) for term in where.terms)
        return _join(And if isinstance(where, All) != negated else Or, terms)
    if where.op == "exists":
        exists = Compare(where.field, "exists", None)
        return Not(exists) if negated else exists
    test = Comparison(where.field, _OPPOSITE[where.op], where.constants) if negated else where
    return _value(test) if test.field == "value" else Compare(test.field, test.op, _constant(test))


def _join(kind: type[And] | type[Or], terms: Iterable[Expr]) -> Expr:
    """Nested terms of the same kind become one, repetitions go."""
    flat = tuple(dict.fromkeys(inner for term in terms for inner in (term.terms if isinstance(term, kind) else (term,))))
    return flat[0] if len(flat) == 1 else kind(flat)


def _constant(test: Comparison) -> float | str | bool | tuple[float | str, ...]:
    values = [_plain(constant) for constant in test.constants]
    if test.op in ("in", "not in"):
        return tuple(sorted(set(values), key=lambda value: (str(type(value)), value)))
    return values[0]


def _plain(constant: Constant) -> float | str | bool:
    if isinstance(constant, Quantity):
        return constant.number
    return float(constant.severity) if isinstance(constant, Level) else constant


def _value(test: Comparison) -> Expr:
    """Comparisons of `value`, in the canonical unit, as half-lines."""
    bounds = []
    for constant in test.constants:
        assert isinstance(constant, Quantity)
        exact = to_canonical(constant.number, constant.unit or "1")
        bounds.append((exact - abs(exact) * _SLACK, exact + abs(exact) * _SLACK))
    low, high = bounds[0]
    if test.op in (">=", "<"):
        return Compare("value", test.op, low)
    if test.op in ("<=", ">"):
        return Compare("value", test.op, high)
    if test.op in ("==", "in"):
        return _join(Or, [And((Compare("value", ">=", low), Compare("value", "<=", high))) for low, high in bounds])
    return _join(And, [Or((Compare("value", "<", low), Compare("value", ">", high))) for low, high in bounds])


def _split(expression: Expr | None) -> tuple[float | None, Expr | None]:
    """The largest plain lower bound of `value`, and what else must hold."""
    if expression is None:
        return None, None
    terms = expression.terms if isinstance(expression, And) else (expression,)
    lows = [_low(term) for term in terms]
    bounds = [low for low in lows if low is not None]
    if not bounds:
        return None, expression
    rest = tuple(term for term, low in zip(terms, lows, strict=True) if low is None)
    return reduce(max, bounds), _join(And, rest) if rest else None


def _low(term: Expr) -> float | None:
    if not isinstance(term, Compare) or term.field != "value" or not isinstance(term.constant, float):
        return None
    if term.op == ">=":
        return term.constant
    return math.nextafter(term.constant, math.inf) if term.op == ">" else None
