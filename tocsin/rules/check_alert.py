"""The alert part: what in it contradicts itself, or can never take effect."""

from __future__ import annotations

import math

from tocsin.model.plan import AlertSpec

from .findings import Looked


def check_alert(one: Looked) -> None:
    """The alert of a rule."""
    alert = one.rule.alert
    _severity(one, alert)
    _active(one, alert)
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


def _active(one: Looked, alert: AlertSpec) -> None:
    for index, step in enumerate(alert.severity_rule.steps if alert.severity_rule else (), 1):
        if step.active is not None and math.isinf(step.active.within) and not step.active.same:
            path = f"alert.severity.steps[{index}].active"
            one.bad(path, "'within' is missing: how near to the anchor; without it, same must say what links them")
