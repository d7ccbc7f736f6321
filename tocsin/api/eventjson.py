"""Rows of an event batch as the JSON objects of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa
import shapely

from tocsin.model.event import INSTANT
from tocsin.model.exercise import is_exercise
from tocsin.model.severity import Action
from tocsin.model.time import EPOCH, from_datetime, to_iso

_ACTIONS: Final = {int(action): action.name.lower() for action in Action}
_FIRST: Final = from_datetime(EPOCH.replace(year=1))
_LAST: Final = from_datetime(EPOCH.replace(year=9999, month=12, day=31))
_PLAIN: Final = ("id", "feed", "kind", "source", "lon", "lat", "value", "unit", "refers_to", "text")

Json = dict[str, Any]


def events_json(batch: pa.RecordBatch, rows: Sequence[int], seqs: Sequence[int], ingests: Sequence[int]) -> list[Json]:
    """`rows` of `batch` as event objects (docs/wiring.md); `seqs` and `ingests` (µs) beside them, since the journal sets both."""
    taken = batch.take(pa.array(rows, pa.int64()))
    plain = {name: taken.column(name).to_pylist() for name in _PLAIN}
    event_time, valid_until = _instants(taken.column("event_time")), _instants(taken.column("valid_until"))
    severity, action = taken.column("severity").to_pylist(), taken.column("action").to_pylist()
    area, attrs = _areas(taken.column("area")), _attrs(taken)
    return [
        {
            "seq": seqs[i],
            **{name: values[i] for name, values in plain.items()},
            "event_time": event_time[i],
            "ingest_time": iso(ingests[i]),
            "area": area[i],
            "valid_until": valid_until[i],
            "severity": severity[i] or 0,
            "exercise": is_exercise(plain["feed"][i]),
            "action": _ACTIONS[action[i]],
            "attrs": attrs[i],
        }
        for i in range(len(rows))
    ]


def iso(us: int | None) -> str | None:
    """Microseconds as ISO 8601, None for null and for what no calendar can write (an attribute may hold any number)."""
    return to_iso(us) if us is not None and _FIRST <= us <= _LAST else None


def _instants(column: pa.Array) -> list[str | None]:
    return [iso(us) for us in column.cast(pa.int64()).to_pylist()]


def _areas(column: pa.Array) -> list[Json | None]:
    """WKB as GeoJSON geometry (RFC 7946); null where there is none, and where the bytes are not WKB."""
    shapes = shapely.from_wkb(column.to_pylist(), on_invalid="ignore")
    return [None if shape is None else orjson.loads(shapely.to_geojson(shape)) for shape in shapes]


def _attrs(taken: pa.RecordBatch) -> list[Json]:
    """The feed's own attributes without the nulls; instants as text."""
    if "attrs" not in taken.schema.names:
        return [{} for _ in range(taken.num_rows)]
    column = taken.column("attrs")
    fields = {
        column.type.field(i).name: _instants(values) if values.type == INSTANT else values.to_pylist()
        for i, values in enumerate(column.flatten())
    }
    return [{name: values[i] for name, values in fields.items() if values[i] is not None} for i in range(taken.num_rows)]
