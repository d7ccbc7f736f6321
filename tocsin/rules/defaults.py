"""What a rule leaves open and its feeds decide: the longest gap between two samples, from how often they are expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tocsin.model.plan import Match, ZoneEvent

from .nodes import Rule
from .produced import Produced


def complete(rule: Rule, feeds: Sequence[Produced]) -> Rule:
    """The rule with `max_gap` = twice the longest expected interval of its kind's feeds (SEMANTICS 17), where it needs one and has none.
    Without such an interval it stays open, and `check` says so."""
    when = rule.when
    if not (isinstance(when, Match | ZoneEvent) and when.lasting and not when.max_gap):
        return rule
    expected = [feed.expected for feed in feeds if feed.makes(when.of.kind)]
    if not expected or any(one is None for one in expected):
        return rule
    return replace(rule, when=replace(when, max_gap=2 * max(one for one in expected if one is not None)))


def needs_gap(rule: Rule) -> bool:
    """Whether `max_gap` is still open."""
    return isinstance(rule.when, Match | ZoneEvent) and rule.when.lasting > 0 and not rule.when.max_gap
