"""Answers as files, judged by readers that nobody here wrote: GDAL (through pyogrio), Arrow, SQLite, the csv module, DuckDB."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import struct
import sys

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from query_world import MONDAY, row, table

from tocsin.model.asking import Answer, Plan, Refused
from tocsin.query.export.binary import to_points
from tocsin.query.export.formats import FORMATS, format_of
from tocsin.query.export.objects import objects
from tocsin.query.export.text import guarded
from tocsin.query.export.vector_tile import to_tile

SQUARE = shapely.box(-122.4, 47.5, -122.3, 47.6)
ROWS = [
    row(1, event_time=MONDAY + 123_456, value=1.5, unit="Cel", severity=3, text='=cmd|"/c calc"!A1', attrs='{"type":"Car Fire","units":3}'),
    row(2, lon=None, lat=None, text="no place\nsecond line", source="-5 engine", kind="smoke"),
    row(3, area=SQUARE.wkb, lon=-122.35, lat=47.55, valid_until=MONDAY + 5, kind="weather.warning", text="Überflutung, @home"),
]
EVENTS = table(ROWS)


def written(form: str, tmp_path, rows: pa.Table = EVENTS):
    chosen = format_of(form)
    file = tmp_path / f"rows.{chosen.suffix}"
    file.write_bytes(chosen.encode(rows))
    return file


@pytest.mark.parametrize("form", ["gpkg", "fgb"])
def test_gdal_reads_features_with_every_value(form, tmp_path):
    file = written(form, tmp_path)
    info = pyogrio.read_info(file)
    assert info["crs"] == "EPSG:4326" and info["driver"] == {"gpkg": "GPKG", "fgb": "FlatGeobuf"}[form]
    _, read = pyogrio.read_arrow(file)
    name = "geom" if form == "gpkg" else "wkb_geometry" if "wkb_geometry" in read.column_names else "geometry"
    shapes = {one["seq"]: None if one[name] is None else shapely.from_wkb(one[name]) for one in read.to_pylist()}
    assert shapes[1].equals(shapely.Point(-122.33, 47.6)) and shapes[3].equals(SQUARE)
    assert set(shapes) == ({1, 2, 3} if form == "gpkg" else {1, 3})
    first = next(one for one in read.to_pylist() if one["seq"] == 1)
    assert (first["value"], first["severity"], first["kind"], json.loads(first["attrs"])["units"]) == (1.5, 3, "call.fire", 3)
    assert first["text"].startswith("=cmd"), "only a spreadsheet runs formulas"
    assert round(first["event_time"].timestamp() * 1000) == (MONDAY + 123_000) // 1000


def test_a_geopackage_has_what_the_standard_asks_for(tmp_path):
    """OGC 12-128r18: requirements 2 (application id), 10 and 11 (reference systems), 13 (contents), 21 to 26 (geometry columns), 19 (header)."""
    with sqlite3.connect(written("gpkg", tmp_path)) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert database.execute("PRAGMA user_version").fetchone()[0] >= 10200
        assert (
            database.execute("PRAGMA integrity_check").fetchone() == ("ok",) and not database.execute("PRAGMA foreign_key_check").fetchall()
        )
        assert {srs for (srs,) in database.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")} >= {-1, 0, 4326}
        (contents,) = database.execute("SELECT table_name, data_type, min_x, min_y, max_x, max_y, srs_id FROM gpkg_contents").fetchall()
        assert contents == ("rows", "features", -122.4, 47.5, -122.3, 47.6, 4326)
        assert database.execute("SELECT * FROM gpkg_geometry_columns").fetchall() == [("rows", "geom", "GEOMETRY", 4326, 0, 0)]
        blob = database.execute("SELECT geom FROM rows WHERE seq = 1").fetchone()[0]
        assert struct.unpack("<2sBBi", blob[:8]) == (b"GP", 0, 1, 4326) and shapely.from_wkb(blob[8:]).equals(shapely.Point(-122.33, 47.6))
        assert database.execute("SELECT event_time FROM rows WHERE seq = 1").fetchone() == ("2026-01-05T00:00:00.123Z",)
    database.close()


def test_geoparquet_says_what_the_standard_asks_for_and_engines_read_it(tmp_path):
    file = written("parquet", tmp_path)
    geo = json.loads(pq.read_metadata(file).metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0" and column["encoding"] == "WKB" and column["geometry_types"] == ["Point", "Polygon"]
    assert column["bbox"] == [-122.4, 47.5, -122.3, 47.6] and column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    read = duckdb.sql(f"SELECT seq, geometry, bbox.xmin AS west FROM read_parquet('{file}') ORDER BY seq").fetchall()
    assert shapely.from_wkb(bytes(read[0][1])).equals(shapely.Point(-122.33, 47.6)) and read[1][1:] == (None, None) and read[2][2] == -122.4


def test_csv_reads_back_and_no_cell_is_a_formula(tmp_path):
    lines = list(csv.DictReader(io.StringIO(written("csv", tmp_path).read_bytes().decode(), newline="")))
    assert [line["seq"] for line in lines] == ["1", "2", "3"]
    assert lines[0]["text"] == '\'=cmd|"/c calc"!A1' and lines[1]["source"] == "'-5 engine" and lines[1]["text"] == "no place\nsecond line"
    assert lines[0]["lon"] == "-122.33", "a negative number is a number"
    assert lines[0]["event_time"] == "2026-01-05T00:00:00.123456Z"
    assert [guarded(text) for text in ("=1", "+1", "-1", "@x", "\tx", "a=1")] == ["'=1", "'+1", "'-1", "'@x", "'\tx", "a=1"]


def test_arrow_is_the_rows_as_they_are(tmp_path):
    assert pa.ipc.open_stream(written("arrow", tmp_path)).read_all().equals(EVENTS)


def test_json_has_the_form_of_the_events_api():
    first, second, third = objects(EVENTS)
    assert first["attrs"] == {"type": "Car Fire", "units": 3} and first["action"] == "report" and "cell" not in first
    assert second["severity"] == 0 and second["attrs"] == {} and second["lon"] is None
    assert third["area"]["type"] == "Polygon" and third["valid_until"] == "2026-01-05T00:00:00.000005Z"


def test_any_types_of_a_statement_fit_every_format(tmp_path):
    odd = duckdb.sql(
        "SELECT [1, NULL] AS list, {'a': 'x'} AS struct, NULL AS nothing, 1.25::DECIMAL(9, 2) AS exact, 2::HUGEINT AS huge, 'ab'::BLOB AS bytes, "
        "DATE '2026-01-05' AS day, TIME '01:02:03' AS clock, true AS yes, 'q\"' AS \"na\"\"me\", 1 AS fid, 2 AS \"FID_\", 'NaN'::DOUBLE AS nan, "
        "INTERVAL 3 DAY AS span, 18446744073709551615::UBIGINT AS big, TIMESTAMP '2026-01-05 01:02:03' AS local"
    ).to_arrow_table()  # fmt: skip
    for form in set(FORMATS) - {"fgb"}:
        assert format_of(form).encode(odd)
        assert format_of(form).encode(odd.slice(0, 0))
    with pytest.raises(Refused, match="no lon and lat"):
        format_of("fgb").encode(odd)
    _, read = pyogrio.read_arrow(written("gpkg", tmp_path, odd))
    assert read["list"].to_pylist() == ["[1,null]"] and read["exact"].to_pylist() == [1.25]


def test_a_format_that_is_none_is_told(monkeypatch):
    with pytest.raises(Refused, match="did you mean 'parquet'"):
        format_of("parqet")
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    monkeypatch.setattr("tocsin.query.export.flatgeobuf.find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"tocsin\[gis\]"):
        format_of("fgb").encode(EVENTS)


def test_gdal_reads_a_vector_tile(tmp_path):
    squares = pa.table(
        {"px": [0, 4095, 100], "py": [0, 4095, 200], "rows": [1, 70_000, 2], "severity": pa.array([None, 4, 0], pa.int8()), "kind": ["call", "smoke", "call"],
         "seq": [5, -(1 << 62), 1 << 61]}
    )  # fmt: skip
    folder = tmp_path / "3" / "1"
    folder.mkdir(parents=True)
    (folder / "2.mvt").write_bytes(to_tile(squares))
    _, read = pyogrio.read_arrow(folder / "2.mvt", layer="events")
    found = {one["seq"]: one for one in read.drop_columns([read.column_names[-1]]).to_pylist()}
    assert set(found) == {5, -(1 << 62), 1 << 61}
    assert (found[-(1 << 62)]["rows"], found[-(1 << 62)]["severity"], found[-(1 << 62)]["kind"]) == (70_000, 4, "smoke")
    assert found[5]["severity"] is None
    assert to_tile(squares.slice(0, 0)) == b""


def test_points_are_flat_columns_within_a_centimetre():
    rng = np.random.default_rng(3)
    rows = [
        row(n, lon=-122.33 + x, lat=47.6 + y, event_time=MONDAY + n * 1_000_000, kind=("a", "b")[n % 2])
        for n, (x, y) in enumerate(rng.normal(0, 0.2, (99, 2)))
    ]
    taken = table(rows).select(["seq", "event_time", "lon", "lat", "kind", "severity"])
    body = to_points(Answer(taken, Plan(0, 0, 0, 0), 0))
    length = struct.unpack("<I", body[:4])[0]
    head, base = orjson.loads(body[4 : 4 + length]), 4 + length
    assert base % 8 == 0 and head["count"] == 99 and head["kinds"] == ["a", "b"]
    columns = {one["name"]: np.frombuffer(body, "<" + one["type"], 99, base + one["offset"]) for one in head["columns"]}
    assert np.abs(columns["lon"].astype(float) + head["origin"][0] - taken["lon"].to_numpy()).max() < 1e-7
    assert np.abs(columns["lat"].astype(float) + head["origin"][1] - taken["lat"].to_numpy()).max() < 1e-7
    assert columns["time"].tolist() == list(range(99)) and columns["seq"].tolist() == list(range(99)) and head["start"] == MONDAY
    empty = to_points(Answer(taken.slice(0, 0), Plan(0, 0, 0, 0), 0))
    assert orjson.loads(empty[4 : 4 + struct.unpack("<I", empty[:4])[0]])["count"] == 0
