"""Kinds by dotted prefix: plain examples, because the oracle asks the same function as the engine does."""

from __future__ import annotations

import pytest

from tocsin.model.predicate import covers


@pytest.mark.parametrize(
    ("prefix", "kind", "expected"),
    [
        ("call", "call", True),
        ("call", "call.fire", True),
        ("call", "call.fire.outdoor", True),
        ("call.fire", "call.fire.outdoor", True),
        ("call", "caller", False),
        ("call.fire", "call", False),
        ("call.fire", "call.firework", False),
        ("fire", "call.fire", False),
    ],
)
def test_kinds_match_by_dotted_prefix(prefix: str, kind: str, expected: bool) -> None:
    assert covers(prefix, kind) is expected
