"""Hot reload: which rules of a new plan go on where those of the old one stood, and what each of them takes along.

Two degrees of kinship, both by name:

* The *same* rule (same version, so same meaning and same words): everything goes on, also its open alerts.
* A *reworded* rule (it still asks the same of events, but says something else, or thins or excuses differently): what it waits for
  goes on - samples in a row, absences pending, what was heard of each source. Its open alerts do not: they belong to the old version
  and stay as they are. A gap that the old version has reported is not reported again. An operator that keeps a history (`series/`) begins
  a new one when its guards or what closes its alerts changed; when only words or thinning did, the history goes on.

Every other rule is new. It starts with what the store of recent events already holds for the conditions that were in force before,
and with the standing facts that an equal exception already knew; it fires on nothing that arrived before it, and an `absence`
counts only for events dated after it. All this depends on the two plans and the state alone, never on sizes of tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from tocsin.model.plan import Plan, RulePlan, Silence
from tocsin.model.predicate import Selector

from .parts.needs import apart


@dataclass(frozen=True, slots=True)
class Kinship:
    """Index in the old plan -> index in the new one: of rules that are the `same`, and of those that go on waiting (`waits`:
    the same ones and the reworded ones). `reworded`: those of them whose histories go on, because what excuses and what closes them is as before."""

    same: Mapping[int, int]
    waits: Mapping[int, int]
    reworded: Mapping[int, int]


def kinship(before: Plan, after: Plan) -> Kinship:
    """Who goes on. Names are unique in a plan."""
    at = {rule.name: index for index, rule in enumerate(after.rules)}
    pairs = [(old, at[rule.name]) for old, rule in enumerate(before.rules) if rule.name in at]
    waits = {old: new for old, new in pairs if _asks(before.rules[old]) == _asks(after.rules[new])}
    same = {old: new for old, new in waits.items() if _is_same(before.rules[old], after.rules[new])}
    reworded = {old: new for old, new in waits.items() if old not in same and _judges(before.rules[old]) == _judges(after.rules[new])}
    return Kinship(same, waits, reworded)


def _is_same(one: RulePlan, other: RulePlan) -> bool:
    """The version is a hash of the whole meaning; the parts that the state rests on are compared as well, because a wrong answer
    would be silent."""
    return (
        one.version == other.version
        and one.alert.per == other.alert.per
        and all(meaning(getattr(one, part)) == meaning(getattr(other, part)) for part in ("when", "unless", "only"))
    )


def _asks(rule: RulePlan) -> Any:
    """What a rule asks of events. Which sources a `silence` knows beforehand is left out: the others were heard all the same."""
    when = rule.when
    return meaning(replace(when, declared=()) if isinstance(when, Silence) else when)


def _judges(rule: RulePlan) -> Any:
    """What besides its operator decides the shape of a rule's history: its guards, and how its alerts join and close."""
    alert = rule.alert
    return meaning((rule.unless, rule.only, alert.resolve, alert.dedup, apart(rule), isinstance(rule.when, Silence) and rule.when.declared))


def meaning(value: Any) -> Any:
    """A part of a plan as nested tuples, without the wording of its conditions."""
    if isinstance(value, tuple):
        return tuple(meaning(item) for item in value)
    if is_dataclass(value):
        left_out = {"text"} if isinstance(value, Selector) else set()
        return type(value).__name__, *(meaning(getattr(value, one.name)) for one in fields(value) if one.name not in left_out)
    return value


def newly_declared(before: Plan, after: Plan, kin: Kinship) -> set[tuple[int, str]]:
    """(rule of the new plan, name) of the sources that are declared now and were not before: their clocks start at the switch."""
    old = {new: before.rules[one].when for one, new in kin.waits.items()}
    found = set()
    for index, rule in enumerate(after.rules):
        if isinstance(rule.when, Silence):
            known = old.get(index)
            found |= {(index, name) for name in set(rule.when.declared) - set(known.declared if isinstance(known, Silence) else ())}
    return found
