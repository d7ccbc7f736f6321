"""Reasons of operators with a history, of areas, timers and alerts of other rules: one sentence with values, distances and times.

`water.level G-7 rose by 0.35 m in 40 min, from 1.2 m to 1.55 m` and `no ops.par for 20 min since 2017-07-04T21:05:00Z`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from tocsin.model.alert import Evidence
from tocsin.model.plan import (
    Accumulate,
    Active,
    Alerts,
    Around,
    Change,
    Guard,
    Inside,
    Match,
    Rate,
    RulePlan,
    Sector,
    Silence,
    Timer,
    Within,
    ZoneEvent,
    Zones,
)
from tocsin.model.time import SECOND, format_span, to_iso

from .firing import EVIDENCE_MAX
from .headline import number, unit_words
from .phrases import metres, second, span, thing, written
from .recheck import sources

Facts = Sequence[Evidence]


def sentence(rule: RulePlan, evidence: Facts, count: int, label: str) -> str | None:
    """Why a match stands, None for operators that are not this room's. `label`: what tells the alert from another of the same anchor."""
    tell = _SENTENCES.get(type(rule.when))
    if tell is None or (not evidence and not isinstance(rule.when, Silence)):
        return None
    told: str = tell(rule.when, evidence, label)
    return told if count == 1 else f"{count} matches, the first: {told}"


def guards(rule: RulePlan) -> tuple[str, ...]:
    """What was, and was not, the case where and when it matched."""
    return (*(f"{'not' if isinstance(guard, Within) else 'no'} {_guard(guard)}" for guard in rule.unless), *map(_guard, rule.only))


def _guard(guard: Guard) -> str:
    same = f", the same {' and '.join(guard.same)}" if not isinstance(guard, Within) and guard.same else ""
    if isinstance(guard, Active):
        return f"{guard.of.kind} active{_near(guard.within)}{same}"
    if isinstance(guard, Within):
        return f"inside {_area(guard.area)}"
    names = " and ".join(guard.rules) if guard.how == "all" else " or ".join(guard.rules)
    return f"alert of {names}{_near(guard.within)} in the {format_span(guard.during)} before{same}"


def _near(within: float) -> str:
    return "" if math.isinf(within) else f" within {metres(within)}"


def _change(when: Change, evidence: Facts, _label: str) -> str:
    newest = evidence[0]
    other = next((one for one in evidence[1:] if _before(newest, one, when.during) and one.source == newest.source), newest)
    took = span(newest.event_time - other.event_time)
    if newest.value is None or other.value is None or newest.unit != other.unit:
        return f"{thing(newest)} changed in {took}"
    way, unit = "rose" if newest.value >= other.value else "fell", unit_words(newest.unit)
    by, old, new = (f"{number(value)} {unit}".rstrip() for value in (abs(newest.value - other.value), other.value, newest.value))
    return f"{thing(newest, False)} {way} by {by} in {took}, from {old} to {new}"


def _lasting(when: Match, evidence: Facts, _label: str) -> str:
    first = min(evidence, key=lambda one: one.event_time)
    row = f", at least {when.samples} in a row" if when.samples > 1 else ""
    held = f"for {format_span(when.lasting)} without a break" if when.lasting else "and turned on"
    return f"{written(when.of)} held {held}{row}: since {to_iso(second(first.event_time))}"


def _rate(when: Rate, evidence: Facts, _label: str) -> str:
    inside = [one for one in evidence if _before(evidence[0], one, when.during)]
    than = "than is usual at this hour of the week" if when.baseline is not None and when.baseline.learnt else f"than {number(when.above)}"
    over = f"in {format_span(when.during)}" + (f", {when.windows} times one after another" if when.windows > 1 else "")
    values = [one.value for one in inside if one.value is not None]
    some = len(evidence) >= EVIDENCE_MAX  # there may be more than an alert keeps, so what these say is not what the rule saw
    if when.measure in ("sum", "mean") and values and len({one.unit for one in inside}) == 1:
        total = math.fsum(values) / (len(values) if when.measure == "mean" else 1)
        amount = "" if some else f" {number(total)} {unit_words(inside[0].unit)}".rstrip()
        limit = " than is usual at this hour of the week" if than.startswith("than is") else " than the rule allows"
        least = "at least " if some else ""
        return f"{when.measure}{amount} of {least}{len(values)} value{'s' * (len(values) != 1)} {over}, more{limit}"
    n = len(sources(inside)) if when.measure == "sources" and when.distinct == "source" else len(inside)
    what = {"sources": "sources" if when.distinct == "source" else f"events of different {when.distinct}"}.get(when.measure, "events")
    if some and "usual" not in than and n <= when.above:
        return f"more {than} {what} {over}"
    return f"{'at least ' * some}{n} {what} {over}, more {than}"


