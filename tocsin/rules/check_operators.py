"""Operators that look at single events and neighbours: what in them can never fire, contradicts itself, or would fire on everything."""

from __future__ import annotations

import math
from collections.abc import Sequence as Many

from tocsin.kernel.fault import nearest
from tocsin.model.plan import Absence, Cluster, Match, Sequence, Silence
from tocsin.model.predicate import covers
from tocsin.model.time import format_span

from .check_conditions import implied
from .check_history import check_history
from .check_pace import check_pace
from .common_keys import DURING_MAX
from .defaults import needs_gap
from .findings import Looked
from .satisfy import always
from .selectors import predicate, value_dimensions


def check_operator(one: Looked) -> None:
    """The operator of a rule."""
    when = one.rule.when
    if isinstance(when, Match):
        _match(one, when)
    elif isinstance(when, Cluster):
        _cluster(one, when)
    elif isinstance(when, Sequence):
        _sequence(one, when)
    elif isinstance(when, Absence):
        if math.isinf(when.within) and not when.same:
            one.bad("when.absence", "'within' is missing: how near it must be; without it, same must say what links them")
    elif isinstance(when, Silence):
        _silence(one, when)
    else:
        check_history(one, when)
    check_pace(one, when)
    if isinstance(when, Cluster | Sequence) and one.rule.alert.per is None:
        name = one.rule.operator
        one.doubt(
            "alert",
            f"every further event that completes the {name} raises another alert; write per, as in per: {{place: 500 m, hold: 30 min}}",
        )


def never_fires(what: str, needed: int, during: int) -> str:
    """The message about a window that is too short."""
    return f"can never fire: {what} {format_span(needed)}, but during is {format_span(during)}"


def _match(one: Looked, when: Match) -> None:
    if needs_gap(one.rule):
        one.bad("when.match.for", f"max_gap is missing and no feed of {when.of.kind} declares expected_every; write max_gap: 2 min")
    elif when.max_gap and not when.lasting:
        one.bad("when.match.max_gap", "is about for, which is missing; write for: 10 min, or leave it out")
    plain = when.samples == 1 and when.until is None and not when.lasting
    alert = one.rule.alert
    if plain and when.of.where is None and when.of.at_least is None and not (alert.per or alert.dedup or alert.budget or one.rule.only):
        one.doubt("when.match.of", f"every event of {when.of.kind} raises an alert; write where, or per or budget of alert")
    where = one.rule.conditions["when.match.of"].where
    if where is not None and always(predicate(where)):
        what = f"holds for every event of {when.of.kind} that has what it asks for"
        one.doubt("when.match.of", f"{what}; leave where out, or write per or budget of alert")
    if when.until is None:
        return
    kinds = (when.of.kind, when.until.kind)
    if not (covers(*kinds) or covers(*reversed(kinds))):
        one.bad(
            "when.match.until",
            f"is about {when.until.kind}, but the rule is about {when.of.kind}; both conditions judge the same source's events",
        )
    written = one.rule.conditions
    dimensions = value_dimensions(written["when.match.of"]) + value_dimensions(written["when.match.until"])
    if len(set(dimensions)) > 1:
        one.bad("when.match.until", f"compares value in {dimensions[-1]}, but of compares it in {dimensions[0]}")
    elif covers(when.until.kind, when.of.kind) and implied(written["when.match.of"], written["when.match.until"]):
        what = "every event that turns it on also passes this, so it turns off at the next one and on again"
        one.doubt("when.match.until", f"{what}; ask for what of does not, as in value < 3 m for an of with value >= 4 m")


def _cluster(one: Looked, when: Cluster) -> None:
    if when.sources == 1 and when.events == 1:
        one.bad("when.cluster", "a cluster of one event is a match; write sources or events of at least 2")
    if 1 < when.events <= when.sources:
        one.doubt("when.cluster.events", f"{when.events} events are implied by {when.sources} sources; leave it out, or ask for more")
    needed = when.min_gap * (when.sources - 1)
    if needed > when.during:
        who = f"{when.sources} sources {format_span(when.min_gap)} apart need"
        one.bad("when.cluster.min_gap", never_fires(who, needed, when.during))
    if when.distinct != "source" and when.sources == 1:
        one.bad(
            "when.cluster.distinct", "says how sources are told apart, but no more than one is asked for; write sources: 2, or leave it out"
        )
    contradiction(one, "when.cluster", when.same, (when.distinct,) if when.sources > 1 else ())


def _sequence(one: Looked, when: Sequence) -> None:
    for index, step in enumerate(when.then, 1):
        path = f"when.sequence.then[{index}]"
        if math.isinf(step.within) and not when.same:
            one.bad(path, "'within' is missing: how near to the step before; without it, same must say what links the steps")
        if not when.any_order and f"{path}.during" not in one.rule.lines:
            one.bad(path, "'during' is missing: longest time after the step before")
        elif step.min_gap > step.max_gap:
            one.bad(f"{path}.min_gap", never_fires("this step needs", step.min_gap, step.max_gap))
    if when.any_order:
        if not when.during:
            one.bad("when.sequence.any_order", "'during' is missing: longest time between the earliest and the latest of them")
        for index, step in enumerate(when.then, 1):
            if when.during and step.max_gap > when.during:
                one.bad(f"when.sequence.then[{index}].during", f"is longer than the whole, {format_span(when.during)}; leave it out")
    else:
        whole = sum(step.max_gap for step in when.then)
        if whole > DURING_MAX:
            one.bad("when.sequence.then", f"the steps together may last {format_span(whole)}; at most {format_span(DURING_MAX)}")
        least = sum(step.min_gap for step in when.then)
        if when.during and least > when.during:
            one.bad("when.sequence.during", never_fires("the steps need", least, when.during))
    contradiction(one, "when.sequence", when.same, when.differs)


def contradiction(one: Looked, path: str, same: Many[str], differs: Many[str]) -> None:
    """Fields in which events must agree and must not."""
    for name in same:
        if name in differs:
            one.bad(f"{path}.same", f"can never fire: no two events agree in {name} and differ in it; take it out of one of the two")


def _silence(one: Looked, when: Silence) -> None:
    if when.by != "feed":
        return
    if one.rule.unless:
        one.doubt("unless", "an alert about a silent feed has no place, so this never applies; use by: source")
    if when.area is not None:
        one.bad("when.silence.area", "is about the sources of an area, but by is feed; write by: source")
    if one.feeds is not None:
        names = [feed.feed for feed in one.feeds]
        for name in when.declared:
            if name not in names:
                one.bad("when.silence.declared", f"there is no feed {name!r}; {nearest(name, names)}")
