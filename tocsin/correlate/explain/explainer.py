"""From a question to its answer: what must be read of the journal, and what is made of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.model.explanation import Explanation, Question
from tocsin.model.plan import Absence, Alerts, Cluster, Match, RulePlan, Silence
from tocsin.model.plan import Sequence as Steps
from tocsin.model.reading import reach, selectors, window
from tocsin.model.time import DAY, HOUR, MINUTE, format_span, to_iso

from .answer import answer
from .gather import Gatherer, Knowing, Scope
from .pauses import Pace, Pauses, needed, told_of
from .scene import Scene
from .told import Told, as_events

#: Match times that are asked about when nobody says: the rule's own span within these bounds.
SPANS: Final = (10 * MINUTE, HOUR)
#: How near when nobody says and the rule has no distance of its own, metres.
WITHIN: Final = 1_000.0
#: How far back facts are read at most, however long the rule remembers.
BACK_MAX: Final = 2 * DAY


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question made complete, and what to read for it. `scope`: of the facts. `first`: the journal clock from which entries are read; `until`:
    up to which (they can hold facts of the scope). `rules`: whose alerts are asked for. `short`: the rule looks farther back."""

    rule: RulePlan
    knowing: Knowing
    question: Question
    start: int
    within: float
    scope: Scope
    first: int
    until: int
    rules: tuple[str, ...]
    short: bool


def inquire(rule: RulePlan, knowing: Knowing, question: Question, now: int) -> Inquiry:
    """`now`: the journal clock."""
    span = question.span if question.span is not None else min(max(window(rule.when), SPANS[0]), SPANS[1])
    start = question.at - span
    back = _back(rule)
    since = start - min(back, BACK_MAX)
    known = now if question.with_late else min(question.at, now)
    longest = max([knowing.plan.lateness, *knowing.lateness.values()])
    skew = max([knowing.plan.skew, *knowing.skews.values()])
    kinds = frozenset(of.kind for one in _needed(rule, knowing) for of in selectors(one))
    within = question.within if question.within is not None else own_radius(rule) or WITHIN
    return Inquiry(
        rule,
        knowing,
        question,
        start,
        within,
        Scope(kinds, since, question.at + _ahead(rule), known),
        since - skew,
        now if question.with_late else min(now, question.at + longest),
        _read_rules(rule),
        back > BACK_MAX,
    )


def _back(rule: RulePlan) -> int:
    """How far before the first match time facts can matter; a state may have begun long before, so it is given some time to show."""
    when = rule.when
    longest = max(reach(rule), window(when))
    if isinstance(when, Cluster | Steps | Alerts):
        return longest + MINUTE
    if isinstance(when, Match) and when.samples <= 1 and when.until is None and not when.lasting:
        return max(longest, 10 * MINUTE)
    if isinstance(when, Absence | Silence):
        return 2 * longest + 10 * MINUTE
    return 2 * longest + HOUR


def _ahead(rule: RulePlan) -> int:
    """How far after its anchor an event of a match may lie: where what arrives last completes it, it need not be the newest."""
    return window(rule.when) if isinstance(rule.when, Cluster | Steps | Alerts) else 0


def own_radius(rule: RulePlan) -> float | None:
    """The distance a rule itself asks for, metres; None without one."""
    when = rule.when
    within = [when.within] if isinstance(when, Cluster | Absence | Alerts) else []
    within += [step.within for step in when.then] if isinstance(when, Steps) else []
    finite = [one for one in within if math.isfinite(one) and one > 0]
    return max(finite) if finite else None


def _read_rules(rule: RulePlan) -> tuple[str, ...]:
    """Rules whose alerts this one looks at, itself first."""
    kinds = [of.kind.removeprefix("alert.") for of in selectors(rule) if of.kind.startswith("alert.")]
    named = [name for part in (rule.when, *rule.unless, *rule.only) for name in getattr(part, "rules", ())]
    return tuple(dict.fromkeys((rule.name, *rule.reads, *named, *kinds)))


def _needed(rule: RulePlan, knowing: Knowing) -> list[RulePlan]:
    """The rule, and those whose anchors it may ask about."""
    return [rule, *(one for one in knowing.plan.rules if one.name in _read_rules(rule)[1:])]


@dataclass(slots=True)
class Explainer:
    """Takes what is read for an inquiry, and answers. `feeds`: feed -> kinds it declares. `paces`: as in `Pauses`. `notes`: what the reader could
    not read."""

    inquiry: Inquiry
    feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    gatherer: Gatherer = field(init=False)
    pauses: Pauses = field(init=False)

    def __post_init__(self) -> None:
        inquiry = self.inquiry
        self.gatherer = Gatherer(inquiry.scope, inquiry.knowing)
        self.pauses = Pauses(self.paces, inquiry.start - window(inquiry.rule.when), inquiry.question.at)

    def take(self, entry: Any) -> None:
        """One entry of the journal, in order. Raises Skippable when there is more than can be held."""
        self.gatherer.take(entry)
        self.pauses.take(entry)

    def answer(self, told: Told) -> Explanation:
        """The explanation. `told`: alerts of `inquiry.rules` as they were known."""
        scene = self.scene(told)
        return told_of(answer(scene, self.inquiry.question), self.pauses.of(needed(scene, self.inquiry.scope.kinds)))

    def scene(self, told: Told) -> Scene:
        """Everything that was taken, ready to be looked at."""
        inquiry, question = self.inquiry, self.inquiry.question
        others = [
            one for rule in inquiry.rules[1:] for one in told.of(rule) if one["status"] != "retracted" and one["opened"] <= question.at
        ]
        others.sort(key=lambda one: (one["known_at"], one["id"]))
        facts = self.gatherer.facts([as_events(others)] if others else [])
        place = (math.nan, math.nan) if question.lon is None or question.lat is None else (question.lon, question.lat)
        return Scene(
            inquiry.rule,
            inquiry.knowing.plan,
            facts,
            told,
            *place,
            math.inf if math.isnan(place[0]) else inquiry.within,
            inquiry.start,
            question.at,
            self.gatherer.known,
            inquiry.scope.start,
            dict(self.gatherer.newest),
            dict(self.feeds),
            question.with_late,
            [*self.notes, *self._notes()],
        )

    def _notes(self) -> Iterable[str]:
        inquiry, gatherer = self.inquiry, self.gatherer
        if inquiry.short:
            seen = format_span(BACK_MAX)
            yield f"what happened before {to_iso(inquiry.scope.start)} was not read, though the rule may look back farther than {seen}"
        if gatherer.unknown:
            yield f"{gatherer.unknown} events of these kinds and this time were learnt only after {to_iso(inquiry.scope.known)}; ask for what is known now to count them"
        if gatherer.beyond and not inquiry.question.with_late:
            yield f"{gatherer.beyond} events came too late for the live engine, and were left to be reconciled"
