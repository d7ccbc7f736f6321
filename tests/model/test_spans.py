"""Spans of time as people write them, and those with which nobody can reckon."""

from __future__ import annotations

import pytest

from tocsin.model.time import DAY, HOUR, MINUTE, Endless, parse_span


@pytest.mark.parametrize(
    ("text", "span"), [("10 min", 10 * MINUTE), ("1 h 30 min", HOUR + 30 * MINUTE), ("-2 days", -2 * DAY), ("4000 years", 4000 * 365 * DAY)]
)
def test_spans(text: str, span: int) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["1000000 years", f"{'9' * 400} s", f"1 h {'9' * 30} days", "-5000 years"])
def test_a_span_without_an_end_is_told(text: str) -> None:
    """The database of the catalogue and every calendar end before it."""
    with pytest.raises(Endless, match="too long"):
        parse_span(text)
