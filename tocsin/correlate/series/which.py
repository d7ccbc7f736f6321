"""Which rules the kernels leave to the histories."""

from __future__ import annotations

import math

from tocsin.model.plan import Absence, Active, Alerts, Cluster, Guard, Match, RulePlan, Sequence, Silence
from tocsin.model.reading import alert_of, alerts_read


def outside(rule: RulePlan) -> bool:
    """Whether a rule's matches are found outside the kernels."""
    when = rule.when
    if guarded(rule) or deferred(rule):
        return True
    if isinstance(when, Sequence):
        linked = when.any_order or bool(when.same or when.differs or when.during)
        return linked or any(math.isinf(step.within) for step in when.then)
    if isinstance(when, Match):
        asked = rule.alert.resolve is not None and rule.alert.resolve.below_for >= 0  # whether it still holds
        return when.lasting > 0 or (asked and (when.samples > 1 or when.until is not None))
    if isinstance(when, Cluster):
        return bool(when.same) or when.distinct != "source"
    if isinstance(when, Absence):
        return bool(when.same) or math.isinf(when.within)
    return not isinstance(when, Silence) or when.area is not None


def deferred(rule: RulePlan) -> bool:
    """Whether a rule must see events and alerts of other rules in the order of what caused them."""
    return bool(alerts_read(rule)) and not (isinstance(rule.when, Alerts) and not guarded(rule))


def in_kernels(guard: Guard) -> bool:
    """Whether the kernels look at this exception themselves."""
    return isinstance(guard, Active) and not guard.same and math.isfinite(guard.within) and alert_of(guard.of.kind) is None


def guarded(rule: RulePlan) -> bool:
    """Whether a rule has exceptions or conditions that the kernels do not look at."""
    return bool(rule.only) or not all(map(in_kernels, rule.unless))
