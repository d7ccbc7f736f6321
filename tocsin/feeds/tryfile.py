"""What a file decodes to, in words and columns a person reads: `tocsin feed try FEED FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import shapely

from tocsin.kernel.fault import Skippable
from tocsin.model.event import BASE_FIELDS
from tocsin.model.feed import FeedSpec
from tocsin.model.severity import Action, Severity
from tocsin.model.time import format_span, to_iso

from . import formats

_LEFT_OUT = {"feed", "ingest_time"}  # the same in every row, or not known yet
_SHOWN_RAW = 200  # bytes of a refused record


@dataclass(frozen=True, slots=True)
class Refused:
    """A record (or, with `index` None, the whole message) that could not be decoded. `raw`: its beginning, empty for a feed with personal
    fields, because a screen is written down too."""

    index: int | None
    where: str
    reason: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """`columns`: the fields that any row has, in event order, attributes as `attrs.<name>`. `rows`: field -> text, absent when null.
    `notes`: what the rows do not say: an exercise's shift, fields that are null in every row although they are mapped."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    refused: tuple[Refused, ...]
    notes: tuple[str, ...] = ()


def describe(spec: FeedSpec, body: bytes) -> Description:
    """The events of `body` and what was refused. Raises Misconfigured when the feed's mapping is wrong."""
    try:
        decoded = formats.make_format(spec).decode(body, spec)
    except Skippable as fault:
        return Description((), (), (Refused(None, fault.where, str(fault)),))
    rows = tuple(_row(event) for event in decoded.events.to_pylist())
    names = [known.name for known in BASE_FIELDS if known.name not in _LEFT_OUT] + [f"attrs.{name}" for name in spec.attrs]
    refused = tuple(Refused(one.index, one.where, one.reason, _raw(spec, one.raw)) for one in decoded.rejects)
    return Description(
        tuple(name for name in names if any(name in row for row in rows)), rows, refused, tuple(_notes(spec, decoded.events))
    )


def _row(event: Mapping[str, Any]) -> dict[str, str]:
    flat = {**event, **{f"attrs.{name}": value for name, value in (event.get("attrs") or {}).items()}}
    return {name: _text(name, value) for name, value in flat.items() if value is not None and name not in _LEFT_OUT and name != "attrs"}


def _text(name: str, value: Any) -> str:
    if name == "severity":
        return Severity(value).name.lower()
    if name == "action":
        return Action(value).name.lower()
    if isinstance(value, bytes):
        return _area(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)


def _area(wkb: bytes) -> str:
    shape = shapely.from_wkb(wkb)
    west, south, east, north = (f"{edge:g}" for edge in shape.bounds)
    return f"{shape.geom_type.lower()} of {shapely.get_num_coordinates(shape)} corners, {west}..{east} E, {south}..{north} N"


def _raw(spec: FeedSpec, raw: bytes) -> str:
    return "" if spec.personal else raw[:_SHOWN_RAW].decode(errors="backslashreplace")


def _notes(spec: FeedSpec, events: pa.RecordBatch) -> list[str]:
    notes = []
    if spec.shift:
        first = to_iso(events.column("event_time").cast(pa.int64())[0].as_py() - spec.shift) if events.num_rows else ""
        notes.append(f"exercise: times are shifted by {format_span(spec.shift)}" + (f"; the first was written as {first}" if first else ""))
    count = events.num_rows
    empty = [name for name in spec.mapping if count and name in events.schema.names and events.column(name).null_count == count]
    return notes + [f"{name} is mapped but null in every record; check its path" for name in empty]
