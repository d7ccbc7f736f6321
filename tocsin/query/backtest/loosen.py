"""Near misses: what a slightly looser rule would have rung for, and how far it was from ringing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from tocsin.model.alert import Alert, Evidence
from tocsin.model.plan import Absence, Accumulate, Change, Cluster, Match, Rate, RulePlan, Silence, ZoneEvent
from tocsin.model.plan import Sequence as Steps
from tocsin.model.time import format_span, to_iso
from tocsin.model.units import canonical

from .nouns import EARTH

#: How much looser: a value, a time to wait for, a number of events; a distance, a time to look over.
LESS, MORE = 0.8, 1.5
_WAIT: Final = 0.75


@dataclass(frozen=True, slots=True)
class Short:
    """How far from the threshold. `relative`: share of the threshold. `found` None: it cannot be said exactly, at most `relative`."""

    relative: float
    needed: float
    found: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Looser:
    """A looser rule. `what`: the threshold that was moved, in words; `measure`: how far an alert of it was from the rule's own threshold."""

    what: str
    rule: RulePlan
    measure: Callable[[Alert], Short]


def looser(rule: RulePlan) -> list[Looser]:
    """Variants of a rule with one threshold moved each; none where nothing can be moved without becoming another rule. Their names are made up."""
    return [
        Looser(what, replace(rule, name=f"{rule.name}~{number}", version=f"{rule.version}~{number}", when=when), measure)
        for number, (what, when, measure) in enumerate(_variants(rule.when))
    ]


Variant = tuple[str, Any, Callable[[Alert], Short]]


def _variants(when: Any) -> Iterator[Variant]:
    of = getattr(when, "of", None)
    if of is not None and of.at_least is not None and not math.isclose(of.at_least, 0.0):
        lower = of.at_least - abs(of.at_least) * (1 - LESS)
        yield "value", replace(when, of=replace(of, at_least=lower)), lambda alert: _value(alert, of.at_least)
    if isinstance(when, Match) and when.samples > 2:
        yield "samples in a row", replace(when, samples=when.samples - 1), lambda _alert: _count(when.samples - 1, when.samples, "samples")
    if isinstance(when, Cluster):
        yield from _cluster(when)
    if isinstance(when, Steps):
        yield from _steps(when)
    if isinstance(when, Absence | Silence):
        words = "time until an answer" if isinstance(when, Absence) else "time without being heard"
        yield words, replace(when, during=round(when.during * _WAIT)), lambda _alert: _unknown(1 - _WAIT, when.during / 1e6, "s")
    for name in _AMOUNTS.get(type(when), ()):
        amount = getattr(when, name)
        if amount:
            changed = round(amount * LESS) if isinstance(amount, int) else amount * LESS
            yield _WORDS[name], replace(when, **{name: changed}), _atmost(amount, name)


_AMOUNTS: Final[dict[type, tuple[str, ...]]] = {
    Match: ("lasting",),
    Rate: ("above",),
    Change: ("by", "slope"),
    Accumulate: ("total", "integral"),
    ZoneEvent: ("lasting",),
}
_WORDS: Final = {"lasting": "how long", "above": "rate", "by": "change", "slope": "slope", "total": "total time", "integral": "integral"}


def _atmost(amount: float, name: str) -> Callable[[Alert], Short]:
    span = name in {"lasting", "total"}
    return lambda _alert: _unknown(1 - LESS, amount / 1e6 if span else amount, "s" if span else "")


def _cluster(when: Cluster) -> Iterator[Variant]:
    if when.sources > 2:
        yield "sources", replace(when, sources=when.sources - 1), lambda alert: _count(alert.sources, when.sources, "sources")
    if when.events > 2:
        yield "events", replace(when, events=when.events - 1), lambda alert: _count(len(alert.evidence), when.events, "events")
    if math.isfinite(when.within) and when.within > 0:
        yield "distance", replace(when, within=when.within * MORE), lambda alert: _beyond(alert.radius_m, when.within)
    yield "time", replace(when, during=round(when.during * MORE)), lambda alert: _beyond(_span(alert.evidence), when.during / 1e6, "s")


def _steps(when: Steps) -> Iterator[Variant]:
    finite = [step.within for step in when.then if math.isfinite(step.within)]
    if finite and min(finite) > 0:
        wider = tuple(replace(step, within=step.within * MORE) for step in when.then)
        yield "distance", replace(when, then=wider), lambda alert: _beyond(_leap(alert.evidence), max(finite))
    gaps = [step.max_gap for step in when.then if step.max_gap > 0]
    if gaps and not when.any_order:
        longer = tuple(replace(step, max_gap=round(step.max_gap * MORE)) for step in when.then)
        yield "time", replace(when, then=longer), lambda alert: _beyond(_gap(alert.evidence), max(gaps) / 1e6, "s")


