"""What guards (`unless`, `while`) look at, apart from what rules match: the same events under kinds of their own, so that an evaluation can
show them to guards at another time than to matches.

Live, a guard is judged by what is known when a match is. A warning, or its end, that is learnt a little later has not moved on when it
came, but what it says is of an earlier time. So the evaluation without what came late shows it to guards when it came, as it was; the one
with it shows it when it happened, as it should have been. So it is with the samples that a rule counts in a row (`match` with `samples` or `until`): one that
came out of order is shown to it when it came, and is left aside as it was, or when it happened. And so it is with events that were taken back: a rule
that goes by samples before a match (in a row, or as a history) sees them until that was learnt, as it was, or never. And so it is with the areas of
`inside`, which were in force until their cancel: it is learnt when it came, as it was, or at once."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import pyarrow as pa

from tocsin.correlate.series.which import outside
from tocsin.model.plan import Absence, Alerts, Inside, Match, Plan, RulePlan, Silence, Zones
from tocsin.model.predicate import Selector
from tocsin.model.reading import alert_of, selectors_in

#: First part of the kinds that guards look at.
OWN: Final = "~"
#: First part of the kinds that rules look at which go by samples.
SAMPLES: Final = "="
#: First part of the kinds that areas of `inside` are made of.
AREAS: Final = "#"


def guard_kinds(plan: Plan) -> frozenset[str]:
    """Kinds of events that guards ask for."""
    found = (of.kind for rule in plan.rules for of in selectors_in((*rule.unless, *rule.only)))
    return frozenset(kind for kind in found if alert_of(kind) is None)


def areas_in(rule: RulePlan) -> tuple[Selector, ...]:
    """What the areas of an `inside` are made of: nothing for zones of a layer, and for other operators."""
    when = rule.when
    return () if not isinstance(when, Inside) or isinstance(when.area, Zones) else tuple(selectors_in(when.area))


def area_kinds(plan: Plan) -> frozenset[str]:
    """Kinds of events that such areas are made of."""
    return frozenset(of.kind for rule in plan.rules for of in areas_in(rule))


def sampled(rule: RulePlan) -> bool:
    """Whether the kernels count samples in a row for a rule: one that comes out of order they leave aside, and it is judged here."""
    when = rule.when
    return isinstance(when, Match) and (when.samples > 1 or when.until is not None) and not outside(rule)


def sampled_kinds(plan: Plan) -> frozenset[str]:
    """Kinds of events of which such rules count samples."""
    return frozenset(of.kind for rule in plan.rules if sampled(rule) for of in selectors_in(rule.when))


def remembering(rule: RulePlan) -> bool:
    """Whether a rule keeps a history, or waits for an answer, that a cancel may change too late for it. What was heard stays heard, so silence does
    not ask again, and an area that was taken back was there for a while."""
    return isinstance(rule.when, Absence) or (outside(rule) and not isinstance(rule.when, Alerts | Silence | Inside))


def remembered_kinds(plan: Plan) -> frozenset[str]:
    """Kinds of events that are in such histories."""
    return frozenset(of.kind for rule in plan.rules if remembering(rule) for of in selectors_in(rule.when) if alert_of(of.kind) is None)


def apart(plan: Plan, undone: bool) -> Plan:
    """The same rules, with guards, and rules that go by samples, that look at kinds of their own. `undone`: histories, too."""
    return replace(plan, rules=tuple(_apart(rule, undone) for rule in plan.rules))


def _apart(rule: RulePlan, undone: bool) -> RulePlan:
    when = _renamed(rule.when, SAMPLES) if sampled(rule) or (undone and remembering(rule)) else rule.when
    if isinstance(when, Inside) and areas_in(rule):
        when = replace(when, area=_renamed(when.area, AREAS))
    return replace(rule, when=when, unless=_renamed(rule.unless, OWN), only=_renamed(rule.only, OWN))


def own_kinds(batch: pa.RecordBatch, own: str) -> pa.RecordBatch:
    """A batch as guards, or rules that go by samples, see it."""
    column = batch.column("kind")
    names = pa.array([f"{own}.{name}" for name in column.dictionary.to_pylist()], column.dictionary.type)
    at = batch.schema.get_field_index("kind")
    return batch.set_column(at, batch.schema.field(at), pa.DictionaryArray.from_arrays(column.indices, names))


def _renamed(node: Any, own: str) -> Any:
    if isinstance(node, Selector):
        return node if alert_of(node.kind) is not None else replace(node, kind=f"{own}.{node.kind}")
    if isinstance(node, tuple):
        return tuple(_renamed(one, own) for one in node)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{one.name: _renamed(getattr(node, one.name), own) for one in fields(node) if one.init})
    return node
