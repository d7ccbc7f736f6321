"""Conditions that can never hold, or hold for everything: never claimed wrongly."""

from __future__ import annotations

import itertools

import pytest
from conditions import holds  # the slow, obvious evaluator
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.rules.condition import All, AnyOf, Comparison, Condition, Negation, Quantity, Where
from tocsin.rules.expression import parse_condition
from tocsin.rules.satisfy import always, never
from tocsin.rules.selectors import predicate

numbers = st.integers(0, 3).map(lambda number: Quantity(float(number)))
tests = st.one_of(
    st.builds(lambda op, n: Comparison("attrs.n", op, (n,)), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers),
    st.builds(
        lambda op, some: Comparison("attrs.n", op, tuple(some)),
        st.sampled_from(["in", "not in"]),
        st.lists(numbers, min_size=1, max_size=3),
    ),
    st.builds(lambda op, s: Comparison("attrs.s", op, (s,)), st.sampled_from(["==", "!="]), st.sampled_from("AB")),
    st.sampled_from([Comparison("attrs.n", "exists"), Comparison("attrs.s", "exists")]),
)
wheres: st.SearchStrategy[Where] = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: All(tuple(terms))),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: AnyOf(tuple(terms))),
        inner.map(Negation),
    ),
    max_leaves=6,
)
#: Every event that matters: between, at and beyond all constants, and missing.
EVENTS = [
    {"kind": "a", "unit": None, "value": None, "attrs.n": n, "attrs.s": s}
    for n, s in itertools.product((None, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0), (None, "A", "B", "C"))
]


@settings(deadline=None, max_examples=400)
@given(wheres)
def test_never_means_never(where: Where) -> None:
    passing = [event for event in EVENTS if holds(Condition("a", where), event)]
    assert never(predicate(where)) == (not passing)


@settings(deadline=None, max_examples=400)
@given(wheres)
def test_always_means_always(where: Where) -> None:
    if always(predicate(where)):
        whole = [event for event in EVENTS if event["attrs.n"] is not None and event["attrs.s"] is not None]
        assert all(holds(Condition("a", where), event) for event in whole)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a where value >= 5 m and value < 5 m", True),
        ("a where value >= 5 m and value <= 5 m", False),
        ("a where value > 5 m and value < 500 cm", True),
        ("a where severity > severe and severity < extreme", True),
        ("a where severity >= severe and severity < extreme", False),
        ("a where severity > extreme", True),
        ("a where severity < unknown", True),
        ("a where severity not in (unknown, minor, moderate, severe, extreme)", True),
        ("a where not severity exists", False),
        ("a where severity == minor and severity >= severe", True),
        ("a where source in (\"A\", \"B\") and source not in (\"B\", \"A\")", True),
        ("a where not (value > 5 m or value <= 5 m)", True),
        ("a where attrs.x == 1 and attrs.x == \"1\"", True),
        ("a where attrs.x == true and attrs.x > 3", True),
        ("a where " + " and ".join(f"(value > {i} m or text == \"{i}\")" for i in range(12)), False),
    ],
)  # fmt: skip
def test_examples(text: str, expected: bool) -> None:
    where = parse_condition(text).where
    assert where is not None
    assert never(predicate(where)) is expected
