"""Every key of a feed file, declared once: transports, formats, mapping, and what the law asks of a feed (DESIGN law 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tocsin.kernel.document import Node
from tocsin.kernel.fault import nearest
from tocsin.kernel.scalar import Flag, Instant, Letter, Name, Number, OneOf, Size, Span, Text, Unit, Zone
from tocsin.kernel.shape import AsWritten, Field, Keyed, Kind, ListOf, Schema, Short, Table, Variant
from tocsin.model.event import ATTR_TYPES
from tocsin.model.time import DAY, HOUR, SECOND

#: Event fields a mapping may fill -> what they are.
EVENT_FIELDS: Final[dict[str, str]] = {
    "id": "the report's own id; with the feed it makes a report count once. Without it a hash of the record is used",
    "kind": "what kind of event: dotted, small letters, from general to special, as in `call.fire.outdoor`",
    "source": "the thing that spoke: a station, an address, a vehicle",
    "event_time": "when it happened",
    "lon": "longitude, degrees, WGS 84",
    "lat": "latitude, degrees, WGS 84",
    "area": "polygon, as GeoJSON, WKT or WKB",
    "valid_until": "when it ends (exclusive)",
    "value": "the measured number; say its `unit`",
    "unit": "the number's UCUM unit, where the record names it",
    "severity": "CAP severity: unknown, minor, moderate, severe, extreme, or 0 to 4",
    "action": "report, update or cancel",
    "refers_to": "id of the report that this one updates or cancels",
    "text": "what a person reads",
}
TIMES: Final = ("event_time", "valid_until")
SENSITIVITIES: Final = ("public", "internal", "restricted")
#: Formats whose records carry kind and time themselves.
SELF_DESCRIBING: Final = ("cloudevents", "cap", "arrow")
#: These write a message down as it came before it is decoded, so a feed with personal fields must not use them.
STORES_RAW: Final = ("mqtt",)


@dataclass(frozen=True)
class Url(Kind):
    """An address with one of a few schemes."""

    schemes: tuple[str, ...]

    def words(self) -> str:
        return "an address that begins with " + " or ".join(f"`{scheme}://`" for scheme in self.schemes)

    def parse(self, node: Node) -> str:
        text: str = Text(2000).parse(node)
        scheme, _, rest = text.partition("://")
        if scheme not in self.schemes or not rest or re.search(r"\s", text):
            raise ValueError(f"{text!r} is not an address; write one that begins with {' or '.join(f'{one}://' for one in self.schemes)}")
        if "@" in rest.partition("/")[0]:
            raise ValueError("an address with a password in it; keep secrets in a file of their own (username, password_file or headers)")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({'|'.join(self.schemes)})://"}


class TimeFormat(Kind):
    """How a time is written."""

    def words(self) -> str:
        return "`iso`, `epoch_s`, `epoch_ms` or strptime codes, as in `%Y-%m-%d %H:%M`"

    def parse(self, node: Node) -> str:
        text: str = Text(100).parse(node)
        if text not in ("iso", "epoch_s", "epoch_ms") and "%" not in text:
            raise ValueError(
                f"{text!r} is not a way to write times; write iso, epoch_s, epoch_ms or strptime codes, as in '%Y-%m-%d %H:%M'"
            )
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^(iso|epoch_s|epoch_ms|.*%.*)$"}


class Value(Kind):
    """Any scalar but nothing: text, number, true or false."""

    def words(self) -> str:
        return "text, a number, `true` or `false`"

    def parse(self, node: Node) -> str | int | float | bool:
        value = node.scalar()
        if value is None:
            raise ValueError("nothing stands where a value is expected")
        return value

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


def no_check(_key: str) -> str:
    return ""


def event_field(key: str) -> str:
    return "" if key in EVENT_FIELDS else f"no event field {key!r}; {nearest(key, EVENT_FIELDS)}. What only this feed has goes under attrs"


def attribute_name(key: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", key):
        return ""
    return f"{key!r} is not a name for an attribute; write letters, digits and '_', as in depth_km"


FIELD_MAP: Final = Table(
    (
        Field("from", Text(500), "path into the record, as in properties.mag; for CSV the column's name", example="properties.mag"),
        Field("template", Text(1000), "text with {path} holes, instead of from", example="'{Type} at {Address}'"),
        Field("constant", Value(), "the same for every record, instead of from", example="fire.smoke"),
        Field("table", Keyed(Value(), no_check), "translation: found text -> value", example="{Extreme: 4, Severe: 3}"),
        Field("default", Value(), "when the table has no row for what was found, or nothing was found", example="call.other"),
        Field("as", OneOf(tuple(ATTR_TYPES), "type"), "type of an attribute", example="number"),
        Field(
            "formats",
            ListOf(TimeFormat(), 1, 16, single=True),
            "how the time is written, tried in order; iso without it",
            default=(),
            example="[epoch_ms]",
        ),
        Field("zone", Zone(), "IANA zone the time is really in; overrides an offset in the text", example="America/Los_Angeles"),
        Field("unit", Unit(), "UCUM unit of the number", example="ug/m3"),
        Field(
            "unit_from",
            Text(500),
            "path to the unit, where each record names its own; unit is used when it is empty",
            example="properties.unit",
        ),
    )
)
MAPPING_VALUE: Final = Short(Text(500), FIELD_MAP)

# Names, needs and kinds are those the transports and formats themselves declare (`OPTIONS`); a test holds the two together.
_SPAN = AsWritten(Span(SECOND // 10, 366 * DAY))
_SIZE = AsWritten(Size())
_INSTANT = AsWritten(Instant())
_COUNT = Number(1, 1_000_000, whole=True)
_FILE = Text(1000)
_IN_FLIGHT = Field("in_flight", _COUNT, "messages on their way to the journal at the same time")
TRANSPORTS: Final[dict[str, Table]] = {
    "webhook": Table((Field("max_body", _SIZE, "largest body, unpacked", example="16 MB"),)),
    "mqtt": Table((_IN_FLIGHT,)),
    "mqtt_broker": Table(
        (
            Field("host", Text(255), "name or address of the broker", True, example="broker.example.org"),
            Field("port", Number(1, 65_535, whole=True), "1883, with TLS usually 8883"),
            Field("topics", ListOf(Text(1000), 1, 100, single=True), "topic filters", True, example="stations/+/level"),
            Field("version", OneOf(("3.1.1", "5"), "MQTT version"), "of MQTT"),
            Field("client_id", Text(200), "name of our session at the broker; unique there"),
            Field("username", Text(200), "who we are"),
            Field("password_file", _FILE, "file that holds the password"),
            Field("tls", Flag(), "connect with TLS"),
            Field("ca_file", _FILE, "certificate authority of the broker, PEM"),
            Field("session", _SPAN, "how long the broker keeps messages for us while we are away (MQTT 5)", example="1 day"),
            _IN_FLIGHT,
        )
    ),
    "http_poll": Table(
        (
            Field("url", Url(("http", "https")), "what to fetch", True, example="https://example.org/quakes.geojson"),
            Field("every", AsWritten(Span(SECOND, 31 * DAY)), "time between two requests", example="1 min"),
            Field("timeout", _SPAN, "how long a whole reply may take", example="30 s"),
            Field("max_size", _SIZE, "largest reply, unpacked", example="16 MB"),
            Field("headers", Keyed(Text(2000), no_check), "request headers", example="{Accept: application/geo+json}"),
            Field("bearer_file", _FILE, "file that holds a token for 'Authorization: Bearer'"),
        )
    ),
    "file_tail": Table(
        (
            Field("path", _FILE, "the growing file, relative to the city directory", True, example="/var/log/panel.ndjson"),
            Field("poll", _SPAN, "time between two looks at the file", example="500 ms"),
            Field("from_end", Flag(), "at the very first start, skip what the file holds already"),
            Field("max_line", _SIZE, "longest line", example="1 MB"),
        )
    ),
    "replay": Table(
        (
            Field("files", ListOf(_FILE, 1, 10_000, single=True), "recorded files, in order", True, example="[recorded/calls.csv]"),
            Field("from", _INSTANT, "leave out what was recorded earlier", example="2017-07-04T12:00:00Z"),
            Field("to", _INSTANT, "leave out what was recorded at or after this", example="2017-07-05T00:00:00Z"),
        )
    ),
}
_CAP_STATUSES = ListOf(OneOf(("Actual", "Exercise", "System", "Test", "Draft"), "status"), 1, single=True)
FORMATS: Final[dict[str, Table]] = {
    "csv": Table(
        (
            Field("delimiter", Letter(), "one character between fields", example="';'"),
            Field("quote", Text(4), "one character round fields; `none` when a quote is a plain character"),
            Field("encoding", Text(40), "how the bytes are written: utf-8, latin-1, cp1252, utf-16, ...", example="latin-1"),
            Field(
                "columns", ListOf(Text(500), 1), "names of the columns, when the first line is a record already", example="[time, lat, lon]"
            ),
            Field("longest_row", _SIZE, "a row of more bytes is refused", example="1 MB"),
        )
    ),
    "json": Table(
        (Field("records", Text(500), "dotted path of the array of records, when it is not the whole message", example="data.items"),)
    ),
    "ndjson": Table((Field("longest_line", _SIZE, "a line of more bytes is refused", example="1 MB"),)),
    "cloudevents": Table(()),
    "geojson": Table(
        (
            Field("profile", OneOf(("nws", "usgs"), "profile"), "a source that is mapped completely by itself: nws or usgs"),
            Field("statuses", _CAP_STATUSES, "with profile nws: alert statuses that are let in", example="[Actual]"),
        )
    ),
    "cap": Table(
        (
            Field("language", Text(40), "which info blocks count, as a language tag or its beginning", example="en"),
            Field("statuses", _CAP_STATUSES, "message statuses that are let in", example="[Actual]"),
            Field("largest", _SIZE, "a message of more bytes is refused", example="4 MB"),
        )
    ),
    "arrow": Table(()),
}

FEED: Final = Table(
    (
        Field("feed", Name(dots=True), "the feed's name, unique in the city", True, example="sfd.calls"),
        Field("title", Text(200), "what a person calls it", example="Fire and EMS calls"),
        Field(
            "purpose",
            Text(500),
            "what the city uses it for; it is used for nothing else",
            True,
            example="Dispatch awareness of fire and medical calls",
        ),
        Field("owner", Text(200), "who answers for it", True, example="Seattle Fire Department"),
        Field(
            "retention",
            Span(HOUR, 36_500 * DAY),
            "how long its events are kept, as in 2 years; then they are deleted",
            True,
            example="2 years",
        ),
        Field("sensitivity", OneOf(SENSITIVITIES, "sensitivity"), "who may see it: public, internal or restricted", True, example="public"),
        Field("licence", Text(500), "under which terms the data comes", default="", example="public domain"),
        Field("transport", Variant(TRANSPORTS, "transport", bare=True), "how its bytes come", True),
        Field("format", Variant(FORMATS, "format", bare=True), "what the bytes are", True),
        Field("mapping", Keyed(MAPPING_VALUE, event_field, tuple(EVENT_FIELDS)), "event field -> where it comes from", default={}),
        Field("attrs", Keyed(MAPPING_VALUE, attribute_name), "the feed's own attributes -> where they come from", default={}),
        Field(
            "personal",
            ListOf(Text(500), single=True),
            "paths that are dropped before anything is written",
            default=(),
            example="[caller.name]",
        ),
        Field("expected_every", Span(SECOND, 366 * DAY), "longest ordinary gap; after three of them the feed is stale", example="1 h"),
        Field("lateness", Span(0, DAY), "how late a fact may come and still change alerts", example="3 h"),
        Field("skew", Span(0, DAY), "how far its clock may be ahead; without it as far as city.yaml says", example="30 s"),
        Field("priority", Number(1, 9, whole=True), "1 is shed last under overload", default=2),
        Field("shift", Span(-36_500 * DAY, 36_500 * DAY), "exercise: added to every event time, and marked", default=0, example="-28 days"),
    ),
    later=("dedup", "place_of", "schedule", "blur"),
)
