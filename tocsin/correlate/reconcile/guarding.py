"""What guards (`unless`, `while`) look at, apart from what rules match: the same events under kinds of their own, so that an evaluation can
show them to guards at another time than to matches.

Live, a guard is judged by what is known when a match is. A warning, or its end, that is learnt a little later has not moved on when it
came, but what it says is of an earlier time. So the evaluation without what came late shows it to guards when it came, as it was; the one
with it shows it when it happened, as it should have been. So it is with the samples that a rule counts in a row (`match` with `samples` or `until`): one that
came out of order is shown to it when it came, and is left aside as it was, or when it happened."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import pyarrow as pa

from tocsin.correlate.series.which import outside
from tocsin.model.plan import Match, Plan, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.reading import alert_of, selectors_in

#: First part of the kinds that guards look at.
OWN: Final = "~"


def guard_kinds(plan: Plan) -> frozenset[str]:
    """Kinds of events that guards ask for."""
    found = (of.kind for rule in plan.rules for of in selectors_in((*rule.unless, *rule.only)))
    return frozenset(kind for kind in found if alert_of(kind) is None)


def sampled(rule: RulePlan) -> bool:
    """Whether the kernels count samples in a row for a rule: one that comes out of order they leave aside, and it is judged here."""
    when = rule.when
    return isinstance(when, Match) and (when.samples > 1 or when.until is not None) and not outside(rule)


def sampled_kinds(plan: Plan) -> frozenset[str]:
    """Kinds of events of which such rules count samples."""
    return frozenset(of.kind for rule in plan.rules if sampled(rule) for of in selectors_in(rule.when))


def apart(plan: Plan) -> Plan:
    """The same rules, with guards, and rules that count samples, that look at kinds of their own."""
    return replace(plan, rules=tuple(map(_apart, plan.rules)))


def _apart(rule: RulePlan) -> RulePlan:
    when = _renamed(rule.when) if sampled(rule) else rule.when
    return replace(rule, when=when, unless=_renamed(rule.unless), only=_renamed(rule.only))


def own_kinds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch as guards see it."""
    column = batch.column("kind")
    names = pa.array([f"{OWN}.{name}" for name in column.dictionary.to_pylist()], column.dictionary.type)
    at = batch.schema.get_field_index("kind")
    return batch.set_column(at, batch.schema.field(at), pa.DictionaryArray.from_arrays(column.indices, names))


def _renamed(node: Any) -> Any:
    if isinstance(node, Selector):
        return node if alert_of(node.kind) is not None else replace(node, kind=f"{OWN}.{node.kind}")
    if isinstance(node, tuple):
        return tuple(map(_renamed, node))
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{one.name: _renamed(getattr(node, one.name)) for one in fields(node) if one.init})
    return node
