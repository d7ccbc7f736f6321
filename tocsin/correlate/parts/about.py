"""Conditions about alerts of other rules in the alert part: what of them is active near an alert, shown with it, or what it rests on.

An alert of another rule is a fact from when it is raised until it is retracted: at its anchor's place, at the time it opened, with its anchor's value
and fields (docs/decisions/0009-alerts-as-facts.md). What an alert rests on are events: of alerts the events that anchor them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin.correlate.outcome import holds
from tocsin.model.alert import Evidence
from tocsin.model.plan import Active, Context, Plan, RulePlan
from tocsin.model.predicate import Compare, Expr, Not, Selector
from tocsin.model.reading import alert_of

#: Name of the part that an arrival is counted from.
SINCE: Final = "since"
#: Name of the part that closes what was learnt late.
ENDING: Final = "until"
_ATTRS: Final = "attrs."


@dataclass(frozen=True, slots=True)
class Ask:
    """What a part of a rule (its index) asks of the alerts of another rule. `part`: `active <step>`, `context <number>`, `where <step>`, `since`, `until`."""

    rule: int
    part: str
    of: Selector
    fields: tuple[str, ...]

    @property
    def key(self) -> str:
        """Short for what an alert passes."""
        return f"{self.rule} {self.part}"


class About:
    """Of one plan. `fields`: rule read -> fields of its anchors that are asked for."""

    def __init__(self, plan: Plan) -> None:
        at = {rule.name: index for index, rule in enumerate(plan.rules)}
        self._asks: dict[int, list[Ask]] = {}
        for index, rule in enumerate(plan.rules):
            for ask in asks_of(index, rule):
                name = alert_of(ask.of.kind)
                if name in at:
                    self._asks.setdefault(at[name], []).append(ask)
        self.fields = {rule: tuple(dict.fromkeys(name for ask in asks for name in ask.fields)) for rule, asks in self._asks.items()}
        self._resting = {rule: tuple(dict.fromkeys(ask.rule for ask in asks if _rests(ask))) for rule, asks in self._asks.items()}
        self._anchored: dict[int, dict[str, tuple[frozenset[str], int]]] = {}  # event -> alert it anchors -> what it passes, when it opened

    def __bool__(self) -> bool:
        return bool(self._asks)

    @property
    def rules(self) -> Iterable[int]:
        """Rules whose alerts are looked at, and those that look at them."""
        return {*self._asks, *(ask.rule for asks in self._asks.values() for ask in asks)}

    def read(self, rule: int) -> bool:
        """Whether parts of other rules look at the alerts of a rule."""
        return rule in self._asks

    def passed(self, rule: int, fact: Evidence | None, links: Mapping[str, Any]) -> tuple[str, ...]:
        """What an alert of a rule passes. `fact`: its anchor, None when it has none."""
        return tuple(ask.key for ask in self._asks.get(rule, ()) if _passes(ask.of, fact, links))

    def near(self, rule: int) -> list[Ask]:
        """Parts that look for alerts of a rule near them."""
        return [ask for ask in self._asks.get(rule, ()) if not _rests(ask)]

    def resting(self, rule: int) -> tuple[int, ...]:
        """Rules that look for anchors of a rule's alerts among what theirs rest on."""
        return self._resting.get(rule, ())

    def stands(self, alert: str, anchor: int, passed: Iterable[str], opened: int) -> None:
        """An alert that is looked for among evidence is known, or has changed."""
        self._anchored.setdefault(anchor, {})[alert] = frozenset(passed), opened

    def falls(self, alert: str, anchor: int) -> None:
        """It is retracted or forgotten."""
        known = self._anchored.get(anchor, {})
        known.pop(alert, None)
        if not known:
            self._anchored.pop(anchor, None)

    def newest(self, rule: int, part: str, evidence: Iterable[int]) -> int:
        """When the newest alert opened that a part asks for and that one of these events anchors; -1 for none."""
        if not self._anchored:
            return -1
        key = f"{rule} {part}"
        found = (known for seq in evidence for known in self._anchored.get(seq, {}).values())
        return max((opened for passed, opened in found if key in passed), default=-1)


def asks_of(index: int, rule: RulePlan) -> Iterator[Ask]:
    """What the alert part of a rule asks of alerts. What closes it closes those that were learnt late; the others are closed as they are joined
    (`grouping.py`)."""
    alert = rule.alert
    resolve = alert.resolve
    if resolve is not None and resolve.until is not None and about_alerts(resolve.until):
        yield Ask(index, ENDING, resolve.until, tuple(dict.fromkeys([*resolve.same, *_attributes(resolve.until.where)])))
    for number, step in enumerate(alert.severity_rule.steps if alert.severity_rule is not None else ()):
        for name, part in (("where", step.where), ("active", step.active)):
            yield from _ask(index, f"{name} {number}", part)
    for number, context in enumerate(alert.context):
        yield from _ask(index, f"context {number}", context)
    yield from _ask(index, SINCE, alert.eta.since if alert.eta is not None else None)


def about_alerts(selector: Selector | None) -> bool:
    """Whether a condition is about alerts."""
    return selector is not None and alert_of(selector.kind) is not None


def _ask(index: int, part: str, of: Active | Context | Selector | None) -> Iterator[Ask]:
    selector = of if isinstance(of, Selector) else of.of if of is not None else None
    if selector is not None and about_alerts(selector):
        same = of.same if isinstance(of, Active) else ("source",) if isinstance(of, Context) else ()
        yield Ask(index, part, selector, tuple(dict.fromkeys([*same, *_attributes(selector.where)])))


def _attributes(where: Expr | None) -> Iterator[str]:
    if isinstance(where, Compare):
        yield from [where.field] if where.field.startswith(_ATTRS) else []
    elif isinstance(where, Not):
        yield from _attributes(where.term)
    elif where is not None:
        for term in where.terms:
            yield from _attributes(term)


def _rests(ask: Ask) -> bool:
    return ask.part.startswith(("where", SINCE))


def _passes(of: Selector, fact: Evidence | None, links: Mapping[str, Any]) -> bool:
    if of.where is None and of.at_least is None and of.dimension is None:
        return True
    return fact is not None and holds(of, fact, {name: value for name, value in links.items() if name.startswith(_ATTRS)})
