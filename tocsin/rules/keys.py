"""Every key of the rule language, declared once: reading, error messages, the editor's schema and the reference come from here."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Final

from tocsin.kernel.document import Node
from tocsin.kernel.fault import nearest
from tocsin.kernel.scalar import Flag, Length, Name, Number, OneOf, Span, Text
from tocsin.kernel.shape import Field, Kind, ListOf, Schema, Table, Variant
from tocsin.model.severity import CERTAINTIES, URGENCIES, Severity
from tocsin.model.time import DAY, HOUR, SECOND

from .condition import Condition
from .expression import parse_condition

#: What a headline may quote.
HOLES: Final[dict[str, str]] = {
    "count": "how many matches joined the alert",
    "sources": "how many different sources",
    "place": 'where, in words, as in "near Ballard"',
    "kind": "the anchor's kind",
    "value": "the anchor's value",
    "unit": "its unit",
    "source": "the anchor's (or the silent) source",
    "text": "the anchor's text",
}
#: An alert keeps 64 events as evidence; a rule that needs more sources could not show what it rests on.
SOURCES_MAX: Final = 64
WITHIN_MAX: Final = 50_000.0
DURING_MAX: Final = DAY
SILENCE_MAX: Final = 31 * DAY


class ConditionKind(Kind):
    """A condition of the language."""

    def words(self) -> str:
        return "a condition, as in `fire.smoke where value >= 150 ug/m3`"

    def parse(self, node: Node) -> Condition:
        if not isinstance(node.value, str) or node.empty:
            raise ValueError(f"{node.what()} stands where a condition is expected, as in fire.smoke where value >= 150 ug/m3")
        return parse_condition(node.value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\s*[a-z][a-z0-9_.-]*(\s+where\s+.*)?\s*$"}


@dataclass(frozen=True)
class Headline(Kind):
    """A line with {holes}."""

    def words(self) -> str:
        return "a line of text with holes: " + ", ".join(f"`{{{name}}}`" for name in HOLES)

    def parse(self, node: Node) -> str:
        text: str = Text(high=300).parse(node)
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as fault:
            raise ValueError(f"{fault}; a brace that is meant as such is written twice: {{{{ or }}}}") from None
        for _, hole, form, conversion in parts:
            if hole is None:
                continue
            if hole not in HOLES:
                raise ValueError(f"unknown hole {{{hole}}}; {nearest(hole, HOLES)}")
            if form or conversion:
                raise ValueError(f"the hole {{{hole}}} takes no format; write {{{hole}}} alone")
        return " ".join(text.split())

    def schema(self) -> Schema:
        return {"type": "string", "maxLength": 300}


CONDITION: Final = ConditionKind()
WITHIN: Final = Length(WITHIN_MAX)
DURING: Final = Span(SECOND, DURING_MAX)
GAP: Final = Span(0, DURING_MAX)

MATCH: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="water.level where value >= 4 m"),
        Field("samples", Number(1, 1000, whole=True), "how many in a row, per source, turn it on (and off)", default=1, example="3"),
        Field(
            "until",
            CONDITION,
            "what turns it off again, per source; a gap between the two levels stops flapping",
            example="water.level where value < 3.5 m",
        ),
    ),
    later=("for", "max_gap"),
)
CLUSTER: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="fire.smoke where value >= 150 ug/m3"),
        Field("sources", Number(1, SOURCES_MAX, whole=True), "least number of different sources", default=1, example="2"),
        Field("events", Number(1, 10_000, whole=True), "least number of events", default=1, example="5"),
        Field("within", WITHIN, "greatest distance from the event that completes the match, as in 300 m", True, example="300 m"),
        Field("during", DURING, "length of the window that holds all of them, as in 10 min", True, example="10 min"),
        Field("min_gap", GAP, "least time between events of two different sources", default=0, example="30 s"),
    ),
    later=("weight", "distinct"),
)
STEP: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="call.fire"),
        Field("within", WITHIN, "greatest distance from the step before, as in 400 m", True, example="400 m"),
        Field("during", DURING, "longest time after the step before, as in 45 min", True, example="45 min"),
        Field("min_gap", GAP, "shortest time after the step before", default=0, example="1 min"),
    ),
)
SEQUENCE: Final = Table(
    (
        Field("first", CONDITION, "the first step", True, example="call.alarm"),
        Field("then", ListOf(STEP, 1, 15), "the later steps, in order", True),
    ),
    later=("any_order", "linked_by"),
)
ABSENCE: Final = Table(
    (
        Field("after", CONDITION, "the event that starts the clock", True, example="call.fire.structure"),
        Field("expect", CONDITION, "the event that should follow", True, example="unit.arrived"),
        Field("within", WITHIN, "how near it must be, as in 1 km", True, example="1 km"),
        Field("during", DURING, "how long to wait for it, as in 30 min", True, example="30 min"),
    ),
)
SILENCE: Final = Table(
    (
        Field("of", CONDITION, "what should be heard", True, example="water.level"),
        Field("during", Span(SECOND, SILENCE_MAX), "how long nothing may be heard, as in 3 h", True, example="3 h"),
        Field(
            "by",
            OneOf(("source", "feed"), "group"),
            "whose silence: every source's or the whole feed's",
            default="source",
            example="source",
        ),
        Field(
            "declared",
            ListOf(Text(), 1),
            "sources (by feed: feeds) that must be heard though they have never spoken",
            default=(),
            example="[gauge-7]",
        ),
    ),
    later=("share", "group", "within"),
)
OPERATORS: Final = {"match": MATCH, "cluster": CLUSTER, "sequence": SEQUENCE, "absence": ABSENCE, "silence": SILENCE}
LATER_OPERATORS: Final = ("change", "rate", "accumulate", "inside", "zone", "timer", "all", "any")
WHEN: Final = Variant(OPERATORS, "operator", LATER_OPERATORS)

ACTIVE: Final = Table(
    (
        Field("of", CONDITION, "which events suppress the alert", True, example="ops.burn_permit"),
        Field("within", WITHIN, "how near to the anchor they must be, as in 1 km", True, example="1 km"),
        Field("valid_for", Span(SECOND, 366 * DAY), "how long one counts that names no end of its own", default=24 * HOUR, example="8 h"),
    ),
)
UNLESS: Final = ListOf(Variant({"active": ACTIVE}, "exception", ("inside", "all", "any", "timer")), 1, 16, single=True)
PER: Final = Table(
    (
        Field(
            "hold",
            Span(SECOND, 366 * DAY),
            "how long after the newest match another one still joins the alert, as in 30 min",
            True,
            example="30 min",
        ),
        Field("place", Length(), "how near to the first anchor a match joins; without it anywhere", example="300 m"),
        Field("source", Flag(), "only matches of the same source join", default=False, example="true"),
    ),
)
ALERT: Final = Table(
    (
        Field(
            "severity",
            OneOf(tuple(level.name.lower() for level in Severity), "severity"),
            "CAP severity",
            default="unknown",
            example="severe",
        ),
        Field("urgency", OneOf(URGENCIES, "urgency"), "CAP urgency", default="unknown", example="immediate"),
        Field("certainty", OneOf(CERTAINTIES, "certainty"), "CAP certainty", default="unknown", example="likely"),
        Field("headline", Headline(), "the line the duty officer reads first", True, example="Smoke confirmed by {count} sensors {place}"),
        Field("instruction", Text(2000), "what to do about it", default="", example="Send one engine to look."),
        Field("per", PER, "what makes matches one alert; without it every match is an alert of its own"),
    ),
    later=("resolve", "budget", "notify", "escalate", "priority", "dedup", "never_fold"),
)
RULE: Final = Table(
    (
        Field("rule", Name(), "the rule's name, unique in the city", True, example="second-smoke-sensor"),
        Field("title", Text(200), "what a person calls it", True, example="Smoke confirmed by a second sensor"),
        Field(
            "why", Text(2000), "why the rule exists, for the person it wakes at night", True, example="Two sensors rarely fail together."
        ),
        Field("when", WHEN, "what must happen: match, cluster, sequence, absence or silence", True),
        Field("unless", UNLESS, "what suppresses the alert", default=()),
        Field("alert", ALERT, "what the alert says", True),
    ),
    later=("enabled", "shadow", "valid", "schedule"),
)
