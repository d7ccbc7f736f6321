"""FlatGeobuf, through GDAL where it is installed (`pip install tocsin[gis]`)."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import shapely

from tocsin.model.asking import Refused

from .flat import flat, free_names


def to_flatgeobuf(table: pa.Table) -> bytes:
    """Features with a spatial index. Raises Refused where GDAL is missing or rows have no places."""
    if find_spec("pyogrio") is None:
        raise Refused(
            "format: FlatGeobuf needs the extra `gis` on this server (pip install 'tocsin[gis]'); GeoPackage holds the same and needs nothing"
        )
    rows = flat(table)
    if rows.shapes is None:
        raise Refused("format: FlatGeobuf holds features, and these rows have no lon and lat; valid is json, csv, arrow, parquet, gpkg")
    import pyogrio

    own = rows.table.rename_columns(free_names(rows.table.column_names, ("geometry", "wkb_geometry")))
    made = own.append_column("geometry", pa.array(shapely.to_wkb(rows.shapes), pa.binary()))
    made = made.filter(pa.compute.is_valid(made["geometry"]))
    with tempfile.TemporaryDirectory(prefix="tocsin-export-") as folder:
        file = Path(folder) / "rows.fgb"
        pyogrio.write_arrow(made, file, driver="FlatGeobuf", geometry_name="geometry", geometry_type="Unknown", crs="EPSG:4326")
        return file.read_bytes()
