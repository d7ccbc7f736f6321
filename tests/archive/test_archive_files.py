"""Files as they lie on disk: readable by others, sorted, pruned, leased; damaged ones contained, repaired; other versions refused."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import DAY, FEEDS, SECOND, START, batch, event, keeper, plain, rows, spread
from hypothesis import given
from hypothesis import strategies as st

from tocsin.archive import compact as compact_module
from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import clock_of, compact
from tocsin.archive.holdings import Archive
from tocsin.archive.leases import NOBODY, Leases
from tocsin.archive.merge import Source, merged
from tocsin.archive.order import order
from tocsin.archive.parquet import GROUPS, STORED, loaded, read
from tocsin.archive.repair import Repair, losses
from tocsin.archive.retention import Retention
from tocsin.archive.rows import journal_rows
from tocsin.archive.schema import VERSION
from tocsin.archive.sweep import parquet_files, sweep
from tocsin.archive.tiles import cells
from tocsin.archive.tombstones import Signer
from tocsin.archive.verify import verify
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.archive import Box, Want
from tocsin.model.rowids import SEPARATORS, TIMES, form_of, full_ids, make_ids


def filled(folder, count=900):
    kept = keeper(folder)
    entries = [(1, batch(spread(count, days=6))), (2, batch(spread(200, 1, 6, "fleet"))), (3, batch(spread(100, 2, 6, "calls")))]
    kept.append(entries, 3)
    return kept, entries


def test_files_are_sorted_in_row_groups_that_other_readers_prune(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    for now, by_day in ((START, False), (START + 300 * DAY, True)):
        compact(kept.catalog, now)
        for one in kept.catalog.files("gone IS NULL AND tier IN ('day', 'month')"):
            table = read(one.file.path)
            assert table.schema.names == STORED.names
            assert (order(table, by_day=by_day) == np.arange(len(table))).all()
            meta = pq.read_metadata(one.file.path)
            encodings = {meta.row_group(0).column(i).path_in_schema: meta.row_group(0).column(i).encodings for i in range(meta.num_columns)}
            assert not any("BYTE_STREAM_SPLIT" in found for found in encodings.values())  # Spark's reader fails on it
            assert all(meta.row_group(0).column(i).statistics is not None for i in range(meta.num_columns))
            assert meta.row_group(0).column(0).compression == "ZSTD"
            assert meta.row_group(0).column(0).has_offset_index


def test_a_regular_day_is_written_in_the_encodings_that_were_measured_and_takes_few_bytes(tmp_path):
    """Sixty sensors that say a whole number of tenths once in three minutes, as the benchmarks' feeds do."""
    kept, rng = keeper(tmp_path / "archive"), np.random.default_rng(7)
    places = [{"lon": round(-122.3 + n / 500, 5), "lat": round(47.6 + n % 7 / 100, 5)} for n in range(60)]
    said = [(START + minute * 60 * SECOND + n * 1_000, n) for minute in range(0, 24 * 60, 3) for n in range(60)]
    events = [
        event(
            number,
            "air",
            time,
            id=f"s{n}/{time // SECOND}",
            source=f"s{n}",
            value=int(rng.integers(0, 500)) / 10,
            unit="ug/m3",
            **places[n],
        )
        for number, (time, n) in enumerate(said)
    ]
    kept.append([(1, batch(events))], 1)
    kept.flush()
    compact(kept.catalog, START + 300 * DAY)
    files = [one.file for one in kept.catalog.files("gone IS NULL AND tier = 'month'")]
    assert sum(file.rows for file in files) == len(events)
    assert sum(file.size for file in files) < 8 * len(events)
    for file in files:
        meta = pq.read_metadata(file.path)
        for number in range(meta.num_row_groups):
            columns = [meta.row_group(number).column(place) for place in range(meta.num_columns)]
            encodings = {column.path_in_schema: column.encodings for column in columns}
            assert "DELTA_BINARY_PACKED" in encodings["event_time"] and "DELTA_BINARY_PACKED" in encodings["ingest_time"]
            named = [one.name for one in STORED if pa.types.is_dictionary(one.type) or one.name in ("severity", "action", "id_form")]
            assert all("RLE_DICTIONARY" in encodings[name] for name in named)


