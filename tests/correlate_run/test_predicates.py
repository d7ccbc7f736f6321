"""Conditions against a row-by-row oracle, and the cases where a null or a wrong type decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runkit import batch, smoke

from tocsin.correlate.predicates import View, evaluate
from tocsin.model.predicate import And, Compare, Expr, Not, Or

ATTRS = {"type": "string", "depth": "number", "alarm": "boolean", "units": "integer", "since": "time"}


def truth(expr: Expr, row: dict[str, Any]) -> bool | None:
    """Kleene's three-valued logic for one event, written as plainly as can be; None is unknown."""
    if isinstance(expr, Not):
        inner = truth(expr.term, row)
        return None if inner is None else not inner
    if isinstance(expr, And | Or):
        found = [truth(term, row) for term in expr.terms]
        decisive = isinstance(expr, Or)
        if decisive in found:
            return decisive
        return None if None in found else not decisive
    value = row.get("attrs", {}).get(expr.field[6:]) if expr.field.startswith("attrs.") else row.get(expr.field)
    known = value is not None and value == value  # NaN is no value
    if expr.op == "exists":
        return known
    if not known:
        return None
    return {
        "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
    }[expr.op](value, expr.constant)  # fmt: skip


texts, numbers = st.sampled_from(["a", "b", "cc", ""]), st.sampled_from([-1.0, 0.0, 2.0, 3.5])
compares = st.one_of(
    st.builds(Compare, st.sampled_from(["source", "text", "attrs.type"]), st.sampled_from(["==", "!=", "<", ">="]), texts),
    st.builds(Compare, st.sampled_from(["source", "attrs.type"]), st.sampled_from(["in", "not in"]), st.tuples(texts, texts)),
    st.builds(
        Compare,
        st.sampled_from(["value", "severity", "attrs.depth", "attrs.units"]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        numbers,
    ),
    st.builds(Compare, st.sampled_from(["severity", "attrs.depth"]), st.sampled_from(["in", "not in"]), st.tuples(numbers, numbers)),
    st.builds(Compare, st.just("attrs.alarm"), st.sampled_from(["==", "!="]), st.booleans()),
    st.builds(Compare, st.sampled_from(["source", "value", "attrs.depth", "attrs.none", "severity"]), st.just("exists"), st.none()),
)
trees = st.recursive(
    compares,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
maybe = st.one_of
rows = st.fixed_dictionaries(
    {
        "id": st.just("x"),
        "source": maybe(st.none(), texts),
        "text": maybe(st.none(), texts),
        "value": maybe(st.none(), numbers),
        "severity": maybe(st.none(), st.integers(0, 4)),
        "attrs": st.fixed_dictionaries(
            {
                "type": maybe(st.none(), texts),
                "depth": maybe(st.none(), numbers, st.just(float("nan"))),
                "alarm": maybe(st.none(), st.booleans()),
                "units": maybe(st.none(), st.integers(-1, 4)),
            }
        ),
    }
)


@settings(max_examples=150, deadline=None)
@given(trees, st.lists(rows, min_size=1, max_size=8))
def test_a_tree_decides_every_row_as_the_oracle_does(expr: Expr, events: list[dict[str, Any]]) -> None:
    found = evaluate(expr, batch(events, ATTRS))
    assert found.tolist() == [truth(expr, row) is True for row in events]


@pytest.mark.parametrize(
    ("expr", "passes"),
    [
        (Compare("source", "==", "S-1"), [True, False, False]),
        (Not(Compare("source", "==", "S-1")), [False, True, False]),
        (Compare("source", "not in", ("S-1",)), [False, True, False]),
        (Not(Compare("source", "exists", None)), [False, False, True]),
        (Compare("source", "==", 4.0), [False, False, False]),
        (Not(Compare("attrs.nowhere", "==", "x")), [False, False, False]),
        (Not(Compare("attrs.nowhere", "exists", None)), [True, True, True]),
        (Compare("severity", "in", ("severe",)), [False, False, False]),
        (Compare("attrs.since", ">=", "2017-07-14T02:40:00Z"), [True, False, False]),
        (Compare("attrs.since", ">=", "yesterday"), [False, False, False]),
        (Compare("attrs.alarm", "==", 1.0), [False, False, False]),
    ],
)
def test_nulls_and_wrong_types_pass_nothing(expr: Expr, passes: list[bool]) -> None:
    since = {"attrs": {"since": 1_500_000_000_000_000}}
    events = [smoke("S-1", 0, severity=3, **since), smoke("S-2", 0), smoke("", 0) | {"source": None}]
    assert evaluate(expr, batch(events, ATTRS)).tolist() == passes


def test_values_are_compared_in_the_canonical_unit() -> None:
    view = View(batch([smoke("a", 0), smoke("b", 0), smoke("c", 0)]), np.array([160e-9, 140e-9, -np.inf]))
    assert evaluate(Compare("value", ">=", 150e-9), view).tolist() == [True, False, False]
    assert evaluate(Not(Compare("value", ">=", 150e-9)), view).tolist() == [False, True, False]
    assert evaluate(Compare("value", "exists", None), view).tolist() == [True, True, False]


def test_an_empty_batch_and_a_batch_whose_texts_are_all_null() -> None:
    assert evaluate(Compare("source", "==", "a"), batch([])).tolist() == []
    assert evaluate(Compare("source", "!=", "a"), batch([smoke("", 0) | {"source": None}])).tolist() == [False]
