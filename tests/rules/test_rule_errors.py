"""Every mistake in a rule says file, line, what was found and what would be valid: the exact text, for a table of mistakes."""

from __future__ import annotations

import bad_rules
import pytest

from tocsin.rules.check import check_rules
from tocsin.rules.parse import parse_rules


def messages(text: str) -> list[str]:
    rules, problems = parse_rules(text, "r.yaml")
    return [str(problem) for problem in problems + check_rules(rules).problems]


def test_the_rule_that_the_table_edits_is_good() -> None:
    assert messages(bad_rules.BASE) == []


@pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in bad_rules.CASES], ids=[case[0] for case in bad_rules.CASES])
def test_a_mistake_is_explained(old: str, new: str, expected: list[str]) -> None:
    assert bad_rules.BASE.count(old) == 1
    assert messages(bad_rules.BASE.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "column 1: a kind of event is expected: small letters and dots, as in fire.smoke"),
        ("where value > 3 mm", "column 1: a kind of event is expected: small letters and dots, as in fire.smoke"),
        ("a when value", "column 3: 'when' stands where 'where' is expected, as in a where value >= 10 mm"),
        ("a where", "column 8: nothing stands where a field is expected: value, severity, source, feed, text, id or attrs.<name>"),
        ("a where valu > 3", "column 9: unknown field 'valu'; did you mean 'value'? known: attrs.<name>, feed, id, severity, source, text, value"),
        ("a where kind == \"b\"", "column 9: the kind stands before 'where' and covers everything below it: call covers call.fire"),
        ("a where exists attrs.x", "column 9: 'exists' stands after the field, as in attrs.depth exists"),
        ("a where value", "column 14: nothing stands where a comparison is expected: ==, !=, <=, >=, <, >, in, not in or exists"),
        ("a where value = 3 mm", "column 15: '=' is no comparison; write '=='"),
        ("a where value >", "column 16: value is compared with nothing; write a number with its unit, as in 150 ug/m3"),
        ("a where value >= \"x\"", "column 18: value is compared with '\"x\"'; write a number with its unit, as in 150 ug/m3"),
        ("a where value > 1e999 mm", "column 17: 1e999 is too large a number"),
        ("a where value > 3 ug/m^3", "column 17: 'ug/m^3' is not a UCUM unit: exponents are written plainly, as in m3 (column 5)"),
        ("a where severity >= sever", "column 21: severity is compared with 'sever'; did you mean 'severe'? known: extreme, minor, moderate, severe, unknown"),
        ("a where severity >= 3", "column 21: severity is compared with '3'; known: extreme, minor, moderate, severe, unknown"),
        ("a where source < \"x\"", "column 16: 'source' is text and has no order; compare it with ==, !=, in or not in"),
        ("a where attrs.x < true", "column 17: true or false has no order; compare it with ==, !=, in or not in"),
        ("a where attrs.x == A", "column 20: 'A' stands where a constant is expected; text stands in quotes, as in \"A\""),
        ("a where attrs.x == 3 mm", "column 20: only 'value' has a unit; write attrs.x as the plain number the feed gives"),
        ("a where attrs.x in (1, \"a\")", "column 24: text in a list that begins with a number; write one kind of constant"),
        ("a where value in 3", "column 18: '3' stands where '(' is expected, as in value in (...)"),
        ("a where value in (1 mm, 2 mm", "column 29: nothing stands where ',' or ')' is expected"),
        ("a where value not 3", "column 19: 'in' is expected after 'value not', as in value not in (...)"),
        ("a where value > 3 mm < 5 mm", "column 22: unexpected '<'; a comparison has one operator, join two with 'and'"),
        ("a where value > 3 mm value < 5 mm", "column 22: unexpected 'value'; join comparisons with 'and' or 'or'"),
        ("a where (value > 3 mm", "column 9: '(' is never closed"),
        ("a where value > 3 mm)", "column 21: unexpected ')'; join comparisons with 'and' or 'or'"),
        ("a where value > 3 mm & text == \"b\"", "column 22: unexpected '&'; write 'and'"),
        ("a where text == \"abc", "column 17: the quote \" is never closed"),
        ("a where " + "(" * 30 + "value exists", "column 30: nested deeper than 20 levels"),
        ("a where text in (" + ", ".join(["\"b\""] * 4000) + ")", "column 1: 20016 characters; at most 20000 are read"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_condition_has_a_column(text: str, expected: str) -> None:
    rule = bad_rules.BASE.replace('"fire.smoke where value >= 150 ug/m3"', "'" + text.replace("'", "''") + "'")
    (found,) = messages(rule)
    assert found == f"r.yaml:5: when.cluster.of: {expected}"
