"""What analysts type and ask without thinking of us: columns of one name, answers without rows, times without a zone or without an end, places at the edge
of the map."""

from __future__ import annotations

import io
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from query_world import MONDAY, SmallArchive, row, table

from tocsin.model.asking import Filter, Patience, Refused, Search, Series, Statement, Tile
from tocsin.model.time import MINUTE
from tocsin.query.ask import Questions
from tocsin.query.export.formats import FORMATS, format_of
from tocsin.query.export.objects import objects
from tocsin.query.places import Places
from tocsin.query.rows import Limits
from tocsin.query.sandbox.run import Cage, numbered, run, want_of
from tocsin.query.where import words_of

CAGE = Cage(memory=192 << 20, threads=1, bytes=1 << 20)


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> SmallArchive:
    made = SmallArchive(tmp_path_factory.mktemp("archive"))
    made.add([row(n, event_time=MONDAY + n * MINUTE, kind=("call.fire", "smoke.pm")[n % 2]) for n in range(20)])
    return made


def ask(archive: SmallArchive, sql: str):
    return run(archive, Statement(sql, seconds=30.0), Patience(60), Limits(), CAGE)


def read(form: str, rows: pa.Table, folder: Path) -> pa.Table:
    """What GDAL, or Arrow, makes of the file."""
    file = folder / f"rows.{format_of(form).suffix}"
    file.write_bytes(format_of(form).encode(rows))
    return pq.read_table(file) if form == "parquet" else pyogrio.read_arrow(file)[1]


def test_columns_of_one_name_are_told_apart_in_every_format(archive, tmp_path):
    answer = ask(
        archive, "SELECT a.seq, b.seq, a.lon, a.lat, b.lon, 7 AS seq_1 FROM events a JOIN events b ON a.seq = b.seq ORDER BY 1 LIMIT 2"
    )
    assert answer.table.column_names == ["seq", "seq_2", "lon", "lat", "lon_1", "seq_1"]
    assert "name them with AS" in answer.notes[-1]
    assert objects(answer.table)[1] == {"seq": 1, "seq_2": 1, "lon": -122.33, "lat": 47.6, "lon_1": -122.33, "seq_1": 7}
    for form in FORMATS:
        assert format_of(form).encode(answer.table), form
    assert ask(archive, "SELECT count(*) AS n FROM events").notes == ()


def test_names_are_numbered_once():
    assert numbered(["a", "a", "b", "a"]) == ["a", "a_1", "b", "a_2"]
    assert numbered(["a", "a_1", "a", "a"]) == ["a", "a_1", "a_2", "a_3"]
    assert numbered(["a", "b", "A"]) == ["a", "b", "A"]


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_an_answer_without_rows_is_a_file_like_any_other(form, tmp_path):
    encoded = format_of(form).encode(table([]))
    if form in ("parquet", "gpkg", "fgb"):
        found = read(form, table([]), tmp_path)
        assert len(found) == 0 and "kind" in found.column_names
    elif form == "json":
        assert encoded == b"[]"
    elif form == "arrow":
        assert pa.ipc.open_stream(io.BytesIO(encoded)).read_all().num_rows == 0
    else:
        assert encoded.startswith(b"seq,event_time")


@pytest.mark.parametrize("form", ["parquet", "gpkg", "fgb"])
def test_a_column_may_be_called_like_the_shape(form, tmp_path):
    rows = pa.table({"lon": [1.0], "lat": [2.0], "geometry": [3], "bbox": [4], "geom": [5], "FID": [6], "wkb_geometry": [7]})
    found = read(form, rows, tmp_path)
    assert len(set(found.column_names)) == len(found.column_names)
    shape = {"parquet": "geometry", "gpkg": "geom"}.get(form) or next(
        name for name in found.column_names if found.schema.field(name).type == pa.binary()
    )
    values = {value for name, (value,) in found.to_pydict().items() if isinstance(value, int)}
    assert values >= {3, 4, 5, 6, 7}
    assert shapely.from_wkb(found[shape][0].as_py()).equals(shapely.Point(1, 2))


def test_a_geopackage_says_how_many_columns_it_can_have():
    many = pa.table({f"c{n}": [n] for n in range(2_500)})
    with pytest.raises(Refused, match="found 2,500 columns; a GeoPackage holds 1,998"):
        format_of("gpkg").encode(many)
    assert format_of("parquet").encode(many)


def test_a_citys_own_time_is_not_called_utc(archive, tmp_path):
    """In the hour that comes twice only the time with a zone tells which one is meant."""
    rows = ask(archive, "SELECT min(event_time) AS t, min(event_time) AT TIME ZONE 'America/Los_Angeles' AS own FROM events").table
    assert objects(rows) == [{"t": "2026-01-05T00:00:00Z", "own": "2026-01-04T16:00:00"}]
    assert format_of("csv").encode(rows) == b"t,own\r\n2026-01-05T00:00:00Z,2026-01-04T16:00:00\r\n"
    found = read("gpkg", rows, tmp_path)
    assert pa.types.is_timestamp(found.schema.field("t").type) and found["own"].to_pylist() == ["2026-01-04T16:00:00"]


