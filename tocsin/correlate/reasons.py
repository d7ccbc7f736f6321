"""Why an alert stands, in words, distances and times: the clause of the rule that held, then one line for each event.

`3 distinct sources within 300 m and 10 min: 38 m, 61 m` and `smoke S-31 at 182 ug/m3 (>= 150 ug/m3), 38 m away, 27 s before`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.model.alert import Evidence
from tocsin.model.plan import Absence, Active, Cluster, Match, RulePlan, Silence
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector, covers
from tocsin.model.reading import selectors_in
from tocsin.model.time import HOUR, MINUTE, SECOND, format_span, to_iso

from .headline import number, unit_words
from .recheck import sources

ANCHOR, MEMBER, AFTER = "anchor", "member", "after"
_WORDS: Final = {30: AFTER, 31: "area", 32: "early", 33: "context"}
JOINED = "joined"  # the anchor of a later match of the same alert
_LINES_MAX: Final = 12
_TEXT_MAX: Final = 80
_CONDITION_MAX: Final = 60


def role_word(role: int) -> str:
    """The engine's role numbers (`firing.Firings.role`) as the words of `Evidence.role`."""
    if role == 0:
        return ANCHOR
    if role in _WORDS:
        return _WORDS[role]
    return f"step {role - 9}" if role >= 10 else MEMBER


def explain(rule: RulePlan, evidence: Sequence[Evidence], count: int, silent: str = "", notes: Sequence[str] = ()) -> tuple[str, ...]:
    """Reasons of one alert. `evidence`: roles in words, distances and gaps filled in. `silent`: who was not heard. `notes`: what was withdrawn."""
    return (clause(rule, evidence, count, silent), *lines(rule, evidence), *notes)


def lines(rule: RulePlan, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """One line for each event, and one for each exception of the rule: the reasons that depend on the evidence alone."""
    told = [line(event, _selector(rule, event, evidence)) for event in evidence[:_LINES_MAX]]
    if len(evidence) > _LINES_MAX:
        told.append(f"and {len(evidence) - _LINES_MAX} more events")
    return (*told, *(f"no {active.of.kind} active within {metres(active.within)}" for active in rule.unless if isinstance(active, Active)))


def clause(rule: RulePlan, evidence: Sequence[Evidence], count: int, silent: str = "") -> str:
    """The part of the rule that held, with the numbers it held by."""
    when = rule.when
    others = [event for event in evidence if event.distance_m is not None and event is not evidence[0]]
    if isinstance(when, Match):
        passed = f"{when.samples} in a row passed" if when.samples > 1 else "1 event passed" if count == 1 else f"{count} events passed"
        return f"{passed}: {_written(when.of)}"
    if isinstance(when, Cluster):
        distinct = len(sources(evidence))
        what = f"{distinct} distinct source{'s' * (distinct != 1)}" if when.sources > 1 else f"{len(evidence)} events"
        apart = ", ".join(metres(event.distance_m or 0.0) for event in others[:_LINES_MAX])
        return f"{what} within {metres(when.within)} and {format_span(when.during)}" + (f": {apart}" if apart else "")
    if isinstance(when, Absence):
        return f"no {_written(when.expected)} within {metres(when.within)} in the {format_span(when.during)} after {_written(when.after)}"
    if isinstance(when, Silence):
        last = f" (last at {to_iso(_second(evidence[-1].event_time))})" if evidence else " (never heard)"
        return f"nothing heard from {silent or 'it'} for {format_span(when.during)}{last}"
    if isinstance(when, Steps):
        return _steps(when, evidence)
    return f"{count} match{'es' * (count != 1)}: {rule.words.partition('. ')[0]}"


def line(event: Evidence, selector: Selector | None) -> str:
    """One event: what, how much, how far from the anchor and when."""
    parts = [_thing(event) + _condition(selector)]
    if event.role == ANCHOR or (event.distance_m == 0 and event.gap_us == 0):
        parts.append(f"at {to_iso(_second(event.event_time))}")
    else:
        if event.distance_m is not None:
            parts.append(f"{metres(event.distance_m)} away" if event.distance_m >= 0.5 else "at the same place")
        if event.gap_us is not None:
            parts.append(gap(event.gap_us))
    if event.ahead_us:
        span, taken = max(SECOND, event.ahead_us // SECOND * SECOND), event.event_time - event.ahead_us
        parts.append(f"dated {format_span(span)} too far into the future: taken as {to_iso(_second(taken))}")
    return ", ".join(parts)


def metres(distance: float) -> str:
    """`38 m`, `1.2 km`."""
    if distance < 999.5:
        return f"{distance:.0f} m"
    return f"{distance / 1000:.1f}".removesuffix(".0") + " km"


def gap(us: int) -> str:
    """`27 s before`: when an event was, seen from the anchor."""
    size = abs(us)
    step = SECOND // 10 if size < 10 * SECOND else SECOND if size < HOUR else MINUTE
    rounded = (size + step // 2) // step * step
    if not rounded:
        return "at the same time"
    return f"{format_span(rounded)} {'before' if us < 0 else 'after'}"


def _steps(when: Steps, evidence: Sequence[Evidence]) -> str:
    names = ", then ".join([_written(when.first), *(_written(step.of) for step in when.then)])
    limits = ", ".join(dict.fromkeys(f"within {metres(step.within)} and {format_span(step.max_gap)}" for step in when.then))
    apart = ", ".join(
        f"{metres(event.distance_m or 0.0)} and {format_span(abs(event.gap_us or 0) // SECOND * SECOND)} apart"
        for event in evidence[1 : len(when.then) + 1]
    )
    return f"{names}, each {limits} of the one before" + (f": {apart}" if apart else "")


def _thing(event: Evidence) -> str:
    name = event.kind.rsplit(".", 1)[-1].replace("_", " ")
    words = f"{name} {event.source or event.id}".strip()
    if event.value is not None:
        return f"{words} at {number(event.value)} {unit_words(event.unit)}".rstrip()
    text = " ".join((event.text or "").split())
    if not text:
        return words
    short = text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
    return short if (event.source or event.id) in short else f"{words}: {short}"


def _condition(selector: Selector | None) -> str:
    """The condition as written, in brackets, without the kind in front of it; a long one is in the clause already."""
    if selector is None or not selector.text:
        return ""
    written = selector.text.strip()
    _, where, rest = written.partition(" where ")
    written = rest.strip() if where else "" if written == selector.kind else written
    return f" ({written.removeprefix('value ')})" if 0 < len(written) <= _CONDITION_MAX else ""


def _written(selector: Selector) -> str:
    text = selector.text.strip()
    if not text or text == selector.kind:
        return selector.kind
    return text if text.startswith(selector.kind) else f"{selector.kind} where {text}"


def _second(us: int) -> int:
    return us // SECOND * SECOND


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
