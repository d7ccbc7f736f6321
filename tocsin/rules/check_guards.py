"""`while` and `unless`: complete, and not contradicting one another."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tocsin.model.plan import Active, Guard, Within

from .check_areas import check_area
from .findings import Looked


def check_guards(one: Looked) -> None:
    """All guards of a rule."""
    for key, guards in (("while", one.rule.only), ("unless", one.rule.unless)):
        for path, guard in _paths(one, key, guards):
            if isinstance(guard, Within):
                check_area(one, f"{path}.inside", guard.area)
            elif isinstance(guard, Active) and math.isinf(guard.within) and not guard.same:
                one.bad(f"{path}.active", "'within' is missing: how near to the anchor; without it, same must say what links them")
    for guard in one.rule.only:
        if guard in one.rule.unless:
            one.bad("unless", "can never fire: the same thing stands under while; take it out of one of the two")


def _paths(one: Looked, key: str, guards: tuple[Guard, ...]) -> Iterator[tuple[str, Guard]]:
    for index, guard in enumerate(guards, 1):
        numbered = f"{key}[{index}]"
        yield numbered if numbered in one.rule.lines else key, guard
