"""Arrow IPC, and Parquet that is GeoParquet 1.1 where rows have places (WKB geometries with a bounding box of each row)."""

from __future__ import annotations

import io
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from .flat import Flat, flat, free_names

GEOPARQUET: Final = "1.1.0"
_BBOX: Final = ("xmin", "ymin", "xmax", "ymax")


def to_arrow(table: pa.Table) -> bytes:
    """An Arrow IPC stream of the rows as they are."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def to_parquet(table: pa.Table) -> bytes:
    """zstd; with `geometry` and its covering `bbox` where rows have places."""
    rows = flat(table)
    made = rows.table if rows.shapes is None else _with_geometry(rows)
    out = io.BytesIO()
    pq.write_table(made, out, compression="zstd", version="2.6")
    return out.getvalue()


def _with_geometry(rows: Flat) -> pa.Table:
    shapes: Any = rows.shapes
    box = pa.StructArray.from_arrays(
        [pa.array(column, pa.float64(), from_pandas=True) for column in shapely.bounds(shapes).T],
        names=list(_BBOX),
        mask=pa.array([shape is None for shape in shapes], pa.bool_()),
    )
    own = rows.table.rename_columns(free_names(rows.table.column_names, ("geometry", "bbox")))
    made = own.append_column("geometry", pa.array(shapely.to_wkb(shapes), pa.binary())).append_column("bbox", box)
    return made.replace_schema_metadata({b"geo": orjson.dumps(_geo(rows, shapes))})


def _geo(rows: Flat, shapes: Any) -> dict[str, Any]:
    kinds = sorted({shape.geom_type for shape in shapes if shape is not None})
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": kinds,
        "covering": {"bbox": {name: ["bbox", name] for name in _BBOX}},
    }
    if rows.bounds is not None:
        column["bbox"] = list(rows.bounds)
    return {"version": GEOPARQUET, "primary_column": "geometry", "columns": {"geometry": column}}