def test_a_flipped_page_is_noticed_by_its_checksum(tmp_path):
    """By a reader that knows nothing of our catalogue."""
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    path = max(kept.catalog.files("tier = 'day' AND class = 'readings'"), key=lambda one: one.file.rows).file.path
    meta = pq.read_metadata(path)
    column = next(column for column in map(meta.row_group(0).column, range(meta.num_columns)) if column.path_in_schema == "value")
    sound = pq.read_table(path, page_checksum_verification=True)
    assert len(sound) == meta.num_rows
    body = bytearray(path.read_bytes())
    body[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    path.write_bytes(body)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_month_files_belong_to_feeds(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    compact(kept.catalog, START + 300 * DAY)
    found = {(one.file.stream, one.file.path.parent.name) for one in kept.catalog.files("gone IS NULL AND tier = 'month'")}
    assert found == {("readings", "feed=air"), ("positions", "feed=fleet"), ("events", "feed=calls")}


def test_a_feed_with_much_in_a_month_has_several_files_one_after_the_other_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.archive.parquet.GROUPS", dict.fromkeys(GROUPS, 16))  # so that slices of the map can be small
    monkeypatch.setattr(compact_module, "FULL", 120)
    monkeypatch.setattr(compact_module, "merged", partial(merged, most=60))
    kept, entries = filled(tmp_path / "archive")
    kept.flush()
    compact(kept.catalog, START + 300 * DAY)
    files = [one for one in kept.catalog.files("gone IS NULL AND tier = 'month'") if one.file.path.parent.name == "feed=air"]
    counts = [one.file.rows for one in files]
    assert len(files) > 3 and sum(counts) == 900 and sum(count < 120 for count in counts) <= 1
    spans = sorted((min(tiles), max(tiles)) for tiles in ((read(one.file.path)["cell"].fill_null(-16).to_numpy() >> 4) for one in files))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert compact(kept.catalog, START + 300 * DAY) == 0  # what is full is not joined again, however many there are
    for number in range(4, 7):  # but what comes late is, when there is enough of it
        entries.append((number, batch(spread(30, number, 6, first=number * 10_000))))
        kept.append(entries[-1:], number)
        kept.flush()
        compact(kept.catalog, START + 300 * DAY)
    again = [one for one in kept.catalog.files("gone IS NULL AND tier = 'month'") if one.file.path.parent.name == "feed=air"]
    assert sum(one.file.rows < 120 for one in again) < compact_module.PIECES and sum(one.file.rows for one in again) == 990
    kept.close()
    assert plain(rows(tmp_path / "archive")) == plain(journal_rows(entries))


@pytest.mark.parametrize("most", [9, 100, 10_000, None])
def test_merging_in_slices_of_any_size_gives_every_row_once(tmp_path, monkeypatch, most):
    for module in ("parquet", "merge"):
        monkeypatch.setattr(f"tocsin.archive.{module}.GROUPS", dict.fromkeys(GROUPS, 16))
    monkeypatch.setattr("tocsin.archive.merge.SLICE", 4_000)  # bytes, where `most` says nothing
    kept, entries = filled(tmp_path / "archive", 300)
    crowd = [event(n, "air", START + n * DAY // 20, lon=-122.3, lat=47.6) for n in range(200)]
    nowhere = [event(n, "air", START + n * DAY // 20) for n in range(50)]
    more = [(4, batch(crowd)), (5, batch(nowhere))]
    kept.append(more, 5)
    kept.flush()
    sources = [Source(one.file.path, 0) for one in kept.catalog.files("tier = 'day'")]
    read: list[tuple[int, int]] = []
    for place, source in enumerate(sources):
        monkeypatch.setattr(
            source, "_group", lambda group, place=place, of=source._group: (read.append((place, group.number)), of(group))[1]
        )
    parts = list(merged(sources, most))
    assert len(parts) > 10 or most == 10_000
    assert len(read) == len(set(read)) == sum(len(source.groups) for source in sources), "every row group once"
    assert not any(len(source._rest) for source in sources)
    assert sorted(seq for part in parts for seq in part.column("seq").to_pylist()) == sorted(row["seq"] for row in plain(rows(kept.folder)))
    assert len(rows(kept.folder)) == sum(len(one) for _, one in entries + more)


WANTS = [
    Want(),
    Want(start=START + DAY, stop=START + 2 * DAY),
    Want(box=Box(-122.32, 47.55, -122.28, 47.62)),
    Want(box=Box(170, -80, -122.3, 80)),
    Want(feeds=("calls",)),
    Want(kinds=("air", "asset")),
    Want(classes=("positions",)),
    Want(first=(1 << 20) + 100, last=(2 << 20) + 5),
    Want(start=START + 100 * DAY),
    Want(box=Box(-122.4, 10, -122.2, 11)),
    Want(box=Box(-100, 47.5, -99, 47.7)),
    Want(box=Box(170, -80, -150, 80)),
    Want(box=Box(-122.32, 47.55, -122.28, 47.62), kinds=("call", "asset.pos"), last=(2 << 20) + 5),
]


def could_hold(path, want):
    """By all rows of the file: whether its bounds meet the want, which is all that may be known of a file that is not open."""
    held = plain(loaded(read(path)))

    def meets(name, low, high):
        values = [row[name] for row in held if row[name] is not None]
        return bool(values) and (low is None or max(values) >= low) and (high is None or min(values) <= high)

    def inside(box):
        lon = meets("lon", box.west, box.east) if box.west <= box.east else meets("lon", box.west, None) or meets("lon", None, box.east)
        return lon and meets("lat", box.south, box.north)

    return (
        meets("event_time", want.start, None if want.stop is None else want.stop - 1)
        and meets("seq", want.first, want.last)
        and (not want.feeds or any(row["feed"] in want.feeds for row in held))
        and (not want.kinds or any(f"{row['kind']}.".startswith(tuple(f"{kind}." for kind in want.kinds)) for row in held))
        and (not want.classes or set(want.classes) & set(path.parts))
        and (want.box is None or inside(want.box))
    )


@pytest.mark.parametrize("want", WANTS, ids=str)
def test_a_look_has_exactly_the_files_whose_bounds_meet_the_want(tmp_path, want):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    everything = [one.file for one in kept.catalog.files("gone IS NULL AND tier = 'day'")]
    assert len(everything) > 6
    with contextlib.closing(Archive(kept.folder)) as archive, archive.look(want) as look:
        assert {file.path for file in look.files} == {file.path for file in everything if could_hold(file.path, want)}


@pytest.mark.parametrize("want", WANTS, ids=str)
@pytest.mark.parametrize("stage", ["tail", "files"])
def test_a_look_misses_nothing_that_is_wanted(tmp_path, want, stage):
    kept, _ = filled(tmp_path / "archive")
    if stage == "files":
        kept.flush()

    def passes(row):
        box = want.box
        inside = box is None or (
            row["lon"] is not None
            and box.south <= row["lat"] <= box.north
            and (box.west <= row["lon"] <= box.east if box.west <= box.east else row["lon"] >= box.west or row["lon"] <= box.east)
        )
        return (
            inside
            and (want.start is None or row["event_time"] >= want.start)
            and (want.stop is None or row["event_time"] < want.stop)
            and (not want.feeds or row["feed"] in want.feeds)
            and (not want.kinds or row["kind"].split(".")[0] in want.kinds)
            and (not want.classes or {"air": "readings", "fleet": "positions", "calls": "events"}[row["feed"]] in want.classes)
            and (want.first is None or row["seq"] >= want.first)
            and (want.last is None or row["seq"] <= want.last)
        )

    expected = [row for row in plain(rows(kept.folder)) if passes(row)]
    found = plain(rows(kept.folder, want))
    assert [row for row in found if passes(row)] == expected
    if stage == "tail":
        assert found == expected
    archive = Archive(kept.folder)
    with archive.look(want) as look:
        assert look.reaches == (4 << 20) - 1
        assert look.rows >= len(expected)
        if want.start == START + 100 * DAY:
            assert not look.files and not len(look.tail)


def reader(folder, ready, go):
    with Archive(folder).look(Want()) as look:
        ready.put([str(file.path) for file in look.files])
        go.get()
        ready.put(sum(read(file.path).num_rows for file in look.files))
        go.get()


def test_no_file_goes_under_an_open_look_and_a_dead_reader_holds_nothing(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    context = multiprocessing.get_context("spawn")
    ready, go = context.Queue(), context.Queue()
    process = context.Process(target=reader, args=(kept.folder, ready, go))
    process.start()
    paths = ready.get(timeout=60)
    assert compact(kept.catalog, START + 300 * DAY)
    go.put(1)
    assert ready.get(timeout=60) == len(rows(kept.folder))
    assert set(map(str, parquet_files(kept.folder))) > set(paths)
    process.kill()
    process.join()
    sweep(kept.catalog)
    left = set(map(str, parquet_files(kept.folder)))
    assert not left & set(paths)
    assert left == {str(one.file.path) for one in kept.catalog.files()}
    assert Leases(kept.folder / "leases").oldest() == NOBODY


def flip(path, at=0.5):
    body = bytearray(path.read_bytes())
    body[int(len(body) * at)] ^= 4
    path.write_bytes(body)


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "footer"])
def test_a_damaged_file_is_contained_and_fetched_again(tmp_path, harm):
    kept, entries = filled(tmp_path / "archive")
    kept.flush()
    whole = plain(rows(kept.folder))
    victim = max(kept.catalog.files("tier = 'day' AND class = 'readings'"), key=lambda one: one.file.rows).file
    if harm == "flipped":
        flip(victim.path)
    elif harm == "footer":
        flip(victim.path, 0.999)
    elif harm == "cut":
        victim.path.write_bytes(victim.path.read_bytes()[:-100])
    else:
        victim.path.unlink()
    report = verify(kept.catalog)
    assert list(report.damaged) == [str(victim.path.relative_to(kept.folder))]
    with Archive(kept.folder).look(Want()) as look:
        assert [file.path for file in look.damaged] == [victim.path]
    rest = plain(rows(kept.folder))
    assert len(rest) == len(whole) - victim.rows
    (loss,) = losses(kept.catalog)
    work = Repair(kept.catalog, loss, FEEDS, Retention(kept.catalog, Signer(kept.folder), clock_of(kept.catalog)))
    work.take(entries)
    assert work.finish() == victim.rows == loss.rows
    assert plain(rows(kept.folder)) == whole
    sweep(kept.catalog)
    assert verify(kept.catalog).sound


def test_compaction_does_not_spread_damage(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    victim = max(kept.catalog.files("tier = 'day' AND class = 'readings'"), key=lambda one: one.file.rows).file
    flip(victim.path)
    compact(kept.catalog, START + 300 * DAY)
    damaged = [one.file.path for one in kept.catalog.files("gone IS NULL AND damaged IS NOT NULL")]
    assert damaged == [victim.path]
    assert len(rows(kept.folder)) == 1200 - victim.rows


def test_long_work_says_how_far_it_is(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()

    def told(work):
        said = []
        work(lambda what, share: said.append((what, share)))
        return [what for what, _ in said], [share for _, share in said]

    files = [one.file for one in kept.catalog.files()]
    names, shares = told(partial(verify, kept.catalog))
    assert names == [str(file.path.relative_to(kept.folder)) for file in files]
    total = sum(file.size for file in files)
    assert shares == [sum(file.size for file in files[:count]) / total for count in range(len(files))]
    names, shares = told(partial(compact, kept.catalog, START + 300 * DAY))
    starts = [place for place, share in enumerate(shares) if share == 0]  # what is done shows what there is to do next: a plan begins at 0
    assert starts[0] == 0 and all(names)
    for start, end in pairwise([*starts, len(shares)]):
        assert shares[start:end] == sorted(set(shares[start:end])) and shares[end - 1] < 1
    assert max(shares) > 0
    assert told(partial(compact, kept.catalog, START + 300 * DAY)) == ([], [])


def test_what_the_catalogue_says_of_a_file_is_checked(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    kept.catalog.connection.execute("UPDATE file SET stop = stop - 1 WHERE id = 1")
    assert len(verify(kept.catalog).damaged) == 1
    kept.catalog.connection.execute("UPDATE file SET stop = stop + 1 WHERE id = 1")
    assert verify(kept.catalog).sound  # what turns out sound is read again
    (kept.folder / "readings" / "stray.parquet").write_bytes(b"x")
    assert verify(kept.catalog).strange == ["readings/stray.parquet"]


def test_an_archive_of_a_newer_version_is_refused(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.close()
    with sqlite3.connect(tmp_path / "archive" / "catalog.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    for opening in (lambda: keeper(tmp_path / "archive"), lambda: Catalog(tmp_path / "archive", write=False)):
        with pytest.raises(Fatal, match=f"has format 99, this version of Tocsin reads formats 1 to {VERSION}"):
            opening()


def test_an_archive_that_is_just_being_made_is_empty(tmp_path):
    (tmp_path / "catalog.db").touch()  # its keeper has begun, and has no tables yet
    archive = Archive(tmp_path)
    with archive.look(Want()) as look:
        assert (look.files, len(look.tail), look.reaches) == ([], 0, 0)
    with contextlib.closing(keeper(tmp_path)) as kept:
        kept.append([(1, batch([event(1)]))], 1)
        with archive.look(Want()) as look:
            assert len(look.tail) == 1
    archive.close()


def test_two_keepers_cannot_keep_one_archive(tmp_path):
    kept = keeper(tmp_path / "archive")
    with pytest.raises(Retriable, match=r"keep\.lock"):
        keeper(tmp_path / "archive")
    kept.close()
    keeper(tmp_path / "archive").close()


def test_a_feed_that_changes_its_attributes_stays_readable(tmp_path):
    kept = keeper(tmp_path / "archive")
    one = batch([event(1, attrs={"type": "x"})], {"type": "string"})
    two = batch([event(2, attrs={"type": 5, "new": True})], {"type": "integer", "new": "boolean"})
    three = batch([event(3)], {})
    kept.append([(1, one), (2, two), (3, three)], 3)
    kept.flush()
    compact(kept.catalog, START + 300 * DAY)
    assert [row["attrs"] for row in plain(rows(kept.folder))] == ['{"type":"x"}', '{"type":5,"new":true}', None]


@given(
    st.text(min_size=1, max_size=5), st.integers(0, 4_102_444_800_000_000), st.integers(0, len(SEPARATORS) - 1), st.integers(0, TIMES - 1)
)
def test_an_id_made_of_source_and_time_comes_back(source, time, separator, how):
    name = make_ids(pa.array([source]), np.array([time]), 1 + 8 * separator + how)[0].as_py()
    form = form_of(name, source, time)
    assert form
    table = pa.table(
        {
            "id": pa.array([None, "own"]), "id_form": pa.array([form, 0], pa.int8()), "source": pa.array([source, source]).dictionary_encode(),
            "event_time": pa.array([time, time], pa.timestamp("us", "UTC")),
        }
    )  # fmt: skip
    assert full_ids(table).to_pylist() == [name, "own"]


@given(st.floats(-180, 180), st.floats(-85, 85))
def test_cells_are_quadkeys(lon, lat):
    x = min(65535, int((lon + 180) / 360 * 65536))
    y = int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 65536)
    digits = "".join(str((x >> bit & 1) | (y >> bit & 1) << 1) for bit in range(15, -1, -1))
    assert cells(np.array([lon]), np.array([lat]))[0] == int(digits, 4)


def test_loaded_rows_have_schema_row(tmp_path):
    kept, _ = filled(tmp_path / "archive")
    kept.flush()
    table = loaded(read(kept.catalog.files("tier = 'day'")[0].file.path))
    assert table.column("id").null_count == 0
