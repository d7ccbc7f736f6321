"""The condition language: what is printed is read back, what is compiled means the same, and no text crashes it."""

from __future__ import annotations

import pytest
from conditions import conditions, events, holds, passes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tocsin.model.predicate import And, Compare, Not, Or
from tocsin.rules.condition import All, AnyOf, Comparison, Condition, Level, Negation, Quantity
from tocsin.rules.expression import ExpressionError, parse_condition
from tocsin.rules.selectors import selector

#: A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_a_condition_becomes_a_tree() -> None:
    found = parse_condition("fire.smoke where value >= 150 ug/m3 and attrs.type in (\"A\",'B') and not severity < severe or source exists")
    value = Comparison("value", ">=", (Quantity(150.0, "ug/m3"),))
    listed = Comparison("attrs.type", "in", ("A", "B"))
    severe = Negation(Comparison("severity", "<", (Level(3),)))  # type: ignore[arg-type]
    assert found.kind == "fire.smoke"
    assert found.where == AnyOf((All((value, listed, severe)), Comparison("source", "exists")))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("  call  ", "call"),
        ("a where value>=150ug/m3", "a where value >= 150 ug/m3"),
        ("a where (value > 1 mm or value < 2 mm) and text exists", "a where (value > 1 mm or value < 2 mm) and text exists"),
        ("a where value > -1.5e3 [degF]", "a where value > -1500 [degF]"),
        ("a where value == 3 {above datum}", "a where value == 3 {above datum}"),
        ("a where not (text exists and id exists)", "a where not (text exists and id exists)"),
        ("a where source == 'it\\'s \\\\'", 'a where source == "it\'s \\\\"'),
        ("a\nwhere\tvalue\n>= 1", "a where value >= 1"),
    ],
)
def test_layout_does_not_matter(text: str, printed: str) -> None:
    assert str(parse_condition(text)) == printed


@calm
@given(conditions)
def test_what_is_printed_is_read_back(condition: Condition) -> None:
    again = parse_condition(str(condition))
    assert (again.kind, again.where) == (condition.kind, condition.where)


@calm
@given(conditions, st.lists(events, min_size=1, max_size=5))
@example(
    Condition("call", Comparison("value", "==", (Quantity(0.3, "m"),))),
    [
        {
            "kind": "call",
            "value": 300.0,
            "unit": "mm",
            "severity": None,
            "source": None,
            "text": None,
            "attrs.n": None,
            "attrs.b": None,
            "attrs.s": None,
        }
    ],
)
def test_a_compiled_condition_means_the_same(condition: Condition, some: list[dict[str, object]]) -> None:
    compiled = selector(condition)
    for event in some:
        assert passes(compiled, event) == holds(condition, event)


@calm
@given(st.one_of(st.text(max_size=60), st.text(alphabet='callwhere vu.attsx<>=!()",&| 0123456789mm/{}notinadex', max_size=60)))
def test_no_text_crashes_it(text: str) -> None:
    for one in (text, f"a where {text}", f"a where value {text}"):
        try:
            parse_condition(one)
        except ExpressionError as caught:
            fault = caught
        else:
            continue
        assert 1 <= fault.column <= len(one) + 1


def test_the_lower_bound_is_kept_apart_and_nots_are_pushed_down() -> None:
    one = selector(
        parse_condition('a where value >= 5 mm and value > 4 mm and not (severity >= severe or attrs.x == "B") and not text exists')
    )
    assert one.at_least == pytest.approx(0.005, rel=1e-9)
    assert one.dimension == "length"
    assert one.where == And((Compare("severity", "<", 3.0), Compare("attrs.x", "!=", "B"), Not(Compare("text", "exists", None))))
    assert one.text.startswith("a where value >= 5 mm")
    either = selector(parse_condition("a where value >= 5 mm or value < 1 mm"))
    assert either.at_least is None
    assert isinstance(either.where, Or)


def test_a_boundary_is_the_same_boundary_in_every_unit() -> None:
    """0.15 mg/m3 is 150 ug/m3, although the floats of the two conversions differ."""
    for written, unit, number in (
        ("150 ug/m3", "mg/m3", 0.15),
        ("0.15 mg/m3", "ug/m3", 150.0),
        ("35 %", "1", 0.35),
        ("86 [degF]", "Cel", 30.0),
    ):
        from tocsin.model.units import to_canonical

        value = to_canonical(number, unit)
        low, high = selector(parse_condition(f"a where value >= {written}")), selector(parse_condition(f"a where value > {written}"))
        assert low.at_least is not None
        assert high.at_least is not None
        assert low.at_least <= value < high.at_least


def test_lists_are_sorted_and_repetitions_go() -> None:
    one = selector(parse_condition('a where attrs.x in ("C", "A", "C") and text exists and text exists'))
    assert one.where == And((Compare("attrs.x", "in", ("A", "C")), Compare("text", "exists", None)))
