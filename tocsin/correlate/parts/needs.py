"""Which alert parts a rule has, and what has to be listened to for them. Pure functions of the plan."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from tocsin.correlate import ledger
from tocsin.correlate.series.which import outside
from tocsin.model.plan import Accumulate, Change, Key, Match, Plan, Rate, RulePlan, SeverityStep, Silence, Timer, ZoneEvent
from tocsin.model.predicate import Selector
from tocsin.model.reading import reach

from .about import about_alerts

#: How long after its newest match an alert that nothing has closed is still waited for; then it is left to people.
WAIT: Final = ledger.WAIT


def apart(rule: RulePlan) -> bool:
    """Whether matches of the rule are joined one by one beside the kernels (`groups.py`): what joins, or what closes, is more than a place
    and a time."""
    alert = rule.alert
    same = alert.per is not None and bool(alert.per.same)
    return same or alert.dedup is not None or alert.resolve is not None or any(step.active for step in _steps(rule))


def for_kernels(plan: Plan) -> Plan:
    """The plan as the kernels get it: every match of a rule that is joined apart is an alert of its own to them."""
    if not any(map(apart, plan.rules)):
        return plan
    rules = (replace(rule, alert=replace(rule.alert, per=None)) if apart(rule) else rule for rule in plan.rules)
    return replace(plan, rules=tuple(rules))


def fields(rule: RulePlan) -> tuple[str, ...]:
    """Fields of the anchor that decide what joins or closes: those of `per.same`, `dedup.by`, `resolve.same`, without repetition."""
    alert = rule.alert
    named = [
        *(alert.per.same if alert.per else ()),
        *(alert.dedup.by if alert.dedup else ()),
        *(alert.resolve.same if alert.resolve else ()),
    ]
    return tuple(dict.fromkeys([*named, *key_of(rule).fields]))


def key_of(rule: RulePlan) -> Key:
    """Whose being heard ends what the rule's alert says, for `resolve.below_for` of `silence` and `timer`; else everything together."""
    when = rule.when
    if not closes_when_heard(rule):
        return Key("all")
    return Key(when.by) if isinstance(when, Silence) else when.key  # type: ignore[union-attr]


def closes_when_heard(rule: RulePlan) -> bool:
    """`silence` and `timer`: the rule has held until something is heard again."""
    resolve = rule.alert.resolve
    return resolve is not None and resolve.below_for >= 0 and isinstance(rule.when, Silence | Timer)


def has_state(rule: RulePlan) -> bool:
    """Operators whose condition holds for a while, per key, and is asked whether it still does (`resolve.below_for`)."""
    when, resolve = rule.when, rule.alert.resolve
    if resolve is None or resolve.below_for < 0:
        return False
    if isinstance(when, Match):
        return when.lasting > 0 or when.samples > 1 or when.until is not None
    if isinstance(when, ZoneEvent):
        return when.what != "leaves"
    return isinstance(when, Change | Rate | Accumulate)


def noted(rule: RulePlan) -> bool:
    """Whether something of the rule's anchors has to be remembered: fields, or a place the kernels do not keep for it."""
    alert = rule.alert
    if not apart(rule):
        return False
    near = alert.resolve is not None and alert.resolve.until is not None and math.isfinite(alert.resolve.within)
    placed = near or (alert.per is not None and alert.per.place is not None)
    return bool(fields(rule)) or (placed and not outside(rule))


def beside(rule: RulePlan) -> tuple[Selector, ...]:
    """Events that decide no match but are shown, close an alert or make it worse."""
    alert = rule.alert
    closing = (alert.resolve.until,) if alert.resolve is not None and alert.resolve.until is not None else ()
    return (*closing, *(step.active.of for step in _steps(rule) if step.active), *(one.of for one in alert.context))


def lives(rule: RulePlan) -> int:
    """How long after its newest match something may still join an alert of the rule, close it, fold it or be shown with it, µs."""
    alert = rule.alert
    resolve = max(alert.resolve.after, alert.resolve.below_for) if alert.resolve else 0
    return max(_hold(rule), resolve, alert.fold.during if alert.fold else 0, *(one.after for one in alert.context), 0)


def looks_back(rule: RulePlan) -> int:
    """How long after it opened an alert of another rule may still count for what the alert part of a rule says, µs."""
    active = [step.active.valid_for for step in _steps(rule) if step.active is not None and about_alerts(step.active.of)]
    return max([0, *active, *(one.before for one in rule.alert.context if about_alerts(one.of))])


def closing(plan: Plan) -> frozenset[int]:
    """Rules whose alerts close by themselves."""
    return frozenset(index for index, rule in enumerate(plan.rules) if rule.alert.resolve is not None)


def _hold(rule: RulePlan) -> int:
    alert = rule.alert
    return max(alert.per.hold if alert.per else 0, alert.dedup.hold if alert.dedup else 0)


def standing(rule: RulePlan) -> int:
    """How long after its newest match an alert of the rule may still be joined, or be waited for, µs."""
    return WAIT if rule.alert.resolve is not None else _hold(rule)


def retractable(rule: RulePlan, plan: Plan) -> int:
    """How long after its time a match can still be taken back, µs."""
    return max(plan.lateness, plan.delay) + plan.delay + reach(rule)


def _steps(rule: RulePlan) -> tuple[SeverityStep, ...]:
    return rule.alert.severity_rule.steps if rule.alert.severity_rule is not None else ()
