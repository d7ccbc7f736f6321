"""Reading a small place or one source straight from the row groups that can hold it: never fewer rows than the engine finds, and nothing else opened."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from query_world import MONDAY, SmallArchive, in_box, row

from tocsin.archive.outlines import outline_of
from tocsin.model.archive import ROW, Box
from tocsin.model.asking import Around, Filter, History, Patience, Points, Search, Series, Stopped, TooSlow
from tocsin.model.time import DAY, HOUR, MINUTE
from tocsin.query.ask import Questions
from tocsin.query.footers import Footers, bounds_of, footer_of
from tocsin.query.places import Places
from tocsin.query.search import waves
from tocsin.query.straight import Near, Part, Straight, near_of

HERE, FAR = (-122.33, 47.6), (-121.0, 46.0)
PATIENCE = Patience()
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
places = st.sampled_from((None, HERE, FAR, (-122.3301, 47.6001), (179.9999, -16.0), (-179.9999, -16.0), (10.0, 86.0)))
drawn_rows = st.lists(
    st.tuples(st.integers(0, 200), places, st.sampled_from((None, "s-1", "s-2", "engine 5")), st.none() | st.floats(-5, 5)), max_size=60
)
nears = st.builds(
    lambda box, start, span, sources: near_of(Filter(MONDAY + start * MINUTE, MONDAY + (start + span) * MINUTE, box, sources=sources)),
    st.sampled_from((Box(-122.34, 47.5, -122.32, 47.7), Box(179.0, -17.0, -179.0, -15.0), Box(-180.0, -90.0, 180.0, 90.0), Box(9, 85, 11, 90))),
    st.integers(-10, 200), st.integers(0, 100), st.sampled_from(((), ("s-1",), ("s-1", "engine 5"), ("nobody",))),
)  # fmt: skip


def made_row(number, minute, place, source, value):
    lon, lat = place or (None, None)
    return row(number, event_time=MONDAY + minute * MINUTE, lon=lon, lat=lat, source=source, value=value)


@pytest.fixture
def straight():
    made = Straight(2)
    yield made
    made.close()


@SETTINGS
@given(drawn_rows, nears)
def test_what_is_read_straight_is_what_passes_place_time_and_source(drawn, near):
    rows = [made_row(number, *one) for number, one in enumerate(drawn)]
    straight = Straight(2)
    with tempfile.TemporaryDirectory() as folder:
        archive = SmallArchive(Path(folder))
        for part in (rows[:20], rows[20:]):
            if part:
                archive.add(part)
        parts = [part for part in straight.parts(archive.files, near) if len(part.groups)]
        found = straight.rows(parts, near, ("seq", "id", "value", "source", "cell"), PATIENCE)
    straight.close()
    expected = [
        one
        for one in rows
        if in_box(one, near.box) and near.start <= one["event_time"] < near.stop and (not near.sources or one["source"] in near.sources)
    ]
    told = sorted(found.to_pylist(), key=lambda one: one["seq"])
    assert told == [{name: one[name] for name in ("seq", "id", "value", "source", "cell")} for one in expected]
    assert found.column_names == ["seq", "id", "value", "source", "cell"]


@SETTINGS
@given(drawn_rows, st.integers(0, 200), st.sampled_from((0, 10, 1 << 30)), st.sampled_from((0, 10, 1 << 30)))
def test_every_way_of_reading_gives_the_same_answers(engine, drawn, minute, most, kept):
    import tocsin.query.straight as module

    rows = [made_row(number, *one) for number, one in enumerate(drawn)]
    questions = (
        lambda q: q.around(Around(*HERE, MONDAY + minute * MINUTE, 500.0, HOUR, HOUR), PATIENCE),
        lambda q: q.history(History("calls", "s-1"), PATIENCE),
        lambda q: q.history(History("calls", "s-1", MONDAY + (minute - 50) * MINUTE, MONDAY + minute * MINUTE), PATIENCE),
        lambda q: q.history(History("calls", "s-1", limit=2, cursor=f"{MONDAY + minute * MINUTE}.{minute}"), PATIENCE),
        lambda q: q.search(Search(Filter(box=Box(-122.34, 47.5, -122.32, 47.7), stop=MONDAY + minute * MINUTE), 5), PATIENCE),
        lambda q: q.points(Points(Filter(box=Box(-122.34, 47.5, -122.32, 47.7))), PATIENCE),
        lambda q: q.series(Series(Filter(box=Box(179.0, -17.0, -179.0, -15.0)), "hour", "source"), PATIENCE),
    )
    before = module.ROWS_MOST, module.RICH_MOST, module.KEPT_MOST
    with tempfile.TemporaryDirectory() as folder:
        archive = SmallArchive(Path(folder))
        for part in (rows[:20], rows[20:40]):
            if part:
                archive.add(part)
        archive.keep(rows[40:])
        asked = Questions(archive, Places(), engine=engine)
        try:
            module.ROWS_MOST = module.RICH_MOST = module.KEPT_MOST = 1 << 30
            straight = [told(question(asked)) for question in questions]
            module.ROWS_MOST, module.RICH_MOST, module.KEPT_MOST = most, most, kept
            other = [told(question(asked)) for question in questions]
        finally:
            module.ROWS_MOST, module.RICH_MOST, module.KEPT_MOST = before
    assert straight == other


def told(answer):
    """All that an answer says, rows in any order but of pages."""
    rows = [str(one) for one in answer.table.to_pylist()]
    return rows if answer.next else sorted(rows), answer.table.schema, answer.sql, answer.next


def test_only_files_that_hold_something_are_opened(tmp_path, straight, monkeypatch):
    import tocsin.query.footers as module

    archive = SmallArchive(tmp_path)
    files = [archive.add([row(20 * k + n, lon=lon, lat=lat) for n in range(20)]) for k, (lon, lat) in enumerate((HERE, FAR, HERE))]
    opened = []
    monkeypatch.setattr(module, "footer_of", lambda path: (opened.append(path), footer_of(path))[1])
    near = near_of(Filter(box=Box(-122.34, 47.5, -122.32, 47.7)))
    bodies = {file.path: outline_of(file.path).to_bytes() for file in files}
    parts = [part for part in straight.parts(files, near, lambda file: bodies.pop(file.path)) if len(part.groups)]
    assert [part.file for part in parts] == [files[0], files[2]] and not opened
    assert sorted(straight.rows(parts, near, ("seq",), PATIENCE)["seq"].to_pylist()) == [*range(20), *range(40, 60)]
    assert set(opened) == {files[0].path, files[2].path}
    assert len(list(straight.parts(files, near, lambda file: bodies.pop(file.path)))) == 3, "asked for once, and remembered"


def test_outlines_are_kept_while_there_is_room(tmp_path):
    archive = SmallArchive(tmp_path)
    files = [archive.add([row(20 * k + n) for n in range(20)]) for k in range(3)]
    asked = []

    def of(file):
        asked.append(file.path)
        return outline_of(file.path).to_bytes()

    footers = Footers(outlines=2 * outline_of(files[0].path).nbytes)
    for file in (files[0], files[1], files[0], files[2], files[0], files[1]):
        footers.outline(file, of)
    assert asked == [file.path for file in (files[0], files[1], files[2], files[1])]
    again = Footers()
    assert again.outline(files[0], lambda _file: None).rows.tolist() == [16, 4], "of what is not known the footer is read"


def two_places(tmp_path, **options):
    """One file of two row groups: one place each, three days."""
    archive = SmallArchive(tmp_path)
    rows = [
        row(n, event_time=MONDAY + n * HOUR, lon=lon, lat=lat)
        for k, (lon, lat) in enumerate((HERE, FAR))
        for n in range(16 * k, 16 * k + 16)
    ]
    return archive, archive.add(rows, **options)


def spoil(stored, group):
    """Every page of one row group."""
    meta = pq.read_metadata(stored.path).row_group(group)
    columns = [meta.column(place) for place in range(meta.num_columns)]
    begin = min(one.dictionary_page_offset or one.data_page_offset for one in columns)
    whole = bytearray(stored.path.read_bytes())
    length = sum(one.total_compressed_size for one in columns)
    whole[begin : begin + length] = b"\xff" * length
    stored.path.write_bytes(whole)


def test_a_row_group_elsewhere_is_not_read(tmp_path, engine):
    archive, stored = two_places(tmp_path)
    low = pq.read_metadata(stored.path)
    cells = [low.row_group(group).column(ROW.names.index("cell")).statistics.min for group in range(2)]
    spoil(stored, int(np.argmax(cells)))
    lower, upper = sorted((HERE, FAR), key=lambda place: row(0, lon=place[0], lat=place[1])["cell"])
    asked = Questions(archive, Places(), engine=engine)
    whole = Around(*lower, MONDAY + 12 * HOUR, 500.0, 3 * DAY, 3 * DAY)
    assert len(asked.around(whole, PATIENCE).table) == 16
    with pytest.raises(Exception, match=r"."):
        asked.around(replace(whole, lon=upper[0], lat=upper[1]), PATIENCE)


def test_a_row_group_of_another_time_is_not_read(tmp_path, straight):
    _archive, stored = two_places(tmp_path)
    footer = bounds_of(footer_of(stored.path))
    everywhere = ((0, 1 << 40),)
    assert footer.groups(None, None, everywhere, bare=False).tolist() == [0, 1]
    for group in (0, 1):
        begin, end = footer.times(group)
        assert footer.groups(begin, begin + 1, everywhere, bare=False).tolist() == [group]
        assert footer.groups(end, end + 1, everywhere, bare=False).tolist() == [group]
    assert footer.groups(MONDAY - HOUR, MONDAY, everywhere, bare=True).tolist() == []


def test_rows_without_a_place_are_found_where_they_are_asked_for(tmp_path, straight):
    archive = SmallArchive(tmp_path)
    bare = [row(n, lon=None, lat=None) for n in range(16)]
    archive.add([*bare, *(row(n, lon=FAR[0], lat=FAR[1]) for n in range(16, 32))])
    footer = bounds_of(footer_of(archive.files[0].path))
    here = ((row(0)["cell"], row(0)["cell"]),)
    assert footer.groups(None, None, here, bare=False).tolist() == []
    assert [int(footer.rows[group]) for group in footer.groups(None, None, here, bare=True)] == [16]
    near = Near(here, bare=True)
    found = straight.rows(list(straight.parts(archive.files, near)), near, ("seq",), PATIENCE)
    assert sorted(found["seq"].to_pylist()) == list(range(16))


def test_statistics_that_are_not_there_rule_nothing_out(tmp_path, straight, engine):
    archive, stored = two_places(tmp_path)
    pq.write_table(pq.read_table(stored.path), stored.path, row_group_size=16, write_statistics=False)
    assert bounds_of(footer_of(stored.path)).groups(0, 1, ((0, 0),), bare=False).tolist() == [0, 1]
    found = Questions(archive, Places(), engine=engine).around(Around(*HERE, MONDAY, 500.0, DAY, DAY), PATIENCE).table
    assert sorted(found["seq"].to_pylist()) == list(range(16))


def test_a_file_of_an_older_version_gives_what_it_has(tmp_path, engine):
    archive, _ = two_places(tmp_path, drop=["text", "id_form", "refers_to", "attrs"])
    found = Questions(archive, Places(), engine=engine).around(Around(*HERE, MONDAY, 500.0, DAY, DAY), PATIENCE).table
    assert sorted(found["id"].to_pylist()) == sorted(f"r{n}" for n in range(16)) and found["text"].null_count == 16


def test_instants_in_another_unit_are_read_as_what_they_are(tmp_path, straight):
    archive, stored = two_places(tmp_path)
    whole = pq.read_table(stored.path)
    place = whole.schema.get_field_index("event_time")
    pq.write_table(
        whole.set_column(place, "event_time", whole["event_time"].cast(pa.timestamp("ms", "UTC"))), stored.path, row_group_size=16
    )
    near = near_of(Filter(MONDAY + HOUR, MONDAY + 3 * HOUR, Box(-123, 47, -122, 48)))
    found = straight.rows(list(straight.parts(archive.files, near)), near, ("seq", "event_time"), PATIENCE)
    assert sorted(found["seq"].to_pylist()) == [1, 2] and found.schema.field("event_time").type == ROW.field("event_time").type


def test_footers_are_read_once_and_kept_while_there_is_room(tmp_path, monkeypatch):
    import tocsin.query.footers as module

    archive = SmallArchive(tmp_path)
    files = [archive.add([row(40 * k + n) for n in range(40)]) for k in range(4)]  # three row groups each
    read: list[Path] = []
    monkeypatch.setattr(module, "footer_of", lambda path: (read.append(path), footer_of(path))[1])
    footers = Footers(groups=6)
    for file in (files[0], files[1], files[0]):
        footers.of(file)
    assert read == [files[0].path, files[1].path]
    footers.of(files[2])  # there is room for two: files[1] goes, which was asked for longest ago
    footers.of(files[0])
    assert read == [files[0].path, files[1].path, files[2].path]
    footers.of(files[1])
    assert read[-1] == files[1].path
    assert Footers(groups=1).of(files[3]).meta.num_row_groups == 3  # one that is too large for the room there is can be had all the same


def test_much_text_and_very_much_of_all_are_left_to_the_engine(tmp_path, straight, monkeypatch):
    import tocsin.query.straight as module

    _archive, stored = two_places(tmp_path)
    footer = bounds_of(footer_of(stored.path))
    text = Part(stored, footer, np.arange(2))
    plain = Part(replace(stored, stream="readings"), footer, np.arange(2))
    assert straight.worth([plain, text]) == ([plain, text], [])
    monkeypatch.setattr(module, "RICH_MOST", 31)
    assert straight.worth([plain, text]) == ([plain], [text])
    monkeypatch.setattr(module, "ROWS_MOST", 31)
    assert straight.worth([plain, text]) == ([], [plain, text])
    monkeypatch.setattr(module, "RICH_MOST", 32)
    assert straight.worth([text]) == ([], [text])


def test_reading_ends_when_nobody_waits_or_it_takes_too_long(tmp_path, straight):
    archive, _ = two_places(tmp_path)
    near = near_of(Filter(box=Box(-123, 47, -122, 48)))
    parts = list(straight.parts(archive.files, near))
    gone = Event()
    gone.set()
    with pytest.raises(Stopped):
        straight.rows(parts, near, ("seq",), Patience(given_up=gone))
    with pytest.raises(TooSlow, match="longer than -1 s"):
        straight.rows(parts, near, ("seq",), Patience(seconds=-1.0))


def test_waves_of_weighed_files_grow_and_keep_the_order(tmp_path):
    archive = SmallArchive(tmp_path)
    files = [archive.add([row(n, event_time=MONDAY + k * DAY)]) for k, n in enumerate(range(12))]
    told = [([file.rows for file in wave], horizon) for wave, horizon in waves(files, lambda _file: 10, first=10)]
    assert [len(rows) for rows, _ in told] == [1, 2, 4, 5] and told[0][1] == MONDAY + 10 * DAY and told[-1][1] is None
    (everything,) = waves(files, lambda _file: 0, first=10)
    assert len(everything[0]) == 12
