"""Which rules the shards match, and by what the events are shared out for each of them: a pure function of the plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tocsin.correlate.parts.needs import apart
from tocsin.correlate.series.which import outside
from tocsin.model.guards import AlertsNear
from tocsin.model.plan import Absence, Alerts, Cluster, Match, Operator, Plan, RulePlan, Sequence, Silence, operator_name
from tocsin.model.predicate import Selector

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
    kept = _kept_whole(rule, watched)
    if kept:
        return Share(Way.WHOLE, kept)
    if isinstance(rule.when, Match) and not _plain(rule.when):
        if rule.unless:
            return Share(Way.WHOLE, "it counts samples of a source, and what excuses it may come from any source")
        return Share(Way.SOURCE, "it looks at each source alone")
    reach = max([_reach(rule.when), *(getattr(guard, "within", math.inf) for guard in rule.unless)])
    if not reach <= HALO_MAX:
        return Share(Way.WHOLE, f"it reaches farther than {HALO_MAX / 1000:g} km")
    return Share(Way.PLACE, f"everything that decides it lies within {reach:g} m of where it happens", reach)


def _kept_whole(rule: RulePlan, watched: bool) -> str:
    """Why a rule cannot be shared out; empty when it can."""
    when, per = rule.when, rule.alert.per
    if watched:
        return "other rules look at its alerts"
    if outside(rule) or isinstance(when, Silence):
        return f"'{operator_name(when)}' keeps a history that is not cut yet"
    if not isinstance(when, Match | Cluster | Sequence | Absence):
        return f"'{operator_name(when)}' is not cut"
    if getattr(when, "same", ()) or getattr(when, "distinct", "source") != "source":
        return "its events are linked by fields"
    if (per is not None and per.same) or rule.alert.dedup is not None:
        return "its alerts are joined by fields"
    if rule.alert.resolve is not None and rule.alert.resolve.below_for >= 0:
        return "its alerts close when its condition ends"
    if apart(rule):
        return "what joins its alerts, closes them or makes them worse is remembered of the events themselves"
    return ""


def _plain(when: Match) -> bool:
    return when.samples <= 1 and when.until is None


def _reach(when: Operator) -> float:
    """Metres from the anchor to the farthest event that has a say in a match."""
    if isinstance(when, Sequence):
        return sum(step.within for step in when.then)
    return when.within if isinstance(when, Cluster | Absence) else 0.0
