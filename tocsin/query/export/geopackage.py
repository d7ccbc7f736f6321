"""GeoPackage (OGC 12-128r18): an SQLite file with the tables the standard asks for and one feature table."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import shapely

from tocsin.model.asking import Refused

from .flat import Flat, flat, free_names
from .objects import plain

TABLE: Final = "rows"
#: SQLite's own limit, less `fid` and `geom`.
_COLUMNS_MOST: Final = 1_998
_SRS: Final = 4326
_TYPES: Final = {pa.int64(): "INTEGER", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
#: Header of a geometry (clause 2.1.3): "GP", version 1, little endian without envelope; bit 4 marks an empty geometry.
_HEADER: Final = struct.pack("<2sBBi", b"GP", 0, 1, _SRS)
_SCHEMA: Final = """
PRAGMA application_id = 0x47504B47;
PRAGMA user_version = 10400;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
  srs_id INTEGER, CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL, m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name), CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
"""
_WGS84: Final = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],'
    'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]'
)
_SYSTEMS: Final = (
    ("Undefined cartesian SRS", -1, "NONE", -1, "undefined", "undefined cartesian coordinate reference system"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
    ("WGS 84 geodetic", _SRS, "EPSG", _SRS, _WGS84, "longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid"),
)


def to_geopackage(table: pa.Table) -> bytes:
    """The rows as a layer of features (`rows`), or of attributes when they have no places. Raises Refused for too many columns."""
    rows = flat(table)
    if len(rows.table.columns) > _COLUMNS_MOST:
        raise Refused(
            f"format: found {len(rows.table.columns):,} columns; a GeoPackage holds {_COLUMNS_MOST:,}, parquet, arrow and csv any number"
        )
    with tempfile.TemporaryDirectory(prefix="tocsin-export-") as folder:
        file = Path(folder) / "rows.gpkg"
        database = sqlite3.connect(file, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = MEMORY")
            database.executescript(_SCHEMA)
            database.execute("BEGIN")
            database.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", _SYSTEMS)
            _register(database, rows)
            _fill(database, rows)
            database.execute("COMMIT")
        finally:
            database.close()
        return file.read_bytes()


def _register(database: sqlite3.Connection, rows: Flat) -> None:
    bounds: tuple[float | None, ...] = rows.bounds or (None, None, None, None)
    kind, srs = ("attributes", None) if rows.shapes is None else ("features", _SRS)
    changed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    database.execute("INSERT INTO gpkg_contents VALUES (?, ?, ?, '', ?, ?, ?, ?, ?, ?)", (TABLE, kind, TABLE, changed, *bounds, srs))
    if rows.shapes is not None:
        database.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'GEOMETRY', ?, 0, 0)", (TABLE, _SRS))


def _fill(database: sqlite3.Connection, rows: Flat) -> None:
    shown = _column_names(rows)
    declared = [f"{name} {_type(column.type)}" for name, column in zip(shown, rows.table.columns, strict=True)]
    geometry = [] if rows.shapes is None else ["geom GEOMETRY"]
    database.execute(f"CREATE TABLE {TABLE} ({', '.join(['fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL', *geometry, *declared])})")
    columns: list[Any] = [] if rows.shapes is None else [list(_blobs(rows.shapes))]
    columns += [_values(column) for column in rows.table.columns]
    if columns:
        marks = ", ".join("?" for _ in columns)
        names = ", ".join([*(["geom"] if geometry else []), *shown])
        database.executemany(f"INSERT INTO {TABLE} ({names}) VALUES ({marks})", zip(*columns, strict=True))  # noqa: S608


def _column_names(rows: Flat) -> list[str]:
    """Names in quotes."""
    return ['"' + name.replace('"', '""') + '"' for name in free_names(rows.table.column_names, ("fid", "geom"))]


def _type(kind: pa.DataType) -> str:
    return "DATETIME" if _is_instant(kind) else _TYPES.get(kind, "TEXT")


def _is_instant(kind: pa.DataType) -> bool:
    """A DATETIME is in UTC; a time without a zone is not, so it stays a text."""
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not _is_instant(column.type):
        return plain(column)
    return [None if text is None else _datetime(text) for text in plain(column)]


def _datetime(iso: str) -> str:
    """The one form the standard allows: milliseconds and Z."""
    whole, _, rest = iso.removesuffix("Z").partition(".")
    return f"{whole}.{rest[:3]:0<3}Z"


def _blobs(shapes: Any) -> Iterator[bytes | None]:
    for wkb in shapely.to_wkb(shapes, byte_order=1):
        yield None if wkb is None else _HEADER + wkb
