"""A rule in plain words: when it fires, when it does not, and what becomes of further matches."""

from __future__ import annotations

from tocsin.model.length import format_length
from tocsin.model.time import format_span

from .condition import Condition
from .nodes import Absence, Active, Cluster, Match, Operator, Per, Rule, Sequence, Silence, Step


def words(rule: Rule) -> str:
    """`Fires when at least 2 different sources of fire.smoke with value >= 150 ug/m3 report within 300 m ...`"""
    sentences = [f"Fires {fires(rule.when)}."]
    sentences += [f"Not while {_active(one)}." for one in rule.unless]
    sentences.append(_joins(rule.alert.per))
    return " ".join(sentences)


def fires(when: Operator) -> str:
    """The operator's half-sentence, from `when` or `on` on."""
    if isinstance(when, Match):
        return _match(when)
    if isinstance(when, Cluster):
        return _cluster(when)
    if isinstance(when, Sequence):
        return f"when {_events(when.first)} is followed by " + ", then by ".join(_step(step) for step in when.then)
    if isinstance(when, Absence):
        near = f"within {format_length(when.within)} in the next {format_span(when.during)}"
        return f"when {_events(when.after)} is not followed by {_events(when.expect)} {near}"
    return _silence(when)


def _events(condition: Condition) -> str:
    return condition.kind + _with(condition)


def _with(condition: Condition) -> str:
    return f" with {condition.where}" if condition.where is not None else ""


def _match(when: Match) -> str:
    if when.samples == 1 and when.until is None:
        return f"on every event of {_events(when.of)}"
    row = f"{when.samples} events in a row" if when.samples > 1 else "an event"
    text = f"when a source of {when.of.kind} gives {row}{_with(when.of)}"
    if when.until is None:
        return f"{text}, and again only after one that does not pass"
    back = f"{when.samples} in a row" if when.samples > 1 else "one"
    return f"{text}, and again only after {back}{_with(when.until) or f' of {when.until.kind}'}"


def _cluster(when: Cluster) -> str:
    near = f"within {format_length(when.within)} of the one that completes the match and within {format_span(when.during)}"
    gap = f", different sources at least {format_span(when.min_gap)} apart" if when.min_gap else ""
    if when.events <= when.sources:
        return f"when at least {when.sources} different sources of {_events(when.of)} report {near}{gap}"
    sources = f" from at least {when.sources} different sources" if when.sources > 1 else ""
    return f"when at least {when.events} events of {_events(when.of)}{sources} happen {near}{gap}"


def _step(step: Step) -> str:
    soonest = f", but no sooner than {format_span(step.min_gap)}" if step.min_gap else ""
    return f"{_events(step.of)} within {format_length(step.within)} and {format_span(step.during)}{soonest}"


def _silence(when: Silence) -> str:
    text = f"when a {when.by} gives no {_events(when.of)} for {format_span(when.during)}"
    if when.declared:
        text += f"; {', '.join(when.declared)} must be heard from the start"
    return text


def _active(one: Active) -> str:
    return f"{_events(one.of)} is active within {format_length(one.within)} ({format_span(one.valid_for)} when it names no end)"


def _joins(per: Per | None) -> str:
    if per is None:
        return "Every match is an alert of its own."
    source = " of the same source" if per.source else ""
    place = f" within {format_length(per.place)}" if per.place is not None else ""
    return f"Further matches{source}{place} join the alert until {format_span(per.hold)} after the newest one."
