"""Checked rules to the plan the engine runs: canonical units, conditions in normal form, and a version that is a hash of the meaning.

Values are compared to 12 significant digits: 0.15 mg/m3 *is* 150 ug/m3, although the two conversions differ in the last bit of a
float. `>=` and `<=` therefore reach a trillionth beyond their constant, `>` and `<` stop a trillionth short of it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import Field, fields, is_dataclass
from functools import reduce
from typing import Any, Final

from tocsin.model import plan
from tocsin.model.predicate import And, Compare, Expr, Not, Or, Selector
from tocsin.model.units import resolve, to_canonical

from .condition import All, AnyOf, Comparison, Condition, Constant, Level, Negation, Quantity, Where, comparisons
from .explain import words
from .nodes import Absence, Cluster, Match, Operator, Rule, Sequence, Silence

_SLACK: Final = 1e-12
_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in"}


def compile_rule(rule: Rule) -> plan.RulePlan:
    """One rule as the engine runs it. The rule must have passed `check`."""
    when = compile_operator(rule.when)
    alert = rule.alert
    per = plan.Per(alert.per.hold, alert.per.place, alert.per.source) if alert.per else None
    said = plan.AlertSpec(alert.headline, alert.severity, alert.urgency, alert.certainty, alert.instruction, per)
    unless = tuple(plan.Active(selector(one.of), one.within, one.valid_for) for one in rule.unless)
    return plan.RulePlan(
        name=rule.name,
        version=version(rule.name, when, unless, (), said),
        title=rule.title,
        why=rule.why,
        when=when,
        alert=said,
        unless=unless,
        words=words(rule),
        text=rule.text,
        file=rule.file,
        line=rule.line,
    )


def compile_operator(when: Operator) -> plan.Operator:
    """One operator with its conditions as selectors."""
    if isinstance(when, Match):
        return plan.Match(selector(when.of), when.samples, selector(when.until) if when.until else None)
    if isinstance(when, Cluster):
        return plan.Cluster(selector(when.of), when.within, when.during, when.sources, when.events, when.min_gap)
    if isinstance(when, Sequence):
        steps = tuple(plan.Step(selector(step.of), step.within, step.during, step.min_gap) for step in when.then)
        return plan.Sequence(selector(when.first), steps)
    if isinstance(when, Absence):
        return plan.Absence(selector(when.after), selector(when.expect), when.within, when.during)
    assert isinstance(when, Silence)
    return plan.Silence(selector(when.of), when.during, when.by, when.declared)


def version(name: str, when: plan.Operator, unless: tuple[plan.Guard, ...], only: tuple[plan.Guard, ...], alert: plan.AlertSpec) -> str:
    """12 hex digits over everything that decides which alerts are raised and what they say; not over comments, layout, key order,
    the spelling of a length or span, the title, the reason or the file. Parts of later editions of the language that a rule does not
    use do not count, so that it keeps its version when the language grows."""
    meaning = {
        "rule": name,
        "operator": type(when).__name__,
        "when": _meaning(when),
        "unless": _meaning(unless),
        "alert": _meaning(alert),
    }
    if only:
        meaning["only"] = _meaning(only)
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _meaning(value: Any) -> Any:
    """A node of the plan as plain tables: selectors without their wording (`text` says how a condition was written, not what it means)."""
    if isinstance(value, tuple):
        return [_meaning(inner) for inner in value]
    if not is_dataclass(value):
        return value
    return {one.name: _meaning(getattr(value, one.name)) for one in fields(value) if _counts(value, one)}


def _counts(node: Any, one: Field[Any]) -> bool:
    if "since" in one.metadata and getattr(node, one.name) == one.default:
        return False
    return "unhashed" not in one.metadata and not (isinstance(node, Selector) and one.name == "text")


def selector(condition: Condition) -> Selector:
    """A condition as the engine reads it. All comparisons of `value` must be of one dimension (`check` sees to it)."""
    dimensions = value_dimensions(condition)
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
