"""Why an alert stands, in words, distances and times: the clause of the rule that held, then one line for each event.

`3 distinct sources within 300 m and 10 min: 38 m, 61 m` and `smoke S-31 at 182 ug/m3 (>= 150 ug/m3), 38 m away, 27 s before`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tocsin.model.alert import Evidence
from tocsin.model.plan import Absence, Cluster, Match, RulePlan, Silence, Step
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector, covers
from tocsin.model.reading import selectors_in
from tocsin.model.time import SECOND, format_span, to_iso

from . import reasons_history
from .firing import EVIDENCE_MAX
from .phrases import metres, rounded, second, thing, written
from .recheck import sources
from .series.outage import LABEL
from .series.which import outside

ANCHOR, MEMBER, AFTER = "anchor", "member", "after"
_WORDS: Final = {30: AFTER, 31: "area", 32: "early", 33: "context"}
#: What tells the alert of an area outage from the one of a source.
AREA: Final = LABEL
JOINED = "joined"  # the anchor of a later match of the same alert
_LINES_MAX: Final = 12
_CONDITION_MAX: Final = 60


def role_word(role: int) -> str:
    """The engine's role numbers (`firing.Firings.role`) as the words of `Evidence.role`."""
    if role == 0:
        return ANCHOR
    if role in _WORDS:
        return _WORDS[role]
    return f"step {role - 9}" if role >= 10 else MEMBER


def explain(
    rule: RulePlan, evidence: Sequence[Evidence], count: int, silent: str = "", notes: Sequence[str] = (), label: str = ""
) -> tuple[str, ...]:
    """Reasons of one alert. `evidence`: roles in words, distances and gaps filled in. `silent`: who was not heard. `notes`: what was withdrawn.
    `label`: what tells the alert from another one of the same rule and anchor."""
    return (clause(rule, evidence, count, silent, label), *lines(rule, evidence), *notes)