# ---- how far
def _value(alert: Alert, needed: float) -> Short:
    """In the unit the event speaks."""
    best = max((event for event in alert.evidence if event.value is not None), key=lambda event: event.value or 0.0, default=None)
    if best is None or best.value is None:
        return _unknown(1 - LESS, needed, "")
    known = canonical(best.unit) if best.unit is not None else None
    threshold = (needed - known.offset) / known.factor if known is not None else needed
    return Short(abs(threshold - best.value) / abs(threshold or 1.0), round(threshold, 6), best.value, best.unit or "")


def _count(found: int, needed: int, unit: str) -> Short:
    return Short((needed - found) / needed, needed, found, unit)


def _beyond(found: float | None, limit: float, unit: str = "m") -> Short:
    if found is None or found < limit:
        return _unknown(MORE - 1, limit, unit)
    return Short((found - limit) / limit, round(limit, 3), round(found, 3), unit)


def _unknown(relative: float, needed: float, unit: str) -> Short:
    return Short(relative, round(needed, 6), None, unit)


def _span(evidence: Sequence[Evidence]) -> float | None:
    times = [event.event_time for event in evidence]
    return (max(times) - min(times)) / 1e6 if times else None


def _gap(evidence: Sequence[Evidence]) -> float | None:
    times = sorted(event.event_time for event in evidence)
    return max(((b - a) / 1e6 for a, b in pairwise(times)), default=None)


def _leap(evidence: Sequence[Evidence]) -> float | None:
    """The longest way from one event to the next."""
    placed = sorted((event.event_time, event.lon, event.lat) for event in evidence if event.lon is not None and event.lat is not None)
    return max((_apart(*a[1:], *b[1:]) for a, b in pairwise(placed)), default=None)


def _apart(lon: float, lat: float, to_lon: float, to_lat: float) -> float:
    a, b = math.radians(lat), math.radians(to_lat)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(to_lon - lon) / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(half)))


def misses(found: Sequence[tuple[Looser, Alert]], rang: frozenset[tuple[str, str]], most: int) -> dict[str, Any]:
    """`found`: alerts of looser rules; `rang`: (feed, id) of everything that alerts of the rule itself rest on. Those nearest to ringing first; what is not
    known exactly comes last."""
    rows = []
    counts: dict[str, int] = {}
    for one, alert in found:
        if alert.status == "retracted" or any((event.feed, event.id) in rang for event in alert.evidence):
            continue
        short = one.measure(alert)
        counts[one.what] = counts.get(one.what, 0) + 1
        rows.append((short.found is None, short.relative, alert.known_at, alert.id, one.what, short, alert))
    rows.sort(key=lambda row: row[:4])
    return {"total": len(rows), "by_threshold": counts, "list": [_told(what, short, alert) for *_, what, short, alert in rows[:most]]}


def _told(what: str, short: Short, alert: Alert) -> dict[str, Any]:
    return {
        "threshold": what,
        "needed": short.needed,
        "found": short.found,
        "short": None if short.found is None else round(abs(short.needed - short.found), 6),
        "unit": short.unit,
        "relative": round(short.relative, 4),
        "words": _words(what, short),
        "time": to_iso(alert.opened),
        "lon": alert.lon,
        "lat": alert.lat,
        "place": alert.place,
        "source": _source(alert),
        "events": [f"{event.feed}/{event.id}" for event in alert.evidence[:8]],
    }


def _source(alert: Alert) -> str:
    anchor = alert.evidence[0] if alert.evidence else None
    return "" if anchor is None else f"{anchor.feed}/{anchor.source or ''}"


def _words(what: str, short: Short) -> str:
    if short.unit == "s":
        needed = format_span(round(short.needed * 1e6))
        return (
            f"{what}: between {format_span(round(short.needed * (1 - short.relative) * 1e6))} and {needed}"
            if short.found is None
            else (f"{what}: {format_span(round(short.found * 1e6))}, the rule asks for at most {needed}")
        )
    unit = f" {short.unit}" if short.unit and short.unit not in {"sources", "events", "samples"} else ""
    if short.found is None:
        return f"{what}: less than {short.needed:g}{unit}, by at most {short.relative:.0%}"
    return (
        f"{what}: {short.found:g} of {short.needed:g}{unit}"
        if what != "distance"
        else f"{what}: {short.found:g}{unit}, the rule asks for at most {short.needed:g}{unit}"
    )
