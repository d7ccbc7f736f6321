"""Rows as flat columns with a shape each: the ground of every format that knows no nested values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import shapely

from .objects import jsonable, shapes_of, values_of


@dataclass(frozen=True, slots=True)
class Flat:
    """`table`: columns of numbers, texts, instants, truths. `shapes`: a shapely geometry or None a row; None when the rows have no places."""

    table: pa.Table
    shapes: Any | None

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """west, south, east, north of all shapes, None without any."""
        if self.shapes is None or all(shape is None for shape in self.shapes):
            return None
        west, south, east, north = shapely.total_bounds(self.shapes)
        return float(west), float(south), float(east), float(north)


def flat(table: pa.Table) -> Flat:
    """Nested values become JSON texts, unusual numbers doubles; `area`, else `lon` and `lat`, become the shape."""
    names = table.column_names
    shapes = (
        _shapes(table)
        if {"lon", "lat"} <= set(names) and all(pa.types.is_floating(table.schema.field(n).type) for n in ("lon", "lat"))
        else None
    )
    kept = [name for name in names if not (shapes is not None and name == "area")]
    return Flat(pa.table({name: simple(table[name]) for name in kept}), shapes)


def free_names(names: Sequence[str], taken: Iterable[str]) -> list[str]:
    """Each name, with `_` after one that another column has or that the format needs for itself; capital letters make no difference."""
    used, made = {name.lower() for name in taken}, []
    for name in names:
        free = name
        while free.lower() in used:
            free += "_"
        used.add(free.lower())
        made.append(free)
    return made


def simple(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """One of bool, int64, float64, string, timestamp in UTC."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return column
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or kind == pa.uint64():
        return column.cast(pa.float64(), safe=False)
    texts = [None if value is None else _text(jsonable(value)) for value in values_of(column)]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _shapes(table: pa.Table) -> Any:
    lon, lat = (table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in ("lon", "lat"))
    placed = ~(np.isnan(lon.astype(np.float64)) | np.isnan(lat.astype(np.float64)))
    shapes = np.full(len(table), None, object)
    shapes[placed] = shapely.points(lon[placed], lat[placed])
    if "area" in table.column_names:
        areas = shapes_of(table["area"])
        shapes = np.where(shapely.is_geometry(areas), areas, shapes)
    return shapes
