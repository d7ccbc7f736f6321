"""Every key of a rule, declared once: reading, error messages, the editor's schema and the reference come from here."""

from __future__ import annotations

from typing import Final

from tocsin.kernel.scalar import Name, Text
from tocsin.kernel.shape import Field, Table, Variant

from .alert_keys import ALERT, PER
from .area_keys import ACTIVE, CIRCUMSTANCE, GUARD
from .kinds import HOLES
from .operator_keys import OPERATORS, STEP

__all__ = ["ACTIVE", "ALERT", "HOLES", "OPERATORS", "PER", "RULE", "STEP", "WHEN"]

WHEN: Final = Variant(OPERATORS, "operator")
RULE: Final = Table(
    (
        Field("rule", Name(), "the rule's name, unique in the city", True, example="second-smoke-sensor"),
        Field("title", Text(200), "what a person calls it", True, example="Smoke confirmed by a second sensor"),
        Field(
            "why", Text(2000), "why the rule exists, for the person it wakes at night", True, example="Two sensors rarely fail together."
        ),
        Field("source", Text(500), "where the rule comes from: a standard, a page, an agency", default="", example="NFPA 1500"),
        Field("when", WHEN, "what must happen: one operator, as in match: {of: call.fire}", True),
        Field("while", CIRCUMSTANCE, "what must be the case besides, where and when it happens", default=()),
        Field("unless", GUARD, "what suppresses the alert", default=()),
        Field("alert", ALERT, "what the alert says", True),
    ),
    later=("enabled", "shadow", "valid", "schedule"),
)