def test_days_and_instants_without_an_end_are_nothing(archive):
    sql = "SELECT DATE 'infinity' AS d, TIMESTAMPTZ '-infinity' AS t, [DATE 'infinity', DATE '2026-01-05'] AS many, DATE '0044-03-15 (BC)' AS long_ago"
    rows = ask(archive, sql).table
    found = objects(rows)[0]
    assert (found["d"], found["t"], found["long_ago"]) == (None, None, None)
    for form in set(FORMATS) - {"fgb"}:
        assert format_of(form).encode(rows), form


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("event_time < 'infinity'", 20),
        ("event_time > '-infinity' AND event_time < '294000-01-01'", 20),
        ("event_time > '290000-01-01'", 0),
        ("lon < 'infinity' AND lon > '-infinity' AND lat > 'nan'", 0),
    ],
)
def test_a_bound_beyond_every_calendar_bounds_nothing(archive, condition, count):
    assert ask(archive, f"SELECT count(*) AS n FROM events WHERE {condition}").table["n"].to_pylist() == [count]


def test_what_the_catalogue_is_asked_for_is_a_number_it_knows():
    """SQLite has no integer beyond 64 bits."""
    far = (1 << 63) - 1
    assert (want_of("events", {"event_time": (-far, far)}).start, want_of("hourly", {"start": (-far, far)}).stop) == (None, None)


def test_a_table_that_is_none_is_told_by_the_names_of_ours(archive):
    with pytest.raises(Refused, match=r"there is no table 'event'; did you mean 'events'\? known: daily, events, hourly"):
        ask(archive, "SELECT * FROM event")
    with pytest.raises(Refused, match="PIVOT without its values; name them"):
        ask(archive, "PIVOT events ON kind USING count(*)")
    assert {"events", "hourly", "daily"} <= set(ask(archive, "SHOW TABLES").table["name"].to_pylist())


EDGES = [
    (180.0, 10.0),
    (-180.0, -10.0),
    (179.9999, 0.0),
    (10.0, 90.0),
    (-10.0, -90.0),
    (0.0, 86.0),
    (180.0, 90.0),
    (-180.0, -90.0),
    (0.0, 0.0),
]


@pytest.mark.parametrize("z", [0, 1, 5, 22])
def test_every_place_on_earth_lies_in_one_tile(engine, z):
    with tempfile.TemporaryDirectory() as folder:
        made = SmallArchive(Path(folder))
        made.add([row(n, lon=lon, lat=lat) for n, (lon, lat) in enumerate(EDGES[:5])])
        made.keep([row(n, lon=lon, lat=lat) for n, (lon, lat) in enumerate(EDGES[5:], 5)])
        questions = Questions(made, Places(), engine=engine)
        side = 1 << z
        columns = sorted({min(side - 1, int((lon + 180) / 360 * side)) for lon, _ in EDGES})
        rows = sorted({_row(lat, side) for _, lat in EDGES})
        found: dict[int, int] = {}
        for x in columns:
            for y in rows:
                one = questions.tile(Tile(z, x, y, Filter()), Patience(30)).table
                assert all(0 <= place <= 4096 for name in ("px", "py") for place in one[name].to_pylist())
                found[x, y] = sum(one["rows"].to_pylist())
        assert sum(found.values()) == len(EDGES)
        assert all(found[min(side - 1, int((lon + 180) / 360 * side)), _row(lat, side)] for lon, lat in EDGES if lon != 0 or lat != 0)


def _row(lat: float, side: int) -> int:
    edge = math.radians(min(max(lat, -85.0511287798066), 85.0511287798066))
    return min(side - 1, max(0, int((1 - math.asinh(math.tan(edge)) / math.pi) / 2 * side)))


@pytest.mark.parametrize("cursor", ["", "5", ".", "x.y", "9" * 30 + ".1", "1." + "9" * 30, "1767571200000000.", "-" + "9" * 19 + ".5"])
def test_a_cursor_that_is_none_is_told(archive, engine, cursor):
    questions = Questions(archive, Places(), engine=engine)
    if not cursor:
        assert len(questions.search(Search(Filter(), 5, cursor), Patience(30)).table) == 5
        return
    with pytest.raises(Refused, match="cursor: found"):
        questions.search(Search(Filter(), 5, cursor), Patience(30))


def test_quotes_around_nothing_and_zooms_that_are_no_numbers(archive, engine):
    """`""` asks for nothing; a superscript two is a digit to Unicode and no number."""
    assert words_of('pike "" "engine 5" "') == ("pike", "engine 5", '"')
    questions = Questions(archive, Places(), engine=engine)
    for detail in ("\u00b2", "", "-4", "4.0", "999999999999"):
        with pytest.raises(Refused, match="cell of zoom"):
            questions.series(Series(Filter(), "hour", "cell", detail), Patience(30))