def lines(rule: RulePlan, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """One line for each event, and one for each exception of the rule: the reasons that depend on the evidence alone."""
    told = [line(event, _selector(rule, event, evidence)) for event in evidence[:_LINES_MAX]]
    if len(evidence) > _LINES_MAX:
        told.append(f"and {len(evidence) - _LINES_MAX} more events")
    return (*told, *reasons_history.guards(rule))


def clause(rule: RulePlan, evidence: Sequence[Evidence], count: int, silent: str = "", label: str = "") -> str:
    """The part of the rule that held, with the numbers it held by."""
    when = rule.when
    if not isinstance(when, Match) or when.lasting or (when.samples > 1 and outside(rule)):
        told = reasons_history.sentence(rule, evidence, count, label)
        if told is not None:
            return told
    others = [event for event in evidence if event.distance_m is not None and event is not evidence[0]]
    if isinstance(when, Match):
        passed = f"{when.samples} in a row passed" if when.samples > 1 else "1 event passed" if count == 1 else f"{count} events passed"
        return f"{passed}: {written(when.of)}"
    if isinstance(when, Cluster):
        distinct = told_apart(rule, evidence)
        name = "source" if when.distinct == "source" else when.distinct
        events = max(len(evidence), when.events if len(evidence) >= EVIDENCE_MAX else 0)  # more may have counted than an alert keeps
        what = f"{distinct} distinct {name}{'s' * (distinct != 1 and name == 'source')}" if when.sources > 1 else f"{events} events"
        what += f" that agree in {' and '.join(when.same)}" if when.same else ""
        apart = ", ".join(metres(event.distance_m or 0.0) for event in others[:_LINES_MAX])
        return f"{what} within {metres(when.within)} and {format_span(when.during)}" + (f": {apart}" if apart else "")
    if isinstance(when, Absence):
        near = "" if when.within == math.inf else f" within {metres(when.within)}"
        near += f" with the same {' and '.join(when.same)}" if when.same else ""
        return f"no {written(when.expected)}{near} in the {format_span(when.during)} after {written(when.after)}"
    if isinstance(when, Silence):
        if label == AREA:
            return reasons_history.outage(when, evidence)
        last = f" (last at {to_iso(second(evidence[-1].event_time))})" if evidence else " (never heard)"
        return f"nothing heard from {silent or 'it'} for {format_span(when.during)}{last}"
    if isinstance(when, Steps):
        return _steps(when, evidence)
    return f"{count} match{'es' * (count != 1)}: {rule.words.partition('. ')[0]}"


def told_apart(rule: RulePlan, evidence: Sequence[Evidence]) -> int:
    """How many different sources the evidence has; where a field tells them apart, as many as the rule asks for at least."""
    found = len(sources(evidence))
    return max(found, rule.when.sources) if isinstance(rule.when, Cluster) and rule.when.distinct != "source" else found


def line(event: Evidence, selector: Selector | None) -> str:
    """One event: what, how much, how far from the anchor and when."""
    parts = [thing(event) + _condition(selector)]
    if event.role == ANCHOR or (event.distance_m == 0 and event.gap_us == 0):
        parts.append(f"at {to_iso(second(event.event_time))}")
    else:
        if event.distance_m is not None:
            parts.append(f"{metres(event.distance_m)} away" if event.distance_m >= 0.5 else "at the same place")
        if event.gap_us is not None:
            parts.append(gap(event.gap_us))
    if event.ahead_us:
        span, taken = max(SECOND, event.ahead_us // SECOND * SECOND), event.event_time - event.ahead_us
        parts.append(f"dated {format_span(span)} too far into the future: taken as {to_iso(second(taken))}")
    return ", ".join(parts)


def gap(us: int) -> str:
    """`27 s before`: when an event was, seen from the anchor."""
    size = rounded(abs(us))
    return f"{format_span(size)} {'before' if us < 0 else 'after'}" if size else "at the same time"


def _steps(when: Steps, evidence: Sequence[Evidence]) -> str:
    names = (", and " if when.any_order else ", then ").join([written(when.first), *(written(step.of) for step in when.then)])
    limits = ", ".join(dict.fromkeys(_limit(step) for step in when.then))
    links = "".join(f", {word} {' and '.join(fields)}" for word, fields in (("the same", when.same), ("different", when.differs)) if fields)
    apart = ", ".join(
        f"{metres(event.distance_m) + ' and ' if event.distance_m is not None else ''}{format_span(abs(event.gap_us or 0) // SECOND * SECOND)} apart"
        for event in evidence[1 : len(when.then) + 1]
    )
    return f"{names}, each {limits} of the {'first' if when.any_order else 'one before'}{links}" + (f": {apart}" if apart else "")


def _limit(step: Step) -> str:
    return f"within {'' if math.isinf(step.within) else metres(step.within) + ' and '}{format_span(step.max_gap)}"


def _condition(selector: Selector | None) -> str:
    """The condition as written, in brackets, without the kind in front of it; a long one is in the clause already."""
    if selector is None or not selector.text:
        return ""
    written = selector.text.strip()
    _, where, rest = written.partition(" where ")
    written = rest.strip() if where else "" if written == selector.kind else written
    return f" ({written.removeprefix('value ')})" if 0 < len(written) <= _CONDITION_MAX else ""


def _selector(rule: RulePlan, event: Evidence, evidence: Sequence[Evidence]) -> Selector | None:
    """The selector an event passed in its role."""
    when = rule.when
    if isinstance(when, Match | Cluster | Silence):
        return when.of
    if isinstance(when, Absence):
        return when.after if event.role in (ANCHOR, JOINED, AFTER) else when.expected
    if not isinstance(when, Steps):
        return next((one for one in selectors_in(when) if covers(one.kind, event.kind)), None)
    steps = [when.first, *(step.of for step in when.then)]
    if event.role.startswith("step "):
        return steps[min(int(event.role[5:]), len(steps)) - 1]
    taken = {other.role for other in evidence}
    missing = [step for i, step in enumerate(steps) if f"step {i + 1}" not in taken and covers(step.kind, event.kind)]
    return missing[-1] if missing else steps[-1]
