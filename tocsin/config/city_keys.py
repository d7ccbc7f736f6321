"""Every key of city.yaml, layers.yaml and rule tests, declared once."""

from __future__ import annotations

import math
import re
from typing import Final

from tocsin.kernel.document import Node
from tocsin.kernel.scalar import Flag, Instant, Length, Name, Number, OneOf, Span, Text, Zone
from tocsin.kernel.shape import Field, Keyed, Kind, ListOf, Schema, Table
from tocsin.model.length import parse_length
from tocsin.model.mirror import EXAMPLE, Address
from tocsin.model.mirror import parse as parse_address
from tocsin.model.severity import Severity
from tocsin.model.time import DAY, SECOND
from tocsin.model.units import UnitError, resolve
from tocsin.rules.expression import parse_condition

from .feed_keys import Value, attribute_name


class Position(Kind):
    """[longitude, latitude] in degrees."""

    def words(self) -> str:
        return "`[longitude, latitude]` in degrees, WGS 84"

    def parse(self, node: Node) -> tuple[float, float]:
        found = [one.scalar() for one in node.value] if isinstance(node.value, tuple) else []
        if len(found) != 2 or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in found):
            raise ValueError("a position is [longitude, latitude], as in [-122.33, 47.61]")
        lon, lat = float(found[0] or 0), float(found[1] or 0)
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise ValueError(f"[{lon:g}, {lat:g}] is no place on Earth; longitude comes first, -180 to 180, then latitude, -90 to 90")
        return lon, lat

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


class Offset(Kind):
    """`120 m`, `-1.2 km` or 0 -> metres."""

    def words(self) -> str:
        return "a length with its sign, as in `120 m`, `-1.2 km`"

    def parse(self, node: Node) -> float:
        if node.scalar() == 0:
            return 0.0
        text = str(node.scalar()).strip()
        return -parse_length(text[1:]) if text.startswith("-") else parse_length(text.removeprefix("+"))

    def schema(self) -> Schema:
        return {"type": ["string", "number"]}


class Later(Kind):
    """`+3 min`: a span after something else."""

    def words(self) -> str:
        return "a span of time, as in `+3 min`"

    def parse(self, node: Node) -> int:
        if not isinstance(node.value, str) or node.empty:
            raise ValueError(f"{node.what()} stands where a span of time is expected, as in '+3 min'")
        if node.value.strip() == "0":
            return 0
        span: int = Span(0, 31 * DAY).parse(Node(node.line, node.value.strip().removeprefix("+")))
        return span

    def schema(self) -> Schema:
        return {"type": ["string", "number"]}


class Measured(Kind):
    """`180 ug/m3` -> (180.0, "ug/m3"); a plain number has the unit `1`."""

    def words(self) -> str:
        return "a number with its UCUM unit, as in `180 ug/m3`"

    def parse(self, node: Node) -> tuple[float, str]:
        match = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?)\s*(.*?)\s*", str(node.scalar()))
        if match is None or not math.isfinite(float(match[1])):
            raise ValueError(f"{node.what()} is not a measured value; write a number with its unit, as in '180 ug/m3'")
        try:
            resolve(match[2] or "1")
        except UnitError as fault:
            raise ValueError(str(fault)) from None
        return float(match[1]), match[2] or "1"

    def schema(self) -> Schema:
        return {"type": ["string", "number"]}


class EventKind(Kind):
    """A kind of event."""

    def words(self) -> str:
        return "a kind of event, as in `fire.smoke`"

    def parse(self, node: Node) -> str:
        text: str = Text(200).parse(node)
        condition = parse_condition(text)
        if condition.where is not None:
            raise ValueError(f"{text!r} is a condition; an event has a kind alone, as in {condition.kind}")
        return condition.kind

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^[a-z][a-z0-9_.-]*$"}


class BucketAddress(Kind):
    """A bucket of S3-compatible storage."""

    def words(self) -> str:
        return f"the address of a bucket: {EXAMPLE}"

    def parse(self, node: Node) -> Address:
        text: str = Text(2000).parse(node)
        return parse_address(text)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^s3://", "maxLength": 2000}


class Copies(Kind):
    """How many servers of a cluster keep a stream: a majority of them must be there, so an even number gains nothing."""

    def words(self) -> str:
        return "1, 3 or 5"

    def parse(self, node: Node) -> int:
        found = node.scalar()
        if isinstance(found, bool) or found not in (1, 3, 5):
            raise ValueError(f"{node.what()} is no number of copies; valid are 1, 3 and 5 (with 3 one server may be away, with 5 two)")
        return int(found)

    def schema(self) -> Schema:
        return {"enum": [1, 3, 5]}


