"""Can a condition hold at all, and does it hold for everything? Bounds, sets and existence per field; when in doubt: yes, and no.

A condition becomes alternatives (disjunctive normal form), each a list of comparisons that must all hold. An alternative is impossible when one
field would have to be two things at once. More than a few hundred alternatives are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tocsin.model.predicate import And, Compare, Expr, Not, Or
from tocsin.model.severity import Severity

_MOST: Final = 512
_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in"}
#: Every severity there is: nothing lies between two of them, or beyond the last.
_LEVELS: Final = tuple(float(level) for level in Severity)
Constant = float | str | bool


def never(expression: Expr | None) -> bool:
    """Whether no event can pass."""
    if expression is None:
        return False
    cases = _cases(expression)
    return cases is not None and not any(_possible(case) for case in cases)


def always(expression: Expr | None) -> bool:
    """Whether every event that has the fields passes."""
    if expression is None:
        return True
    return never(_negated(expression)) and not _asks_existence(expression)


def _asks_existence(expression: Expr) -> bool:
    if isinstance(expression, And | Or):
        return any(_asks_existence(term) for term in expression.terms)
    return isinstance(expression, Not) or expression.op == "exists"


def _negated(expression: Expr) -> Expr:
    if isinstance(expression, And):
        return Or(tuple(_negated(term) for term in expression.terms))
    if isinstance(expression, Or):
        return And(tuple(_negated(term) for term in expression.terms))
    if isinstance(expression, Not):
        return expression.term
    return Not(expression) if expression.op == "exists" else Compare(expression.field, _OPPOSITE[expression.op], expression.constant)


def _cases(expression: Expr) -> list[tuple[Expr, ...]] | None:
    """The alternatives of an expression in negation normal form, None when there are too many."""
    if isinstance(expression, Or):
        found = [_cases(term) for term in expression.terms]
        joined = [case for cases in found if cases is not None for case in cases]
        return joined if None not in found and len(joined) <= _MOST else None
    if isinstance(expression, And):
        product: list[tuple[Expr, ...]] = [()]
        for term in expression.terms:
            cases = _cases(term)
            if cases is None or len(cases) * len(product) > _MOST:
                return None
            product = [(*left, *right) for left in product for right in cases]
        return product
    return [(expression,)]


@dataclass(slots=True)
class _Known:
    """What one field must be. `low`, `high` with whether the end itself is out; `one_of` None: anything."""

    low: tuple[float, bool] = (-math.inf, False)
    high: tuple[float, bool] = (math.inf, False)
    one_of: set[Constant] | None = None
    none_of: set[Constant] = field(default_factory=set)
    there: bool = False
    missing: bool = False

    def possible(self) -> bool:
        if self.missing and self.there:
            return False
        if self.low[0] > self.high[0] or (self.low[0] == self.high[0] and (self.low[1] or self.high[1])):
            return False
        if self.one_of is None:
            return not (self.low[0] == self.high[0] and self.low[0] in self.none_of)
        return any(self._fits(one) for one in self.one_of - self.none_of)

    def _fits(self, one: Constant) -> bool:
        if isinstance(one, str | bool):
            return self.low[0] == -math.inf and self.high[0] == math.inf
        above = one > self.low[0] or (one == self.low[0] and not self.low[1])
        return above and (one < self.high[0] or (one == self.high[0] and not self.high[1]))


def _possible(case: Iterable[Expr]) -> bool:
    known: dict[str, _Known] = {}
    for term in case:
        test = term.term if isinstance(term, Not) else term
        if isinstance(test, Compare):
            own = _Known(one_of=set(_LEVELS)) if test.field == "severity" else _Known()
            _learn(known.setdefault(test.field, own), test, isinstance(term, Not))
    return all(one.possible() for one in known.values())


def _learn(known: _Known, test: Compare, negated: bool) -> None:
    """`not` stands before `exists` only (negation normal form)."""
    if negated:
        known.missing = True
        return
    known.there = True
    constant = test.constant
    values: set[Constant] = set(constant) if isinstance(constant, tuple) else {constant} if constant is not None else set()
    if test.op in ("==", "in"):
        known.one_of = values if known.one_of is None else known.one_of & values
    elif test.op in ("!=", "not in"):
        known.none_of |= values
    elif test.op in (">", ">=") and isinstance(constant, float):
        known.low = max(known.low, (constant, test.op == ">"))
    elif test.op in ("<", "<=") and isinstance(constant, float):
        known.high = min(known.high, (constant, test.op == "<"), key=lambda end: (end[0], not end[1]))
