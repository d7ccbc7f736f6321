"""What a single key cannot show: rules against one another, against what the feeds produce, and against the city's layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many

from tocsin.kernel.fault import nearest
from tocsin.model.plan import Fold

from .check_alert import check_alert
from .check_conditions import check_condition
from .check_guards import check_guards
from .check_links import check_links
from .check_operators import check_operator
from .findings import Findings, Looked
from .nodes import Rule, alerts_read
from .produced import Produced

__all__ = ["Findings", "check_rules"]


def check_rules(
    rules: Iterable[Rule],
    feeds: Many[Produced] | None = None,
    layers: Mapping[str, Many[str]] | None = None,
    *,
    in_force: bool = False,
) -> Findings:
    """Everything wrong or doubtful with rules that parse. `feeds`: None when they are not known (a rule file on its own). `layers`: names of the
    areas of every layer of polygons, None when not known. `in_force`: the rules have been in force once, so a journal is read with them: what is refused
    of them today is a warning."""
    findings = Findings()
    known = list(rules)
    first: dict[str, Rule] = {}
    for rule in known:
        one = Looked(rule, feeds, findings)
        if rule.name in first:
            other = first[rule.name]
            one.bad("rule", f"a rule {rule.name!r} is already defined at {other.file}:{other.line}; names are unique in a city")
        first.setdefault(rule.name, rule)
        for path, condition in rule.conditions.items():
            check_condition(one, path, condition)
        check_operator(one)
        check_guards(one)
        check_alert(one)
        check_links(one)
        _check_layers(one, layers)
    for rule in first.values():
        _check_names(Looked(rule, feeds, findings), first)
    (findings.warnings if in_force else findings.problems).extend(findings.refused)
    return findings


def _check_layers(one: Looked, layers: Mapping[str, Many[str]] | None) -> None:
    if layers is None:
        return
    for path, zones in one.rule.zones.items():
        if zones.layer not in layers:
            known = nearest(zones.layer, layers) if layers else "the city has none; add one to layers.yaml"
            one.bad(path, f"there is no layer of polygons {zones.layer!r}; {known}")
            continue
        for name in zones.only:
            if name not in layers[zones.layer]:
                one.bad(path, f"the layer {zones.layer!r} has no area {name!r}; {nearest(name, layers[zones.layer])}")


def _check_names(one: Looked, rules: Mapping[str, Rule]) -> None:
    """Other rules that a rule names: they exist, and no rule waits for itself."""
    rule = one.rule
    for name in alerts_read(rule):
        if name not in rules:
            others = [other for other in rules if other != rule.name]
            one.bad(_where(rule, name), f"there is no rule {name!r}; {nearest(name, others) if others else 'it is the only one'}")
    circle = _circle(rule.name, rules)
    if circle:
        one.bad(
            _where(rule, circle[1]), f"the rule waits for itself: {' -> '.join(circle)}; a rule cannot read alerts that come of its own"
        )
    if isinstance(rule.alert.fold, Fold):
        under = rule.alert.fold.under
        if under == rule.name:
            one.bad("alert.fold.under", "a rule's alerts cannot fold under themselves; write per to join them")
        elif under not in rules:
            others = [other for other in rules if other != rule.name]
            one.bad("alert.fold.under", f"there is no rule {under!r}; {nearest(under, others) if others else 'it is the only one'}")
        elif _folds_back(rule.name, rules):
            one.bad(
                "alert.fold.under",
                f"{rule.name} folds under {under}, which in the end folds under {rule.name}; one of them must stand alone",
            )


def _where(rule: Rule, name: str) -> str:
    for path, condition in rule.conditions.items():
        if condition.kind.startswith(f"alert.{name}"):
            return path
    lists = [path for path in rule.lines if path.endswith((".all.of", ".any.of"))]
    return lists[0] if lists else "when"


def _circle(start: str, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """The shortest way from a rule over the alerts it reads back to itself, or nothing."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for name in alerts_read(rules[way[-1]]):
            if name == start:
                return (*way, start)
            if name in rules and name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()


def _folds_back(start: str, rules: Mapping[str, Rule]) -> bool:
    seen: set[str] = set()
    fold = rules[start].alert.fold
    while fold is not None and fold.under in rules and fold.under not in seen:
        if fold.under == start:
            return True
        seen.add(fold.under)
        fold = rules[fold.under].alert.fold
    return False
