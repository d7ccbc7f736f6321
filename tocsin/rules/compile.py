"""Checked rules to the plan the engine runs: with the shapes of their zones, what they say in words, and a version that is a hash of the meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass, replace
from functools import cache
from typing import Any

from tocsin.model import plan
from tocsin.model.predicate import Selector

from .explain import words
from .nodes import Rule, alerts_read
from .zones import Shapes, bind


def compile_rule(rule: Rule, shapes: Shapes | None = None, baselines: Mapping[str, plan.Baseline] | None = None) -> plan.RulePlan:
    """One rule as the engine runs it. The rule must have passed `check`. `shapes`: the areas of the layers that rules name.
    `baselines`: what was learnt, by rule."""
    when = bind(rule.when, shapes or {})
    learnt = (baselines or {}).get(rule.name)
    if isinstance(when, plan.Rate) and when.baseline is not None and learnt is not None:
        when = replace(when, baseline=replace(when.baseline, digest=learnt.digest, learnt=learnt.learnt))
    unless, only = bind(rule.unless, shapes or {}), bind(rule.only, shapes or {})
    return plan.RulePlan(
        name=rule.name,
        version=version(rule.name, when, unless, only, rule.alert),
        title=rule.title,
        why=rule.why,
        when=when,
        alert=rule.alert,
        unless=unless,
        words=words(rule),
        text=rule.text,
        file=rule.file,
        line=rule.line,
        only=only,
        reads=alerts_read(rule),
        source=rule.source,
    )


def version(name: str, when: plan.Operator, unless: tuple[plan.Guard, ...], only: tuple[plan.Guard, ...], alert: plan.AlertSpec) -> str:
    """12 hex digits over everything that decides which alerts are raised and what they say; not over comments, layout, key order,
    the spelling of a length or span, the title, the reason or the file. Parts of later editions of the language that a rule does not
    use do not count, so that it keeps its version when the language grows."""
    meaning = {
        "rule": name,
        "operator": type(when).__name__,
        "when": _meaning(when),
        "unless": _meaning(unless),
        "alert": _meaning(alert),
    }
    if only:
        meaning["only"] = _meaning(only)
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _meaning(value: Any) -> Any:
    """A node of the plan as plain tables: selectors without their wording (`text` says how a condition was written, not what it means)."""
    if isinstance(value, tuple):
        return [_meaning(inner) for inner in value]
    parts = _counting(value.__class__)
    if parts is None:
        return value
    found = ((one, getattr(value, one.name)) for one in parts)
    return {one.name: _meaning(inner) for one, inner in found if not ("since" in one.metadata and inner == one.default)}


@cache
def _counting(kind: type) -> tuple[Field[Any], ...] | None:
    """Fields of a node that may count; None for a plain value."""
    if not is_dataclass(kind):
        return None
    return tuple(one for one in fields(kind) if "unhashed" not in one.metadata and not (issubclass(kind, Selector) and one.name == "text"))
