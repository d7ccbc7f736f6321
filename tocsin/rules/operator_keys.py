"""The keys of every operator, declared once: what is read, what messages and the editor's schema say, and what the reference shows."""

from __future__ import annotations

from typing import Final

from tocsin.kernel.scalar import Flag, Number, OneOf, Span, Text
from tocsin.kernel.shape import Field, ListOf, Table
from tocsin.model.time import HOUR, SECOND

from .amounts import integrated, level, per_second
from .area_keys import AREA_FIELDS, KEEP
from .common_keys import (
    CONDITION,
    DIFFERS,
    DURING,
    DURING_MAX,
    EACH,
    FIELDS,
    GAP,
    HISTORY,
    HISTORY_MAX,
    RULES,
    SAME,
    SOURCES_MAX,
    WITHIN,
    ZONE,
)
from .kinds import Amount, FieldName, Percent

_MAX_GAP_ABOUT: Final = (
    "longest time between two of a source's samples; a longer one breaks it; without it twice the feed's `expected_every`"
)

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
        Field("for", HISTORY, "how long a source's samples must all pass to turn it on, as in 10 min", example="10 min"),
        Field("max_gap", HISTORY, _MAX_GAP_ABOUT, example="2 min"),
    ),
)
CLUSTER: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="fire.smoke where value >= 150 ug/m3"),
        Field("sources", Number(1, SOURCES_MAX, whole=True), "least number of different sources", default=1, example="2"),
        Field("events", Number(1, 10_000, whole=True), "least number of events", default=1, example="5"),
        Field("within", WITHIN, "greatest distance from the event that completes the match, as in 300 m", True, example="300 m"),
        Field("during", DURING, "length of the window that holds all of them, as in 10 min", True, example="10 min"),
        Field("min_gap", GAP, "least time between events of two different sources", default=0, example="30 s"),
        SAME,
        Field("distinct", FieldName(), "the field that tells sources apart", default="source", example="attrs.address"),
    ),
    later=("weight",),
)
STEP: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="call.fire"),
        Field("within", WITHIN, "greatest distance from the step before, as in 400 m; needed without `same`", example="400 m"),
        Field("during", DURING, "longest time after the step before, as in 45 min; needed without `any_order`", example="45 min"),
        Field("min_gap", GAP, "shortest time after the step before", default=0, example="1 min"),
    ),
)
SEQUENCE: Final = Table(
    (
        Field("first", CONDITION, "the first step", True, example="call.alarm"),
        Field("then", ListOf(STEP, 1, 15), "the later steps, in order", True),
        Field(
            "any_order",
            Flag(),
            "the steps may happen in any order; distances and times are from the first step",
            default=False,
            example="true",
        ),
        Field("during", DURING, "longest time between the earliest and the latest of them; needed with `any_order`", example="2 h"),
        SAME,
        DIFFERS,
    ),
)
ABSENCE: Final = Table(
    (
        Field("after", CONDITION, "the event that starts the clock", True, example="call.fire.structure"),
        Field("expect", CONDITION, "the event that should follow", True, example="unit.arrived"),
        Field("within", WITHIN, "how near it must be, as in 1 km; needed without `same`", example="1 km"),
        Field("during", DURING, "how long to wait for it, as in 30 min", True, example="30 min"),
        Field("same", FIELDS, "fields in which both agree", default=(), example="attrs.incident"),
    ),
)
AREA_OUTAGE: Final = Table(
    (
        Field("share", Percent(), "least share of the group that is silent", True, example="30 %"),
        Field("least", Number(2, 10_000, whole=True), "least number of sources in the group", default=5, example="5"),
        Field("within", WITHIN, "the group: sources heard this near to the newly silent one in the last 24 h", True, example="2 km"),
        Field("together", DURING, "within how long of one another they turned silent", True, example="5 min"),
    ),
)
SILENCE: Final = Table(
    (
        Field("of", CONDITION, "what should be heard", True, example="water.level"),
        Field("during", HISTORY, "how long nothing may be heard, as in 3 h", True, example="3 h"),
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
        Field("area", AREA_OUTAGE, "one alert for the outage of an area; silences of single sources in it fold under it"),
    ),
)
CHANGE: Final = Table(
    (
        Field("of", CONDITION, "which samples", True, example="water.level"),
        Field("during", HISTORY, "length of the window before a sample in which the value changed, as in 30 min", True, example="30 min"),
        Field(
            "by",
            Amount("20 cm"),
            "by how much it rises (falls): from the smallest (largest) value of the window to the newest",
            example="20 cm",
        ),
        Field(
            "slope", Amount("20 cm/h", per_second), "instead of by: how fast, as the least-squares slope over the window", example="20 cm/h"
        ),
        Field("direction", OneOf(("rise", "fall", "either"), "direction"), "which way", default="rise", example="fall"),
        Field("samples", Number(2, 10_000, whole=True), "least number of samples in the window", default=2, example="3"),
        Field("each", EACH, "whose samples belong together", default=None, example="source"),
    ),
)
BASELINE: Final = Table(
    (
        Field("sigmas", Number(0, 100), "how many standard deviations above the mean of this hour of the week", True, example="3"),
        Field("weeks", Number(1, 520, whole=True), "least weeks of history; with fewer `above` counts", default=4, example="8"),
    ),
)
RATE: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="call.medical"),
        Field("during", HISTORY, "length of the sliding window, as in 1 h", True, example="1 h"),
        Field(
            "measure",
            OneOf(("count", "sources", "sum", "mean"), "measure"),
            "what is measured in the window: events, different sources, sum or mean of the values",
            default="count",
            example="sum",
        ),
        Field(
            "above",
            Amount("30 mm", level, any_sign=True),
            "what it must exceed; for sum and mean with the value's unit",
            True,
            example="30 mm",
        ),
        Field("baseline", BASELINE, "exceed its own past instead: mean and deviation of the same hour of the week"),
        Field("least", Number(0, 1e9), "least number of events (sources) in the window besides", default=0.0, example="5"),
        Field("windows", Number(1, 100, whole=True), "in how many windows one after another", default=1, example="2"),
        Field("distinct", FieldName(), "the field that tells sources apart", default="source", example="attrs.address"),
        Field("each", EACH, "whose events are counted together", default=None, example="{cell: 2 km}"),
    ),
)
ACCUMULATE: Final = Table(
    (
        Field(
            "of",
            ListOf(CONDITION, 1, 4, single=True),
            "a condition, or several that must be true at once",
            True,
            example="weather.wind where value >= 25 [mi_i]/h",
        ),
        Field("total", HISTORY, "how long it must be true in all, as in 3 h", example="3 h"),
        Field(
            "integral",
            Amount("20 mm", integrated),
            "instead of total: the value times its duration, as 20 mm of rain from mm/h",
            example="20 mm",
        ),
        Field("during", HISTORY, "within how long, as in 12 h", True, example="12 h"),
        Field("hold", HISTORY, "how long a sample speaks when no other follows, as in 1 h", True, example="1 h"),
        Field("each", EACH, "whose samples belong together", default=None, example="attrs.station"),
    ),
)
INSIDE: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="water.level where value >= 3 m"),
        *AREA_FIELDS,
        Field(
            "standing", Flag(), "when an area appears or changes, look at the last value of each source, too", default=False, example="true"
        ),
        Field("keep", KEEP, "how long a last value counts for that", default=24 * HOUR, example="7 days"),
        Field("same", FIELDS, "fields in which event and area agree", default=(), example="attrs.incident"),
        Field("differs", FIELDS, "fields in which they do not", default=(), example="source"),
    ),
)
ZONE_TABLE: Final = Table(
    (
        Field("of", CONDITION, "positions of what is one's own", True, example="asset.position"),
        Field("enters", ZONE, "a position inside, the one before outside or none", example="tunnels"),
        Field("leaves", ZONE, "a position outside, the one before inside", example="staging"),
        Field("dwells", ZONE, "inside at every position for the time of `for`", example="hot-zone"),
        Field("stays", WITHIN, "all positions within this distance of the newest for the time of `for`", example="15 m"),
        Field("for", HISTORY, "how long it dwells or stays, as in 10 min", example="10 min"),
        Field(
            "max_gap",
            HISTORY,
            "longest time between two positions; after a longer one the earlier position does not count",
            example="2 min",
        ),
    ),
)
TIMER: Final = Table(
    (
        Field("since", CONDITION, "what starts the clock, and starts it anew", True, example="ops.par"),
        Field("during", HISTORY, "how long until the deadline, as in 20 min", True, example="20 min"),
        Field("until", CONDITION, "what stops it", example="ops.under_control"),
        Field(
            "warn",
            ListOf(Span(SECOND, HISTORY_MAX), 1, 8, single=True),
            "how long before the deadline to warn, as in 1 min",
            default=(),
            example="1 min",
        ),
        Field("each", EACH, "what has a clock of its own", default=None, example="[attrs.incident, attrs.division]"),
        Field("restart", Flag(), "a newer one starts it anew", default=True, example="false"),
        Field("repeat", Flag(), "after the deadline it starts again, until stopped", default=False, example="true"),
    ),
)
ALL: Final = Table(
    (
        Field("of", RULES, "rules, each of which has raised an alert", True, example="[gauge-rising, heavy-rain]"),
        Field("within", WITHIN, "greatest distance from the alert that completes the match; without it anywhere", example="5 km"),
        Field("during", Span(SECOND, DURING_MAX), "length of the window that holds all of them, as in 8 h", True, example="8 h"),
        SAME,
        DIFFERS,
    ),
)
ANY: Final = Table(
    (
        Field("of", RULES, "rules, of which any has raised alerts", True, example="[blast-heard, gas-leak]"),
        Field("alerts", Number(1, SOURCES_MAX, whole=True), "least number of alerts", default=1, example="2"),
        Field("within", WITHIN, "greatest distance from the alert that completes the match; without it anywhere", example="5 km"),
        Field("during", Span(SECOND, DURING_MAX), "length of the window that holds all of them; needed for more than one", example="8 h"),
        SAME,
        DIFFERS,
    ),
)
OPERATORS: Final = {
    "match": MATCH,
    "cluster": CLUSTER,
    "sequence": SEQUENCE,
    "absence": ABSENCE,
    "silence": SILENCE,
    "change": CHANGE,
    "rate": RATE,
    "accumulate": ACCUMULATE,
    "inside": INSIDE,
    "zone": ZONE_TABLE,
    "timer": TIMER,
    "all": ALL,
    "any": ANY,
}
