"""What a rule looks at: every selector of it, and how far back in time one of its events can still matter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

from .guards import AlertsNear
from .plan import Absence, Accumulate, Alerts, Change, Cluster, Inside, Match, Operator, Rate, RulePlan, Sequence, Silence, Timer, ZoneEvent
from .predicate import Selector

#: Kinds of other rules' alerts, as conditions name them: `alert.<rule>`.
ALERT: Final = "alert"


def alert_of(kind: str) -> str | None:
    """The rule whose alerts a kind names, None for a kind of events."""
    head, _, name = kind.partition(".")
    return name if head == ALERT else None


def alerts_read(rule: RulePlan) -> tuple[str, ...]:
    """Names of the rules whose alerts a rule looks at to decide whether it matches, or what its matches join, sorted."""
    parts = (rule.when, *rule.unless, *rule.only, *([rule.alert.resolve] if rule.alert.resolve is not None else []))
    named = {name for part in parts if isinstance(part, Alerts | AlertsNear) for name in part.rules}
    kinds = (alert_of(selector.kind) for part in parts for selector in selectors_in(part))
    return tuple(sorted(named | {name for name in kinds if name is not None}))


def behind(rules: Mapping[str, RulePlan], name: str, seen: frozenset[str] = frozenset()) -> tuple[Selector, ...]:
    """What the anchors of a rule's alerts may be: selectors of events, those of the rules it builds on included."""
    if name in seen or name not in rules:
        return ()
    when, known = rules[name].when, seen | {name}
    found: list[Selector] = []
    for other in when.rules if isinstance(when, Alerts) else ():
        found += behind(rules, other, known)
    for selector in selectors_in(when):
        read = alert_of(selector.kind)
        found += [selector] if read is None else behind(rules, read, known)
    return tuple(dict.fromkeys(found))


def building_on(reads: Mapping[str, Collection[str]], names: Iterable[str]) -> frozenset[str]:
    """The rules named, those that look at their alerts, directly or through others, and all that these look at. `reads`: of every rule, those whose
    alerts it looks at (`alerts_read`)."""
    found, last = set(names), set[str]()
    while found != last:
        last = set(found)
        found |= {name for name, read in reads.items() if not found.isdisjoint(read)}
    while True:
        more = {read for name in found for read in reads.get(name, ())} - found
        if not more:
            return frozenset(found)
        found |= more


def selectors(rule: RulePlan) -> tuple[Selector, ...]:
    """Every selector a rule looks through, in the order of its parts: operator, `unless`, `while`, alert."""
    return tuple(found for part in (rule.when, *rule.unless, *rule.only, rule.alert) for found in selectors_in(part))


def selectors_in(node: Any) -> list[Selector]:
    """Every selector in a node of the plan, in the order of its fields."""
    found: list[Selector] = []
    _gather(node, found)
    return found


def _gather(node: Any, found: list[Selector]) -> None:
    if isinstance(node, Selector):
        found.append(node)
    elif isinstance(node, tuple):
        for item in node:
            _gather(item, found)
    else:
        for name in _parts(node.__class__):
            _gather(getattr(node, name), found)


@cache
def _parts(kind: type) -> tuple[str, ...]:
    """Names of the fields of a node, none for a plain value. Asked ten thousand times while a node starts."""
    return tuple(one.name for one in fields(kind)) if is_dataclass(kind) else ()


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
