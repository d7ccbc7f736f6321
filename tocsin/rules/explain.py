"""A rule in plain words: when it fires, when it does not, and what becomes of further matches."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tocsin.model import plan
from tocsin.model.length import format_length
from tocsin.model.time import format_span

from .explain_alert import lives
from .explain_history import history
from .nodes import Rule
from .wording import events, guarded, near, with_


def words(rule: Rule) -> str:
    """`Fires when at least 2 different sources of fire.smoke with value >= 150 ug/m3 report within 300 m ...`"""
    amounts = {path.rpartition(".")[2]: str(amount) for path, amount in rule.amounts.items()}
    sentences = [f"Fires {fires(rule.when, amounts)}."]
    sentences += [f"Only while {guarded(one)}." for one in rule.only]
    sentences += [f"Not while {guarded(one)}." for one in rule.unless]
    return " ".join([*sentences, *lives(rule.alert)])


def fires(when: plan.Operator, amounts: Mapping[str, str]) -> str:
    """The operator's half-sentence, from `when` or `on` on. `amounts`: numbers with units as written, by key."""
    if isinstance(when, plan.Match):
        return _match(when)
    if isinstance(when, plan.Cluster):
        return _cluster(when)
    if isinstance(when, plan.Sequence):
        return _sequence(when)
    if isinstance(when, plan.Absence):
        close = f"within {format_length(when.within)} " if math.isfinite(when.within) else ""
        agreeing = f" with the same {_named(when.same)}" if when.same else ""
        return (
            f"when {events(when.after)} is not followed by {events(when.expected)}{agreeing} {close}in the next {format_span(when.during)}"
        )
    return _silence(when) if isinstance(when, plan.Silence) else history(when, amounts)


def _match(when: plan.Match) -> str:
    if when.samples == 1 and when.until is None and not when.lasting:
        return f"on every event of {events(when.of)}"
    row = f"{when.samples} events in a row" if when.samples > 1 else "an event"
    if when.lasting:
        row = f"{when.samples if when.samples > 1 else 'only'} events"
    text = f"when a source of {when.of.kind} gives {row}{with_(when.of)}"
    if when.lasting:
        text += f" for {format_span(when.lasting)}" + (f", never more than {format_span(when.max_gap)} apart" if when.max_gap else "")
    if when.until is None:
        return f"{text}, and again only after one that does not pass"
    back = f"{when.samples} in a row" if when.samples > 1 else "one"
    return f"{text}, and again only after {back}{with_(when.until) or f' of {when.until.kind}'}"


def _cluster(when: plan.Cluster) -> str:
    where = f"within {format_length(when.within)} of the one that completes the match and within {format_span(when.during)}"
    gap = f", different sources at least {format_span(when.min_gap)} apart" if when.min_gap else ""
    gap += f", all with the same {_named(when.same)}" if when.same else ""
    different = "different sources" if when.distinct == "source" else f"different {when.distinct}"
    if when.events <= when.sources:
        return f"when at least {when.sources} {different} of {events(when.of)} report {where}{gap}"
    sources = f" from at least {when.sources} {different}" if when.sources > 1 else ""
    return f"when at least {when.events} events of {events(when.of)}{sources} happen {where}{gap}"


def _sequence(when: plan.Sequence) -> str:
    links = f", all with the same {_named(when.same)}" if when.same else ""
    links += f", all with different {_named(when.differs)}" if when.differs else ""
    if when.any_order:
        others = " and ".join(_step(step, when.during) for step in when.then)
        return f"when {events(when.first)} and {others} happen in any order within {format_span(when.during)}{links}"
    whole = f", all of it within {format_span(when.during)}" if when.during else ""
    return f"when {events(when.first)} is followed by " + ", then by ".join(_step(step) for step in when.then) + whole + links


def _step(step: plan.Step, overall: int = 0) -> str:
    limits = [format_length(step.within)] if math.isfinite(step.within) else []
    limits += [format_span(step.max_gap)] if step.max_gap != overall else []
    soonest = f", but no sooner than {format_span(step.min_gap)}" if step.min_gap else ""
    return events(step.of) + (f" within {' and '.join(limits)}" if limits else "") + soonest


def _silence(when: plan.Silence) -> str:
    text = f"when a {when.by} gives no {events(when.of)} for {format_span(when.during)}"
    if when.declared:
        text += f"; {', '.join(when.declared)} must be heard from the start"
    if when.area:
        one = when.area
        share = f"{one.share * 100:g} % of at least {one.least} sources {near(one.within)}"
        text += f"; when {share} turn silent within {format_span(one.together)}, one alert for the area holds those of its sources"
    return text


def _named(fields: tuple[str, ...]) -> str:
    return " and ".join(fields)