JOURNAL: Final = Table(
    (
        Field(
            "replicas",
            Copies(),
            "how many servers of an external NATS cluster (--journal) keep each entry before it counts as stored",
            default=1,
            example="3",
        ),
    )
)
MIRROR: Final = Table(
    (
        Field(
            "to",
            BucketAddress(),
            "where: bucket, prefix and, where it is not Amazon's, the server; keys come from the environment",
            True,
            example="s3://city-history/seattle",
        ),
        Field("every", Span(SECOND, DAY), "how often it is brought up to date at most", default=5 * 60 * SECOND, example="5 min"),
        Field(
            "grace",
            Span(0, 31 * DAY),
            "how long objects stay that are replaced, for who reads an earlier state",
            default=3600 * SECOND,
            example="1 h",
        ),
    )
)
EXERCISE: Final = Table(
    (
        Field("title", Text(200), "what is played, shown on every screen", True, example="Independence Day 2017, recorded"),
        Field("start", Instant(), "city time at which it begins", True, example="2017-07-04T15:00:00-07:00"),
        Field(
            "end",
            Instant(),
            "city time at which it ends: recordings are played, and deadlines pass, up to here",
            True,
            example="2017-07-08T00:00:00-07:00",
        ),
        Field("speed", Number(0.01, 100_000), "times real time", default=1.0, example="720"),
    )
)
CORRELATION: Final = Table(
    (
        Field(
            "delay",
            Span(0, 3600 * SECOND),
            "how long after a deadline it fires, so that facts on their way still count",
            default=5 * SECOND,
            example="5 s",
        ),
        Field(
            "lateness",
            Span(0, DAY),
            "how late a fact may come and still raise, amend or retract an alert",
            default=600 * SECOND,
            example="10 min",
        ),
        Field("skew", Span(0, DAY), "how far ahead the clock of a feed may be that says nothing else", default=30 * SECOND, example="30 s"),
    )
)
CITY: Final = Table(
    (
        Field("city", Name(), "the city's short name", True, example="seattle"),
        Field("title", Text(200), "its name for people", True, example="Seattle"),
        Field("timezone", Zone(), "IANA zone of its clocks", True, example="America/Los_Angeles"),
        Field("centre", Position(), "middle of the map and origin of distances", True, example="[-122.3321, 47.6062]"),
        Field(
            "zoom",
            Number(0, 22),
            "map zoom at the start, for a map of 1000 pixels; a smaller one begins farther out, to show the same area",
            default=11.0,
            example="11",
        ),
        Field("region", Name(high=32), "journal subject token; the city's name without it", example="sea"),
        Field("layers", Text(500), "file that lists the map layers", default="layers.yaml", example="layers.yaml"),
        Field("exercise", EXERCISE, "play recorded time as if it were now"),
        Field("journal", JOURNAL, "how an external journal keeps what it is given (docs/external-journal.md)", default={"replicas": 1}),
        Field("mirror", MIRROR, "a bucket that holds a copy of the archive (docs/archive-mirror.md)"),
        Field(
            "correlation",
            CORRELATION,
            "time settings of the engine",
            default={"delay": 5 * SECOND, "lateness": 600 * SECOND, "skew": 30 * SECOND},
        ),
    ),
    later=("agreements", "policies", "shards", "peers"),
)
LAYER: Final = Table(
    (
        Field("name", Name(), "the layer's name, unique in the city", True, example="fire-stations"),
        Field("title", Text(200), "what a person calls it", True, example="Fire stations"),
        Field(
            "kind", OneOf(("points", "polygons", "tiles"), "kind of layer"), "points, polygons or tiles (PMTiles)", True, example="points"
        ),
        Field("path", Text(500), "file, from the city directory", True, example="layers/fire_stations.geojson"),
        Field("licence", Text(500), "under which terms it comes", True, example="public domain"),
        Field("name_field", Text(200), "property that names a feature", default="name", example="name"),
        Field("places", Flag(), "used to say near what an alert is", default=False, example="true"),
    )
)
LAYERS: Final = ListOf(LAYER)

