"""The alert part: what in it contradicts itself, or can never take effect."""

from __future__ import annotations

import math

from tocsin.model.plan import AlertSpec

from .condition import comparisons
from .findings import Looked


def check_alert(one: Looked) -> None:
    """The alert of a rule."""
    alert = one.rule.alert
    _severity(one, alert)
    _active(one, alert)
    _evidence(one)
    if "{eta}" in alert.headline and alert.eta is None:
        one.bad("alert.headline", "says {eta}, but the alert has none; write eta: {from: 6 h, to: 8 h}")
    if alert.eta is not None and alert.eta.earliest > alert.eta.latest:
        one.bad("alert.eta.to", "lies before from; write from: 6 h, to: 8 h")
    resolve = alert.resolve
    if resolve is not None:
        if resolve.below_for < 0 and resolve.until is None and resolve.after < 0:
            one.bad("alert.resolve", "nothing says when; write one of below_for, until, after, as in below_for: 20 min")
        for name in ("within", "same"):
            if resolve.until is None and one.wrote(f"alert.resolve.{name}"):
                one.bad(f"alert.resolve.{name}", "belongs to until, which is missing; write until, or leave it out")
    if alert.never_fold and alert.fold is not None:
        one.bad("alert.never_fold", "never_fold and fold exclude one another; take out one of them")
    if alert.never_fold and alert.budget is not None:
        one.bad("alert.budget", "an alert that is never folded has no budget: each of them counts; take out one of the two")


def _severity(one: Looked, alert: AlertSpec) -> None:
    rule = alert.severity_rule
    if rule is None:
        return
    if not rule.from_evidence and not rule.steps:
        one.bad("alert.severity", f"a table without from and steps is one word; write severity: {alert.severity.name.lower()}")
    for index, step in enumerate(rule.steps, 1):
        path = f"alert.severity.steps[{index}]"
        if not (step.count or step.sources or step.where or step.active):
            one.bad(path, "nothing says what it takes; write one of count, sources, where, active")
        if step.severity <= alert.severity:
            one.bad(f"{path}.is", f"is not above {alert.severity.name.lower()}, with which it begins, so it never has an effect")


def _evidence(one: Looked) -> None:
    """Conditions about evidence: an alert keeps an event's place, time, value and words, not its attributes."""
    for path, condition in one.rule.conditions.items():
        if path == "alert.eta.since" or (path.startswith("alert.severity.steps") and path.endswith(".where")):
            for test in comparisons(condition.where):
                if test.field.startswith("attrs."):
                    one.bad(
                        path, f"asks for {test.field}, but evidence has no attributes; compare value, severity, source, feed, text or id"
                    )


def _active(one: Looked, alert: AlertSpec) -> None:
    for index, step in enumerate(alert.severity_rule.steps if alert.severity_rule else (), 1):
        if step.active is not None and math.isinf(step.active.within) and not step.active.same:
            path = f"alert.severity.steps[{index}].active"
            one.bad(path, "'within' is missing: how near to the anchor; without it, same must say what links them")
