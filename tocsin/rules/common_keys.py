"""Limits and kinds that the tables of keys share."""

from __future__ import annotations

from typing import Final

from tocsin.kernel.scalar import Length, Name, OneOf, Span
from tocsin.kernel.shape import Field, ListOf
from tocsin.model.severity import Severity
from tocsin.model.time import DAY, SECOND

from .kinds import ConditionKind, Each, FieldName, ZoneKind

#: An alert keeps 64 events as evidence; a rule that needs more sources could not show what it rests on.
SOURCES_MAX: Final = 64
WITHIN_MAX: Final = 50_000.0
DURING_MAX: Final = DAY
#: Histories of samples are kept per key, not searched by place: they may be longer.
HISTORY_MAX: Final = 31 * DAY
VALID_MAX: Final = 366 * DAY

CONDITION: Final = ConditionKind()
WITHIN: Final = Length(WITHIN_MAX)
DURING: Final = Span(SECOND, DURING_MAX)
HISTORY: Final = Span(SECOND, HISTORY_MAX)
GAP: Final = Span(0, DURING_MAX)
VALID: Final = Span(SECOND, VALID_MAX)
EACH: Final = Each()
ZONE: Final = ZoneKind()
FIELDS: Final = ListOf(FieldName(), 1, 8, single=True)
RULES: Final = ListOf(Name(), 1, 64, single=True)
SEVERITY: Final = OneOf(tuple(level.name.lower() for level in Severity), "severity")

SAME: Final = Field("same", FIELDS, "fields in which all of them agree", default=(), example="attrs.incident")
DIFFERS: Final = Field("differs", FIELDS, "fields in which no two of them agree", default=(), example="source")