_SEVERITY: Final = OneOf(tuple(level.name.lower() for level in Severity), "severity")
TEST_EVENT: Final = Table(
    (
        Field("at", Later(), "when it happened, from the start of the test", True, example="5 min"),
        Field("kind", EventKind(), "what kind", True, example="fire.smoke"),
        Field("source", Text(200), "what spoke", example="sensor-2"),
        Field("feed", Name(dots=True), "through which feed", default="test", example="air.pm25"),
        Field("id", Text(200), "its id; numbered without it", example="e1"),
        Field("east", Offset(), "metres east of the city's centre", default=0.0, example="120 m"),
        Field("north", Offset(), "metres north of the city's centre", default=0.0, example="-40 m"),
        Field("area", Length(), "radius of a round area about its place, as of a warning", example="5 km"),
        Field("nowhere", Flag(), "it has no coordinates", default=False, example="true"),
        Field("value", Measured(), "what was measured", example="180 ug/m3"),
        Field("severity", _SEVERITY, "CAP severity", example="severe"),
        Field("text", Text(2000), "what a person reads", example="Smoke seen"),
        Field("attrs", Keyed(Value(), attribute_name), "the feed's own attributes", default={}, example="{type: Brush Fire}"),
        Field("valid_for", Later(), "how long it is valid", example="2 h"),
        Field(
            "action",
            OneOf(("report", "update", "cancel"), "action"),
            "what it does to the fact it refers to",
            default="report",
            example="cancel",
        ),
        Field("refers_to", Text(200), "id of the event it updates or cancels", example="e1"),
        Field("arrives", Later(), "how long after it happened we learn of it", default=0, example="+3 min"),
    )
)
EXPECTED: Final = Table(
    (
        Field("at", Later(), "when the alert opened: its anchor's time, or the deadline", example="5 min"),
        Field("sources", Number(0, 1000, whole=True), "different sources in its evidence", example="2"),
        Field("count", Number(1, 1_000_000, whole=True), "matches that joined it", example="3"),
        Field("headline", Text(300), "its headline, whole", example="Smoke confirmed by 2 sensors"),
        Field("severity", _SEVERITY, "its severity", example="severe"),
        Field("status", OneOf(("raised", "amended", "retracted"), "status"), "what became of it", example="retracted"),
        Field("closes", Later(), "when its rule closes it, from the start of the test", example="35 min"),
        Field("stays_open", Flag(), "its rule does not close it", default=False, example="true"),
        Field("under", Name(), "rule of the alert it is shown under", example="area-outage"),
        Field("alone", Flag(), "it is shown under no other alert", default=False, example="true"),
        Field("context", Number(0, 1000, whole=True), "events shown with it", example="3"),
        Field("over_budget", Number(0, 1_000_000, whole=True), "its number beyond the rule's budget, 0 within it", example="1"),
    )
)
RULE_TEST: Final = Table(
    (
        Field("test", Text(200), "what the test shows", True, example="a second sensor confirms"),
        Field("rule", Name(), "the rule under test", True, example="second-smoke-sensor"),
        Field("events", ListOf(TEST_EVENT, 0, 10_000), "what happens", True),
        Field("fires", ListOf(EXPECTED, 1), "the alerts, in order of opening, and no other", default=()),
        Field("silent", Flag(), "no alert at all", default=False, example="true"),
        Field("runs", Later(), "how long the clock runs; without it, to one day after the last event", example="6 h"),
    )
)
DETECTION: Final = Table(
    (
        Field("rule", Name(), "the rule that should ring", True, example="second-smoke-sensor"),
        Field("name", Text(200), "what should be noticed, in words; the rule's name without it", example="Fire in the warehouse"),
        Field("after", Later(), "when it can be noticed at the earliest, from the begin", default=0, example="5 min"),
        Field("within", Later(), "how long that may take", True, example="60 s"),
        Field("acknowledged", Later(), "how long it may then wait for a person", example="3 min"),
        Field("east", Offset(), "metres east of the city's centre, where it must lie", default=0.0, example="400 m"),
        Field("north", Offset(), "metres north of the city's centre", default=0.0, example="-1200 m"),
        Field("radius", Length(), "how near to that place; anywhere without it", example="500 m"),
    )
)
RECORDED: Final = Table(
    (
        Field("from", Instant(), "first moment of the city's own past (receipt)", True, example="2017-07-04T21:00:00-07:00"),
        Field("to", Instant(), "last moment, not included", True, example="2017-07-04T22:00:00-07:00"),
        Field("at", Later(), "when it begins in the exercise", default=0, example="5 min"),
        Field("feeds", ListOf(Name(dots=True), 1), "only these feeds", default=(), example="[calls]"),
    )
)
SCENARIO: Final = Table(
    (
        Field("exercise", Name(), "the exercise's name, unique in the city", True, example="warehouse-fire"),
        Field("title", Text(200), "what a person calls it", True, example="Warehouse fire by the stadium"),
        Field("purpose", Text(500), "what is to be practised", True, example="the second-alarm call"),
        Field("events", ListOf(TEST_EVENT, 0, 10_000), "what happens, on a clock that starts at zero", default=()),
        Field("recorded", ListOf(RECORDED, 1, 20), "stretches of the city's own past that are played again", default=()),
        Field("expect", ListOf(DETECTION, 1, 200), "what should be noticed", default=()),
        Field("runs", Later(), "how long it goes on; without it, a minute beyond the last thing that counts", example="20 min"),
    )
)
