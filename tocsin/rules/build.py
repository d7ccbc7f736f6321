"""The values of an operator's keys to its node in the plan. What does not fit together becomes a node all the same; `check` says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tocsin.kernel.shape import Chosen
from tocsin.model import plan
from tocsin.model.links import ALL_TOGETHER, ANYWHERE, BY_SOURCE

from .amounts import difference, integrated, level, per_second
from .build_area import area
from .condition import Quantity
from .selectors import selector

Values = Mapping[str, Any]


def operator(chosen: Chosen) -> plan.Operator:
    """The node of the operator that was written."""
    return _BUILD[chosen.name](chosen.values)


def _match(v: Values) -> plan.Match:
    until = selector(v["until"]) if v["until"] else None
    return plan.Match(selector(v["of"]), v["samples"], until, v["for"] or 0, v["max_gap"] or 0)


def _cluster(v: Values) -> plan.Cluster:
    plain = {name: v[name] for name in ("within", "during", "sources", "events", "min_gap", "same", "distinct")}
    return plan.Cluster(selector(v["of"]), **plain)


def _sequence(v: Values) -> plan.Sequence:
    overall = v["during"] or 0
    steps = tuple(plan.Step(selector(one["of"]), _near(one), one["during"] or overall, one["min_gap"]) for one in v["then"])
    return plan.Sequence(selector(v["first"]), steps, v["any_order"], overall, v["same"], v["differs"])


def _absence(v: Values) -> plan.Absence:
    return plan.Absence(selector(v["after"]), selector(v["expect"]), _near(v), v["during"], v["same"])


def _silence(v: Values) -> plan.Silence:
    outage = plan.AreaOutage(**v["area"]) if v["area"] else None
    return plan.Silence(selector(v["of"]), v["during"], v["by"], v["declared"], outage)


def _change(v: Values) -> plan.Change:
    by = difference(v["by"]) if v["by"] else None
    slope = per_second(v["slope"]) if v["slope"] else None
    measured = by or slope
    of = selector(v["of"], measured.dimension if measured else None)
    size = by.number if by else None
    speed = slope.number if slope else None
    return plan.Change(of, v["during"], size, speed, v["direction"], v["samples"], v["each"] or BY_SOURCE)


def _rate(v: Values) -> plan.Rate:
    of, above = selector(v["of"]), v["above"].number
    if v["measure"] in ("sum", "mean"):
        wanted = level(v["above"])
        of, above = selector(v["of"], wanted.dimension), wanted.number
    learnt = plan.Baseline(v["baseline"]["sigmas"], v["baseline"]["weeks"]) if v["baseline"] else None
    plain = {name: v[name] for name in ("during", "measure", "least", "windows", "distinct")}
    return plan.Rate(of, above=above, baseline=learnt, key=v["each"] or ALL_TOGETHER, **plain)


def _accumulate(v: Values) -> plan.Accumulate:
    amount: Quantity | None = v["integral"]
    whole = integrated(amount) if amount else None
    of = selector(v["of"][0], whole.dimension if whole else None)
    also = tuple(selector(one) for one in v["of"][1:])
    number = whole.number if whole else None
    return plan.Accumulate(of, v["during"], v["hold"], v["total"] or 0, number, also, v["each"] or BY_SOURCE)


def _inside(v: Values) -> plan.Inside:
    return plan.Inside(selector(v["of"]), area(v), v["standing"], v["keep"] if v["standing"] else 0, v["same"], v["differs"])


def _zone(v: Values) -> plan.ZoneEvent:
    what = next((name for name in ZONE_EVENTS if v[name] is not None), "enters")
    zones = v[what] if what != "stays" else None
    radius = v["stays"] or 0.0
    return plan.ZoneEvent(selector(v["of"]), what, zones, v["for"] or 0, v["max_gap"] or 0, radius)


def _timer(v: Values) -> plan.Timer:
    until = selector(v["until"]) if v["until"] else None
    warn = tuple(sorted(set(v["warn"]), reverse=True))
    return plan.Timer(selector(v["since"]), v["during"], v["each"] or ALL_TOGETHER, until, warn, v["restart"], v["repeat"])


def _all(v: Values) -> plan.Alerts:
    return plan.Alerts(_names(v), "all", v["within"] or ANYWHERE, v["during"], 1, v["same"], v["differs"])


def _any(v: Values) -> plan.Alerts:
    return plan.Alerts(_names(v), "any", v["within"] or ANYWHERE, v["during"] or 0, v["alerts"], v["same"], v["differs"])


def _names(v: Values) -> tuple[str, ...]:
    return tuple(sorted(set(v["of"])))


def _near(v: Values) -> float:
    return ANYWHERE if v["within"] is None else float(v["within"])


#: What a zone rule can look for, in the order the reference shows.
ZONE_EVENTS: Final = ("enters", "leaves", "dwells", "stays")
_BUILD: Final[Mapping[str, Callable[[Values], plan.Operator]]] = {
    "match": _match,
    "cluster": _cluster,
    "sequence": _sequence,
    "absence": _absence,
    "silence": _silence,
    "change": _change,
    "rate": _rate,
    "accumulate": _accumulate,
    "inside": _inside,
    "zone": _zone,
    "timer": _timer,
    "all": _all,
    "any": _any,
}
