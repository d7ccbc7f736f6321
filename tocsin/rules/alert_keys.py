"""The keys of the alert part of a rule, declared once: what it says, what joins it, what closes it, what it may cost."""

from __future__ import annotations

from typing import Final

from tocsin.kernel.scalar import Flag, Length, Name, Number, OneOf, Span, Text
from tocsin.kernel.shape import Field, ListOf, Short, Table
from tocsin.model.severity import CERTAINTIES, URGENCIES
from tocsin.model.time import DAY, SECOND

from .area_keys import ACTIVE
from .common_keys import CONDITION, DURING, FIELDS, SEVERITY, VALID, VALID_MAX, WITHIN
from .kinds import Headline

PER: Final = Table(
    (
        Field("hold", VALID, "how long after the newest match another one still joins the alert, as in 30 min", True, example="30 min"),
        Field("place", Length(), "how near to the first anchor a match joins; without it anywhere", example="300 m"),
        Field("source", Flag(), "only matches of the same source join", default=False, example="true"),
        Field("same", FIELDS, "only matches that agree with the first in these fields join", default=(), example="text"),
    ),
)
SEVERITY_STEP: Final = Table(
    (
        Field("is", SEVERITY, "the severity, when all that follows holds", True, example="extreme"),
        Field("count", Number(2, 1_000_000, whole=True), "at least so many matches joined", default=0, example="5"),
        Field("sources", Number(2, 64, whole=True), "at least so many different sources", default=0, example="3"),
        Field("where", CONDITION, "a piece of evidence passes this", example="water.level where value >= 5 m"),
        Field("active", ACTIVE, "something is active near the anchor"),
    ),
)
SEVERITY_TABLE: Final = Table(
    (
        Field("at_least", SEVERITY, "the severity to begin with", default="unknown", example="moderate"),
        Field(
            "from", OneOf(("evidence",), "origin"), "evidence: the highest severity of its events, if that is higher", example="evidence"
        ),
        Field("steps", ListOf(SEVERITY_STEP, 1, 16), "higher severities, each with what it takes", default=()),
    ),
)
DEDUP: Final = Table(
    (
        Field(
            "by",
            FIELDS,
            "fields: a match that agrees with an open alert in all of them joins it, wherever it is",
            True,
            example="attrs.cad_number",
        ),
        Field("hold", VALID, "how long after the newest match", True, example="24 h"),
    ),
)
ETA: Final = Table(
    (
        Field("from", Span(0, VALID_MAX), "earliest arrival, as in 6 h", True, example="6 h"),
        Field("to", Span(0, VALID_MAX), "latest arrival, as in 8 h", True, example="8 h"),
        Field(
            "since",
            CONDITION,
            "counted from the newest evidence that passes this; without it from the anchor",
            example="alert.upstream-high",
        ),
    ),
)
RESOLVE: Final = Table(
    (
        Field("below_for", Span(0, VALID_MAX), "the rule has not held for so long, as in 20 min", default=-1, example="20 min"),
        Field("until", CONDITION, "an event that closes it", example="ops.under_control"),
        Field("within", WITHIN, "how near to the first anchor that event must be; without it anywhere", example="1 km"),
        Field("same", FIELDS, "fields in which that event agrees with the first anchor", default=(), example="attrs.incident"),
        Field("after", Span(SECOND, VALID_MAX), "so long after the newest match, whatever else", default=-1, example="30 min"),
    ),
)
FOLD: Final = Table(
    (
        Field("under", Name(), "the rule whose open alert is the parent", True, example="area-outage"),
        Field("within", WITHIN, "how near the parent must be; without it anywhere", example="5 km"),
        Field("during", DURING, "how long before or after", True, example="1 h"),
    ),
)
BUDGET: Final = Table(
    (
        Field("alerts", Number(1, 100_000, whole=True), "how many new alerts", True, example="6"),
        Field("per", Span(SECOND, 31 * DAY), "in any span of this length, as in 12 h", True, example="12 h"),
        Field(
            "above", OneOf(("fold", "minor", "tell"), "way"), "what happens above it: fold, minor or tell", default="fold", example="minor"
        ),
    ),
)
CONTEXT: Final = Table(
    (
        Field("of", CONDITION, "which events to show", True, example="asset.hydrant"),
        Field("within", WITHIN, "how near to the anchor", True, example="600 m"),
        Field("before", VALID, "from how long before the anchor", True, example="5 min"),
        Field("after", Span(0, DAY), "to how long after it", default=0, example="30 min"),
        Field("most", Number(1, 64, whole=True), "the nearest so many", default=16, example="3"),
    ),
)
ALERT: Final = Table(
    (
        Field(
            "severity",
            Short(SEVERITY, SEVERITY_TABLE),
            "CAP severity; or a table that takes it from the evidence",
            default="unknown",
            example="severe",
        ),
        Field("urgency", OneOf(URGENCIES, "urgency"), "CAP urgency", default="unknown", example="immediate"),
        Field("certainty", OneOf(CERTAINTIES, "certainty"), "CAP certainty", default="unknown", example="likely"),
        Field("headline", Headline(), "the line the duty officer reads first", True, example="Smoke confirmed by {count} sensors {place}"),
        Field("instruction", Text(2000), "what to do about it", default="", example="Send one engine to look."),
        Field("per", PER, "what makes matches one alert; without it every match is an alert of its own"),
        Field("dedup", DEDUP, "a key that makes matches one alert, wherever they are"),
        Field("eta", ETA, "when it will be here"),
        Field("resolve", RESOLVE, "what closes the alert by itself, whichever comes first"),
        Field("fold", FOLD, "shown under another rule's alert while that is open"),
        Field("never_fold", Flag(), "never shown under another alert, never held back by a budget", default=False, example="true"),
        Field("budget", BUDGET, "how many alerts a shift can bear"),
        Field("context", ListOf(CONTEXT, 1, 16, single=True), "events to show with it that decide nothing", default=()),
    ),
    later=("notify", "escalate"),
)
TABLES: Final = {
    "per": PER,
    "severity": SEVERITY_TABLE,
    "severity.steps": SEVERITY_STEP,
    "dedup": DEDUP,
    "eta": ETA,
    "resolve": RESOLVE,
    "fold": FOLD,
    "budget": BUDGET,
    "context": CONTEXT,
}
