"""`GET /rules`: the rules in force, as written and in words."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from tocsin.model.plan import RulePlan, operator_name

from .doors import Doors, reply
from .eventjson import Json
from .models import RulesOut


def add(doors: Doors) -> None:
    services = doors.services

    @doors.get("/api/v1/rules", "rules", RulesOut)
    def rules() -> Response:
        """Every rule with its words, its text and how many alerts it has raised."""
        counts = services.alerts.counts_by_rule()
        return reply({"items": [rule_json(rule, counts) for rule in services.city.plan.rules]})


def rule_json(rule: RulePlan, counts: Mapping[str, int]) -> Json:
    severity = rule.alert.severity
    return {
        "name": rule.name,
        "title": rule.title,
        "why": rule.why,
        "source": rule.source,
        "words": rule.words,
        "operator": operator_name(rule.when),
        "version": rule.version,
        "severity": severity.name.lower(),
        "rank": severity.rank,
        "text": rule.text,
        "file": rule.file,
        "line": rule.line,
        "alerts": counts.get(rule.name, 0),
    }
