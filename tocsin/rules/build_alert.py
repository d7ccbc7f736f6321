"""The values of `alert`, `unless` and `while` to their nodes in the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.kernel.shape import Chosen
from tocsin.model import plan
from tocsin.model.links import ANYWHERE
from tocsin.model.severity import Severity

from .build_area import area
from .selectors import selector

Values = Mapping[str, Any]


def guard(chosen: Chosen) -> plan.Guard:
    """One exception or circumstance."""
    v = chosen.values
    if chosen.name == "active":
        return active(v)
    if chosen.name == "inside":
        return plan.Within(area(v))
    return plan.AlertsNear(tuple(sorted(set(v["of"]))), chosen.name, v["during"], _near(v), v["same"])


def active(v: Values) -> plan.Active:
    """An active fact near the anchor."""
    return plan.Active(selector(v["of"]), _near(v), v["valid_for"], v["same"])


def alert(v: Values) -> plan.AlertSpec:
    """The alert part."""
    severity, rule = _severity(v["severity"])
    per = v["per"]
    return plan.AlertSpec(
        headline=v["headline"],
        severity=severity,
        urgency=v["urgency"],
        certainty=v["certainty"],
        instruction=v["instruction"],
        per=plan.Per(per["hold"], per["place"], per["source"], per["same"]) if per else None,
        severity_rule=rule,
        dedup=plan.Dedup(**v["dedup"]) if v["dedup"] else None,
        eta=_eta(v["eta"]) if v["eta"] else None,
        resolve=_resolve(v["resolve"]) if v["resolve"] else None,
        fold=plan.Fold(v["fold"]["under"], _near(v["fold"]), v["fold"]["during"]) if v["fold"] else None,
        never_fold=v["never_fold"],
        budget=plan.Budget(**v["budget"]) if v["budget"] else None,
        context=tuple(plan.Context(**{**one, "of": selector(one["of"])}) for one in v["context"]),
    )


def _severity(v: str | Values) -> tuple[Severity, plan.SeverityRule | None]:
    if isinstance(v, str):
        return Severity[v.upper()], None
    return Severity[v["at_least"].upper()], plan.SeverityRule(v["from"] is not None, tuple(_step(one) for one in v["steps"]))


def _step(v: Values) -> plan.SeverityStep:
    where = selector(v["where"]) if v["where"] else None
    return plan.SeverityStep(Severity[v["is"].upper()], v["count"], v["sources"], where, active(v["active"]) if v["active"] else None)


def _eta(v: Values) -> plan.Eta:
    return plan.Eta(v["from"], v["to"], selector(v["since"]) if v["since"] else None)


def _resolve(v: Values) -> plan.Resolve:
    until = selector(v["until"]) if v["until"] else None
    return plan.Resolve(v["below_for"], until, _near(v), v["same"], v["after"])


def _near(v: Values) -> float:
    return ANYWHERE if v["within"] is None else float(v["within"])
