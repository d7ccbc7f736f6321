"""Rows as plain objects: instants as ISO 8601, areas as GeoJSON, attributes as they were."""

from __future__ import annotations

from typing import Any, Final

import orjson
import pyarrow as pa
import shapely

from tocsin.model.severity import Action
from tocsin.model.time import EPOCH, from_datetime, to_iso

_FIRST: Final = from_datetime(EPOCH.replace(year=1))
_LAST: Final = from_datetime(EPOCH.replace(year=9999, month=12, day=31))
_ACTIONS: Final = {int(action): action.name.lower() for action in Action}
#: Columns of an event that say where it is stored, not what was said.
_INNER: Final = frozenset({"cell"})

Json = dict[str, Any]


def objects(table: pa.Table) -> list[Json]:
    """One object a row. Columns of an event get the form that `GET /events` has; all others come as JSON has them."""
    event = is_event(table)
    names = [name for name in table.column_names if not (event and name in _INNER)]
    columns = [_values(name, table[name], event) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def is_event(table: pa.Table) -> bool:
    return {"seq", "event_time", "feed", "kind", "action", "attrs"} <= set(table.column_names)


def _values(name: str, column: pa.ChunkedArray, event: bool) -> list[Any]:
    if event and name == "area":
        return [None if shape is None else orjson.loads(shapely.to_geojson(shape)) for shape in shapes_of(column)]
    if event and name == "attrs":
        return [orjson.loads(text) if text else {} for text in column.to_pylist()]
    if event and name == "action":
        return [_ACTIONS.get(value) for value in column.to_pylist()]
    if event and name == "severity":
        return [value or 0 for value in column.to_pylist()]
    return plain(column)


def plain(column: pa.ChunkedArray) -> list[Any]:
    """Values as JSON can hold them. A time without a zone - a city's own, as a statement made it - is written without one."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        instants = column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64()).to_pylist()
        texts = [None if us is None or not _FIRST <= us <= _LAST else to_iso(us) for us in instants]
        return texts if kind.tz is not None else [None if text is None else text.removesuffix("Z") for text in texts]
    return [jsonable(value) for value in values_of(column)]


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """As Python has them; None for a day or an instant that it has not (`infinity`)."""
    try:
        found: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        found = [_value_of(one) for one in column]
    return found


def _value_of(one: pa.Scalar) -> Any:
    try:
        return one.as_py()
    except (OverflowError, ValueError):
        return None


def jsonable(value: Any) -> Any:
    """Bytes as hexadecimal, what JSON does not know as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): jsonable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    if value is None or isinstance(value, str | bool | float):
        return value
    return value if isinstance(value, int) and -(1 << 63) <= value < 1 << 64 else str(value)


def shapes_of(column: pa.ChunkedArray) -> Any:
    """WKB as shapes; None where there is none, and where the bytes are not WKB."""
    return shapely.from_wkb(column.to_pylist(), on_invalid="ignore")