def _accumulate(when: Accumulate, evidence: Facts, _label: str) -> str:
    conditions = " and ".join(written(of) for of in (when.of, *when.also))
    anchor = to_iso(second(evidence[0].event_time))
    if when.integral is not None:
        return f"{conditions} added up to what the rule asks for in {format_span(when.during)}, last at {anchor}"
    together = "together " if when.also else ""
    return f"{conditions} held {together}for {format_span(when.total)} in all within {format_span(when.during)}, last at {anchor}"


def _inside(when: Inside, evidence: Facts, label: str) -> str:
    area = next((one for one in evidence if one.role == "area"), None)
    if area is None:
        return f"{thing(evidence[0])} inside {label or _area(when.area)}"
    far = f", {metres(area.distance_m)} away" if area.distance_m is not None else ""
    way = {Around: f"within {metres(getattr(when.area, 'within', 0.0))} of", Sector: "in the sector of"}.get(
        type(when.area), "inside the area of"
    )
    return f"{thing(evidence[0])} {way} {thing(area)}{far}, known since {to_iso(second(area.event_time))}"


def _area(area: Any) -> str:
    if isinstance(area, Zones):
        return f"an area of {area.layer}"
    way = "the circle round" if isinstance(area, Around) else "the sector of" if isinstance(area, Sector) else "the area of"
    return f"{way} {written(area.of)}"


def _zone(when: ZoneEvent, evidence: Facts, label: str) -> str:
    anchor, first = evidence[0], min(evidence, key=lambda one: one.event_time)
    where = f"{label} ({when.zones.layer})" if when.zones is not None and label else label or "the place"
    if when.what == "stays":
        return (
            f"{thing(anchor)} stayed within {metres(when.radius)} for {format_span(when.lasting)}: since {to_iso(second(first.event_time))}"
        )
    if when.what == "dwells":
        return f"{thing(anchor)} in {where} for {format_span(when.lasting)}: since {to_iso(second(first.event_time))}"
    if when.what == "leaves":
        return f"{thing(anchor)} left {where}; inside it at {to_iso(second(first.event_time))}"
    return f"{thing(anchor)} entered {where} at {to_iso(second(anchor.event_time))}"


def _timer(when: Timer, evidence: Facts, label: str) -> str:
    parts = label.split(", ")
    early = next((part.removeprefix("early ") for part in parts if part.startswith("early ")), "")
    turn = next((part for part in parts if part.startswith("turn ")), "")
    since = to_iso(second(evidence[0].event_time))
    until = f" and no {written(when.until)}" if when.until is not None else ""
    if early:
        return f"in {early} it is {format_span(when.during)} without {written(when.of)}{until}: since {since}"
    if not when.restart and not turn:
        return f"{format_span(when.during)} since {written(when.of)} at {since}{until}"
    if turn:
        return (
            f"another {format_span(when.during)} without {written(when.until) if when.until else written(when.of)}, {turn}: since {since}"
        )
    return f"no {written(when.of)}{until} for {format_span(when.during)}: since {since}"


def _alerts(when: Alerts, evidence: Facts, _label: str) -> str:
    apart = ", ".join(
        f"{metres(one.distance_m) + ' and ' if one.distance_m is not None else ''}{span(abs(one.gap_us or 0))} apart"
        for one in evidence[1:12]
    )
    what = (
        f"alerts of {' and '.join(when.rules)}"
        if when.how == "all"
        else f"{when.least} alert{'s' * (when.least != 1)} of {' or '.join(when.rules)}"
    )
    over = f" in {format_span(when.during)}" if when.during else ""
    return f"{what}{_near(when.within)}{over}" + (f": {apart}" if apart else "")


def outage(when: Silence, evidence: Facts) -> str:
    """Who is silent in an area."""
    assert when.area is not None
    area = when.area
    least = f"at least {number(area.share * 100)} % of the sources heard there"
    silent = f"{len(sources(evidence))} sources within {metres(area.within)} not heard for {format_span(when.during)}"
    return f"{silent}, silent within {format_span(area.together)} of one another: {least}"


def _before(newest: Evidence, one: Evidence, during: int) -> bool:
    return 0 <= newest.event_time - one.event_time <= during + SECOND


_SENTENCES: Final[dict[type, Callable[..., str]]] = {
    Change: _change,
    Match: _lasting,
    Rate: _rate,
    Accumulate: _accumulate,
    Inside: _inside,
    ZoneEvent: _zone,
    Timer: _timer,
    Alerts: _alerts,
}
