"""What its evidence decides about an alert: how severe it is, and when what it warns of will be here. Pure functions of the whole evidence."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from tocsin.model.alert import Evidence
from tocsin.model.plan import AlertSpec, SeverityStep
from tocsin.model.predicate import And, Compare, Expr, Not, Or, Selector, covers
from tocsin.model.reading import alert_of
from tocsin.model.severity import Severity
from tocsin.model.time import EPOCH
from tocsin.model.units import canonical

_OPS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda found, constants: found in constants,
    "not in": lambda found, constants: found not in constants,
}


def severity(alert: AlertSpec, evidence: Sequence[Evidence], count: int, distinct: int, steps: int = 0, over: int = 0) -> Severity:
    """The highest of the declared severity, of the evidence's own (when asked for) and of the steps that hold. `count`: matches that joined;
    `distinct`: different sources; `steps`: bit i says that what step i asks to be active is, and of alerts what it asks; `over`: above 0 the alert is beyond the rule's
    budget, which may make it minor."""
    found = _found(alert, evidence, count, distinct, steps)
    return min(found, Severity.MINOR) if over and alert.budget is not None and alert.budget.above == "minor" else found


def _found(alert: AlertSpec, evidence: Sequence[Evidence], count: int, distinct: int, steps: int) -> Severity:
    rule = alert.severity_rule
    if rule is None:
        return alert.severity
    found = [alert.severity]
    if rule.from_evidence:
        found += [Severity(event.severity) for event in evidence if event.severity is not None]
    found += [step.severity for i, step in enumerate(rule.steps) if _holds(step, evidence, count, distinct, steps >> i & 1 > 0)]
    return max(found)


def _holds(step: SeverityStep, evidence: Sequence[Evidence], count: int, distinct: int, active: bool) -> bool:
    where = step.where if step.where is None or alert_of(step.where.kind) is None else None
    asked = step.active is not None or where is not step.where
    return (
        count >= step.count
        and distinct >= step.sources
        and (active or not asked)
        and (where is None or any(passes(where, event) for event in evidence))
    )


def arrival(alert: AlertSpec, evidence: Sequence[Evidence], since: int = -1) -> tuple[int, int] | None:
    """Earliest and latest arrival in microseconds since 1970, counted from the newest evidence that passes `eta.since`, without it from the anchor
    (the first piece), by the times the engine matched by; None when the alert has no eta, or nothing to count from. `since`: when the alert opened that `eta.since` is about."""
    eta = alert.eta
    if eta is None or not evidence:
        return None
    if eta.since is None:
        start = evidence[0].event_time - evidence[0].ahead_us
    elif alert_of(eta.since.kind) is not None:
        if since < 0:
            return None
        start = since
    else:
        times = [event.event_time - event.ahead_us for event in evidence if passes(eta.since, event)]
        if not times:
            return None
        start = max(times)
    return start + eta.earliest, start + eta.latest


def arrival_words(span: tuple[int, int] | None, timezone: str) -> str:
    """`13 Sep 20:26 to 22:26`, local time; the second date only when it is another one."""
    if span is None:
        return ""
    zone = ZoneInfo(timezone)
    first, last = ((EPOCH + timedelta(microseconds=us)).astimezone(zone) for us in span)
    if span[0] == span[1]:
        return _moment(first)
    return f"{_moment(first)} to {last:%H:%M}" if first.date() == last.date() else f"{_moment(first)} to {_moment(last)}"


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %H:%M}"


def passes(selector: Selector, event: Evidence) -> bool:
    """Whether a piece of evidence passes a selector (SEMANTICS 8). Attributes are not part of the evidence, so conditions about them do not
    pass; the language refuses them here."""
    return covers(selector.kind, event.kind) and holds(selector, event)


def holds(selector: Selector, event: Evidence, attrs: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Whether an event of whatever kind passes the rest of a selector; `attrs`: its attributes that are known, as `attrs.<name>`."""
    way = canonical(event.unit or "1") if event.value is not None else None
    value = None if way is None or event.value is None else event.value * way.factor + way.offset
    if selector.dimension is not None and (way is None or way.dimension != selector.dimension):
        return False
    if selector.at_least is not None and (value is None or value < selector.at_least):
        return False
    row = {name: getattr(event, name) for name in ("source", "feed", "text", "id", "severity")} | {"value": value}
    return selector.where is None or _true(selector.where, {**row, **attrs})


def _true(where: Expr, row: Mapping[str, Any]) -> bool:
    if isinstance(where, Or):
        return any(_true(term, row) for term in where.terms)
    if isinstance(where, And):
        return all(_true(term, row) for term in where.terms)
    if isinstance(where, Not):
        return not _true(where.term, row)
    return _compare(where, row.get(where.field))


def _compare(test: Compare, found: Any) -> bool:
    if test.op == "exists":
        return found is not None
    return found is not None and _OPS[test.op](found, test.constant)
