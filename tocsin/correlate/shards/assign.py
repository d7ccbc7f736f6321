"""Which rules the shards match, and by what the events are shared out for each of them: a pure function of the plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tocsin.correlate.parts.needs import apart
from tocsin.correlate.series.which import outside
from tocsin.model.guards import AlertsNear
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Alerts,
    Change,
    Cluster,
    Match,
    Operator,
    Per,
    Plan,
    Rate,
    RulePlan,
    Sequence,
    Silence,
    Timer,
    ZoneEvent,
    operator_name,
)
from tocsin.model.predicate import Selector
from tocsin.model.reading import alerts_read

#: Rules that reach farther than this, in metres, are not cut into regions: nearly every event would be everybody's.
HALO_MAX: Final = 100_000.0
#: A kind no event has: what a rule looks for where others do its matching.
_NEVER: Final = Match(Selector("\N{NULL}", text="matched by the shards"))


class Way(StrEnum):
    """How a rule is shared out: by the anchor's place, by the anchor's source, or not at all."""

    PLACE = "place"
    SOURCE = "source"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Share:
    """`why`: in words. `reach`: metres from the anchor within which everything that decides a match lies; 0 unless by place."""

    way: Way
    why: str
    reach: float = 0.0


def shares(plan: Plan) -> list[Share]:
    """One for each rule, in the order of the plan."""
    watched = {name for rule in plan.rules for name in _watched(rule)}
    return [_share(rule, rule.name in watched) for rule in plan.rules]


def halo(plan: Plan) -> float:
    """How far beyond its region a shard looks, metres: the longest reach of a rule that is cut by place."""
    return max([share.reach for share in shares(plan)], default=0.0)


def part(plan: Plan, way: Way) -> tuple[Plan, tuple[int, ...]]:
    """What a shard runs of the rules that go one way, and which rules of the plan these are. They do not thin: every match is told, and
    joined where all of them are known."""
    chosen = tuple(index for index, share in enumerate(shares(plan)) if share.way == way)
    rules = tuple(_unthinned(plan.rules[index], way) for index in chosen)
    return replace(plan, rules=rules), chosen


def rest(plan: Plan) -> Plan:
    """What is left to the process that tells the alerts: the whole rules as they are, and of the others their joining."""
    pairs = zip(plan.rules, shares(plan), strict=True)
    return replace(plan, rules=tuple(rule if share.way == Way.WHOLE else _awaited(rule, share.way) for rule, share in pairs))


def _unthinned(rule: RulePlan, way: Way) -> RulePlan:
    return replace(rule, version=f"{rule.version} {way}", alert=replace(rule.alert, per=None))


def _awaited(rule: RulePlan, way: Way) -> RulePlan:
    return replace(rule, version=f"{rule.version} {way}", when=_NEVER, unless=(), only=())


def _watched(rule: RulePlan) -> list[str]:
    """Rules whose alerts this one looks at."""
    near = [name for guard in (*rule.unless, *rule.only) if isinstance(guard, AlertsNear) for name in guard.rules]
    return [*rule.reads, *near, *(rule.when.rules if isinstance(rule.when, Alerts) else ())]


def _share(rule: RulePlan, watched: bool) -> Share:
    by_source = _by_source(rule.when)
    kept = _kept_whole(rule, watched) or (_not_by_source(rule) if by_source else _not_by_place(rule))
    if kept:
        return Share(Way.WHOLE, kept)
    if by_source:
        return Share(Way.SOURCE, "it looks at each source alone")
    reach = max([_reach(rule.when), *(getattr(guard, "within", math.inf) for guard in rule.unless)])
    if not reach <= HALO_MAX:
        return Share(Way.WHOLE, f"it reaches farther than {HALO_MAX / 1000:g} km")
    return Share(Way.PLACE, f"everything that decides it lies within {reach:g} m of where it happens", reach)


def _kept_whole(rule: RulePlan, watched: bool) -> str:
    """Why a rule of any operator cannot be shared out; empty when it can."""
    per = rule.alert.per
    if watched:
        return "other rules look at its alerts"
    if alerts_read(rule):
        return "it looks at alerts of other rules"
    if (per is not None and per.same) or rule.alert.dedup is not None:
        return "its alerts are joined by fields"
    if rule.alert.resolve is not None and rule.alert.resolve.below_for >= 0:
        return "its alerts close when its condition ends"
    if apart(rule):
        return "what joins its alerts, closes them or makes them worse is remembered of the events themselves"
    return ""


def _by_source(when: Operator) -> bool:
    """Operators that look at each source alone, or can be told to."""
    return isinstance(when, Silence | Change | Rate | Accumulate | Timer | ZoneEvent) or (isinstance(when, Match) and not _plain(when))


def _not_by_source(rule: RulePlan) -> str:
    """Why matches do not follow from the events of one source, or may rest on events so old that only the process which tells the alerts knows
    that they were corrected."""
    when = rule.when
    if rule.unless or rule.only:
        return "what excuses it, or must be the case besides, may come from any source"
    if isinstance(when, Change | Rate | Accumulate | Timer) and when.key.by != "source":
        return "its histories are of several sources together"
    if isinstance(when, Silence):
        return _heard_together(when, rule.alert.per)
    if isinstance(when, ZoneEvent) and when.what in ("leaves", "stays") and not when.max_gap:
        return "it may rest on a position of any age; name a max_gap"
    if isinstance(when, Rate) and _holds_when_empty(when):
        return "it may hold while nothing is heard, and then rests on events of any age"
    if isinstance(when, Accumulate) and when.integral is not None and (when.of.at_least is None or when.of.at_least < 0):
        return "values below zero may complete it when they leave its window, and then it rests on older events; ask for value >= 0"
    return ""


def _heard_together(when: Silence, per: Per | None) -> str:
    if when.area is not None or when.by != "source":
        return "it listens to several sources together"
    if when.declared:
        return "to which feed a source known beforehand belongs shows only when it is heard"
    if per is not None and not per.by_source:
        return "sources that fall silent at one instant join its alerts in the order in which they were first heard"
    return ""


def _holds_when_empty(when: Rate) -> bool:
    """Whether an empty window may be above the threshold."""
    if when.least > 0 or when.measure == "mean":
        return False
    return when.above < 0 or (when.measure == "sum" and when.baseline is not None)


def _not_by_place(rule: RulePlan) -> str:
    """Why matches do not follow from what lies near."""
    when = rule.when
    if outside(rule):
        return f"'{operator_name(when)}' keeps a history that is not cut"
    if not isinstance(when, Match | Cluster | Sequence | Absence):
        return f"'{operator_name(when)}' is not cut"
    if getattr(when, "same", ()) or getattr(when, "distinct", "source") != "source":
        return "its events are linked by fields"
    return ""


def _plain(when: Match) -> bool:
    return when.samples <= 1 and when.until is None and not when.lasting


def _reach(when: Operator) -> float:
    """Metres from the anchor to the farthest event that has a say in a match."""
    if isinstance(when, Sequence):
        return sum(step.within for step in when.then)
    return when.within if isinstance(when, Cluster | Absence) else 0.0
