"""Events as people write them, in rule tests and exercises, as batches of the journal."""

from __future__ import annotations

import math
from typing import Any, Final

import pyarrow as pa
import shapely

from tocsin.model.city import City
from tocsin.model.event import event_schema
from tocsin.model.ruletest import TestEvent
from tocsin.model.time import SECOND

#: Virtual tests start here: a Thursday noon, so that nothing depends on today.
START: Final = 1_600_000_000 * SECOND
METRES_PER_DEGREE: Final = 6_371_008.8 * math.pi / 180
_KINDS: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}


def to_batch(event: TestEvent, city: City, start: int = START) -> pa.RecordBatch:
    """One event as a batch, its place as metres from the city's centre. `start`: when the clock of the test is zero, µs."""
    lon, lat = city.centre
    time = start + event.at
    attrs = {name: _KINDS[type(value)] for name, value in event.attrs.items()}
    placed = event.east is not None and event.north is not None
    row: dict[str, Any] = {
        "id": event.id,
        "feed": event.feed,
        "kind": event.kind,
        "source": event.source,
        "event_time": time,
        "ingest_time": None,
        "lon": lon + (event.east or 0.0) / (METRES_PER_DEGREE * math.cos(math.radians(lat))) if placed else None,
        "lat": lat + (event.north or 0.0) / METRES_PER_DEGREE if placed else None,
        "area": None if event.area is None or not placed else _round(lon, lat, event),
        "valid_until": None if event.valid_for is None else time + event.valid_for,
        "value": event.value,
        "unit": event.unit,
        "severity": None if event.severity is None else int(event.severity),
        "action": int(event.action),
        "refers_to": event.refers_to,
        "text": event.text,
    }
    if attrs:
        row["attrs"] = dict(event.attrs)
    return pa.RecordBatch.from_pylist([row], schema=event_schema(attrs))


def _round(lon: float, lat: float, event: TestEvent) -> bytes:
    """A round area (64 corners) about the event's place as WKB."""
    radius, turns = event.area or 0.0, [2 * math.pi * step / 64 for step in range(64)]
    east, north = event.east or 0.0, event.north or 0.0
    corners = [
        (
            lon + (east + radius * math.cos(turn)) / (METRES_PER_DEGREE * math.cos(math.radians(lat))),
            lat + (north + radius * math.sin(turn)) / METRES_PER_DEGREE,
        )
        for turn in turns
    ]
    return bytes(shapely.to_wkb(shapely.Polygon(corners)))
