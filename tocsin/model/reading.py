"""What a rule looks at: every selector of it, and how far back in time one of its events can still matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from .plan import Absence, Accumulate, Alerts, Change, Cluster, Inside, Match, Operator, Rate, RulePlan, Sequence, Silence, Timer, ZoneEvent
from .predicate import Selector


def selectors(rule: RulePlan) -> tuple[Selector, ...]:
    """Every selector a rule looks through, in the order of its parts: operator, `unless`, `while`, alert."""
    return tuple(found for part in (rule.when, *rule.unless, *rule.only, rule.alert) for found in selectors_in(part))


def selectors_in(node: Any) -> Iterator[Selector]:
    """Every selector in a node of the plan, in the order of its fields."""
    if isinstance(node, Selector):
        yield node
    elif isinstance(node, tuple):
        for item in node:
            yield from selectors_in(item)
    elif is_dataclass(node):
        for one in fields(node):
            yield from selectors_in(getattr(node, one.name))


def window(when: Operator) -> int:
    """The longest span, in microseconds, between two events of one match of the operator."""
    if isinstance(when, Match):
        return when.lasting + when.max_gap if when.lasting else 0
    if isinstance(when, Sequence):
        return when.during if when.any_order else sum(step.max_gap for step in when.then)
    if isinstance(when, Rate):
        return when.during * when.windows
    if isinstance(when, Accumulate):
        return when.during + when.hold
    if isinstance(when, Inside):
        return max(when.keep, longest(when.area))
    if isinstance(when, ZoneEvent):
        return when.lasting + when.max_gap
    assert isinstance(when, Cluster | Absence | Silence | Change | Timer | Alerts)
    return when.during


def reach(rule: RulePlan) -> int:
    """How far back, in microseconds, a fact can still matter to the rule: the window of its operator, or the validity of what its guards ask for."""
    return max([window(rule.when), *(longest(guard) for guard in (*rule.unless, *rule.only))])


def longest(node: Any) -> int:
    """The longest validity or window a guard or an area asks for."""
    spans = [getattr(node, name, 0) for name in ("valid_for", "during", "wind_for")]
    area = getattr(node, "area", None)
    return max([*spans, longest(area)]) if area is not None else max(spans)
