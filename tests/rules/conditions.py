"""Random conditions and events, and what a condition means: the slow, obvious evaluator that compiled selectors are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tocsin.model.predicate import And, Compare, Expr, Not, Selector, covers
from tocsin.model.severity import Severity
from tocsin.model.units import canonical, to_canonical
from tocsin.rules.condition import All, AnyOf, Comparison, Condition, Constant, Level, Negation, Quantity, Where

Event = Mapping[str, Any]
LENGTHS = ("mm", "m", "km", "[ft_i]")

numbers = st.one_of(st.integers(-1000, 1000).map(float), st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: float(f"{x:.6g}")))
texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=6)
quantities = st.builds(Quantity, numbers, st.sampled_from(LENGTHS))
levels = st.builds(Level, st.sampled_from(Severity))


def comparisons(field: str, constants: st.SearchStrategy[Any], order: bool) -> st.SearchStrategy[Comparison]:
    ops = ("==", "!=", *(("<", "<=", ">", ">=") if order else ()))
    one = st.builds(lambda op, constant: Comparison(field, op, (constant,)), st.sampled_from(ops), constants)
    many = st.builds(
        lambda op, some: Comparison(field, op, tuple(some)), st.sampled_from(("in", "not in")), st.lists(constants, min_size=1, max_size=3)
    )
    return st.one_of(one, many, st.just(Comparison(field, "exists")))


tests = st.one_of(
    comparisons("value", quantities, True),
    comparisons("severity", levels, True),
    comparisons("source", texts, False),
    comparisons("text", texts, False),
    comparisons("attrs.n", numbers.map(Quantity), True),
    comparisons("attrs.b", st.booleans(), False),
    comparisons("attrs.s", st.sampled_from(["A", "B", 'say "hi"\\n', ""]), False),
)


def grow(inner: st.SearchStrategy[Where]) -> st.SearchStrategy[Where]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(several.map(lambda some: _flat(All, some)), several.map(lambda some: _flat(AnyOf, some)), inner.map(Negation))


def _flat(kind: type[All] | type[AnyOf], terms: list[Where]) -> Where:
    return kind(tuple(inner for term in terms for inner in (term.terms if isinstance(term, kind) else (term,))))


wheres = st.recursive(tests, grow, max_leaves=6)
kinds = st.sampled_from(["call", "call.fire", "water.level", "x-1.y_2"])
conditions = st.builds(Condition, kinds, st.none() | wheres)
events = st.fixed_dictionaries(
    {
        "kind": kinds,
        "value": st.none() | numbers,
        "unit": st.sampled_from([*LENGTHS, "Cel", None]),
        "severity": st.none() | st.sampled_from(Severity).map(int),
        "source": st.none() | texts,
        "text": st.none() | texts,
        "attrs.n": st.none() | numbers,
        "attrs.b": st.none() | st.booleans(),
        "attrs.s": st.none() | st.sampled_from(["A", "B", ""]),
    }
)


def holds(condition: Condition, event: Event) -> bool:
    """What the language reference says: unknown when a field is missing, and only what is known to hold passes."""
    if not covers(condition.kind, event["kind"]):
        return False
    if condition.where is None:
        return True
    way = canonical(event["unit"] or "?")
    if _compares_value(condition.where) and (event["value"] is None or way is None or way.dimension != "length"):
        return False
    return _known(condition.where, event) is True


def _compares_value(where: Where) -> bool:
    if isinstance(where, Comparison):
        return where.field == "value" and where.op != "exists"
    return any(map(_compares_value, (where.term,) if isinstance(where, Negation) else where.terms))


def _known(where: Where, event: Event) -> bool | None:
    if isinstance(where, Negation):
        inner = _known(where.term, event)
        return None if inner is None else not inner
    if isinstance(where, All | AnyOf):
        found = [_known(term, event) for term in where.terms]
        decisive = isinstance(where, AnyOf)
        return decisive if decisive in found else None if None in found else not decisive
    if where.op == "exists":
        return event[where.field] is not None
    if event[where.field] is None:
        return None
    return _compare(where, event)


def _compare(test: Comparison, event: Event) -> bool:
    found = event[test.field]
    if test.field == "value":
        found = to_canonical(found, event["unit"])
    constants = [_plain(constant) for constant in test.constants]
    equal = any(_equal(found, constant) if test.field == "value" else found == constant for constant in constants)
    first = constants[0]
    match test.op:
        case "==" | "in":
            return equal
        case "!=" | "not in":
            return not equal
        case "<":
            return bool(found < first) and not equal
        case "<=":
            return bool(found < first) or equal
        case ">":
            return bool(found > first) and not equal
        case _:
            return bool(found > first) or equal


def _plain(constant: Constant) -> Any:
    if isinstance(constant, Level):
        return int(constant.severity)
    if isinstance(constant, Quantity):
        return to_canonical(constant.number, constant.unit) if constant.unit else constant.number
    return constant


def _equal(one: float, other: float) -> bool:
    return abs(one - other) <= abs(other) * 1e-12


def passes(selector: Selector, event: Event) -> bool:
    """The same event against the compiled selector, the way the engine reads it."""
    if not covers(selector.kind, event["kind"]):
        return False
    way = canonical(event["unit"] or "?")
    value = None if event["value"] is None or way is None else event["value"] * way.factor + way.offset
    if selector.dimension is not None and (value is None or way is None or way.dimension != selector.dimension):
        return False
    if selector.at_least is not None and (value is None or value < selector.at_least):
        return False
    row = {**event, "value": value if selector.dimension is not None else event["value"]}
    return selector.where is None or _true(selector.where, row)


def _true(where: Expr, row: Event) -> bool:
    if isinstance(where, Not):
        assert isinstance(where.term, Compare)
        assert where.term.op == "exists", "only `exists` is negated after compiling"
        return not _true(where.term, row)
    if isinstance(where, Compare):
        found, constant = row[where.field], where.constant
        if where.op == "exists":
            return found is not None
        if found is None:
            return False
        ops = {
            "==": lambda: found == constant, "!=": lambda: found != constant, "<": lambda: found < constant, "<=": lambda: found <= constant,
            ">": lambda: found > constant, ">=": lambda: found >= constant, "in": lambda: found in constant, "not in": lambda: found not in constant,
        }  # fmt: skip
        return bool(ops[where.op]())
    return all(_true(term, row) for term in where.terms) if isinstance(where, And) else any(_true(term, row) for term in where.terms)
