"""What the catalogue knows of row groups: right for every file there is, gone with it, made later for archives of older versions."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archive_world import DAY, HOUR, START, Crash, batch, calm, crash_at, keeper, spread
from golden_archive import unpack
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.archive import spots
from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import compact
from tocsin.archive.holdings import Archive
from tocsin.archive.outlines import fill, outline_of
from tocsin.archive.parquet import STORED, Writer
from tocsin.archive.retention import Retention, declare
from tocsin.archive.tombstones import Signer
from tocsin.archive.verify import verify
from tocsin.model.archive import Want
from tocsin.model.event import INSTANT
from tocsin.model.outline import Outline, disjoint

LATER = START + 300 * DAY
drawn_rows = st.lists(st.tuples(st.none() | st.integers(0, 40), st.integers(-30, 30)), max_size=50)
drawn_ranges = st.lists(st.tuples(st.integers(0, 45), st.integers(0, 6)).map(lambda one: (one[0], one[0] + one[1])), max_size=4)
Rows = list[tuple[int | None, int]]


def table(rows: Rows) -> pa.Table:
    """Rows of (cell, half hours since START) as a table of two columns."""
    times = pa.array([START + half * HOUR // 2 for _, half in rows], INSTANT)
    return pa.table({"event_time": times, "cell": pa.array([cell for cell, _ in rows], pa.int64())})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(drawn_rows, min_size=1, max_size=4),
    drawn_ranges,
    st.integers(-35, 35),
    st.integers(0, 20),
    st.booleans(),
    st.sampled_from((3, 128)),
)
def test_no_row_group_is_left_out_that_holds_something(
    groups: list[Rows], ranges: list[tuple[int, int]], begin: int, span: int, bare: bool, most: int
) -> None:
    before, spots.SPOTS_MOST = spots.SPOTS_MOST, most
    try:
        whole = Outline.of([spots.group_outline(table(rows), 0) for rows in groups])
    finally:
        spots.SPOTS_MOST = before
    again = Outline.from_bytes(whole.to_bytes())
    assert again is not None and whole.is_said_by(again.to_bytes()) and again.rows.tolist() == [len(rows) for rows in groups]
    start, stop = START + begin * HOUR // 2, START + (begin + span) * HOUR // 2

    def holds(rows: Rows, slack: int) -> bool:
        times = [(cell, START + half * HOUR // 2) for cell, half in rows]
        inside = [cell for cell, time in times if start - slack <= time < stop + slack]
        return any(bare if cell is None else any(first <= cell <= last for first, last in ranges) for cell in inside)

    must = {number for number, rows in enumerate(groups) if holds(rows, 0)}
    for outline in (whole, again):
        assert must <= set(outline.groups(start, stop, ranges, bare=bare).tolist())
        for number, rows in enumerate(groups):
            low, high = outline.times(number)
            assert all(low <= START + half * HOUR // 2 <= high for _, half in rows)
    if most == 128:  # every cell by itself: nothing is opened for another place
        may = {number for number, rows in enumerate(groups) if holds(rows, 100 * DAY)}
        assert set(again.groups(None, None, ranges, bare=bare).tolist()) == may


@settings(max_examples=60, deadline=None)
@given(drawn_ranges)
def test_ranges_are_made_disjoint(ranges: list[tuple[int, int]]) -> None:
    firsts, lasts = disjoint(ranges)
    assert {n for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True) for n in range(a, b + 1)} == {
        n for a, b in ranges for n in range(a, b + 1)
    }
    assert (firsts[1:] > lasts[:-1] + 1).all()


def test_many_places_go_together_and_bytes_stay_few() -> None:
    cells = np.sort(np.random.default_rng(3).integers(0, 1 << 32, 32_768))
    rows = pa.table({"event_time": pa.array(np.full(32_768, START), INSTANT), "cell": pa.array(cells)})
    outline = Outline.of([spots.group_outline(rows, 0)])
    assert len(outline.low) <= spots.SPOTS_MOST and len(outline.to_bytes()) < 2_000
    nearest = np.searchsorted(outline.high, cells)
    assert (outline.low[nearest] <= cells).all() and (cells <= outline.high[nearest]).all()


def test_bytes_of_another_version_say_nothing() -> None:
    body = Outline.of([spots.group_outline(table([(1, 0)]), 0)]).to_bytes()
    assert Outline.from_bytes(b"\x7f" + body[1:]) is None


def test_columns_that_say_nothing_are_known_by_their_place(tmp_path: Path) -> None:
    said = {
        "seq": [1, 2],
        "event_time": [START, START],
        "ingest_time": [START, START],
        "feed": ["a", "a"],
        "kind": ["b", "b"],
        "action": [0, 0],
    }
    said["cell"] = [None, 5]
    rows = pa.table([pa.array(said.get(one.name, [None, None])).cast(one.type) for one in STORED], schema=STORED)
    writer = Writer(tmp_path / "one.parquet", "day")
    writer.add(rows)
    writer.close()
    here = outline_of(writer.path)
    assert writer.outline is not None and here is not None and here.is_said_by(writer.outline.to_bytes())
    assert {name for place, name in enumerate(STORED.names) if not writer.outline.empty[0] >> place & 1} == set(said)


def filled(folder: Path) -> Catalog:
    """Month files of two feeds, one day file, nothing in the hot tail."""
    kept = keeper(folder)
    kept.append([(1, batch(spread(60, 1))), (2, batch(spread(40, 2, feed="calls")))], 2)
    kept.flush()
    compact(kept.catalog, LATER)
    kept.append([(3, batch(spread(30, 3, days=1, start=LATER)))], 3)
    kept.flush()
    kept.close()
    return Catalog(folder, write=True)


def outlined(catalog: Catalog) -> set[int]:
    return {number for (number,) in catalog.connection.execute("SELECT file FROM outline")}


def of_events(catalog: Catalog, where: str = "1") -> set[int]:
    return {one.id for one in catalog.files(f"tier IN ('day', 'month') AND {where}")}


def test_every_file_has_one_and_it_is_right(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    assert outlined(catalog) == of_events(catalog) and len(outlined(catalog)) >= 3
    archive = Archive(tmp_path)
    with archive.look(Want()) as look:
        for file in look.files:
            body, here = archive.outline(file), outline_of(file.path)
            assert body is not None and here is not None and here.is_said_by(body)
            assert here.rows.sum() == file.rows
    archive.close()
    catalog.close()


def test_what_lapses_takes_it_along(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    before = outlined(catalog)
    declare(catalog, {"calls": DAY})
    Retention(catalog, Signer(tmp_path), LATER).run()
    assert outlined(catalog) == of_events(catalog) != before
    assert not catalog.files("feeds LIKE '%calls%' AND tier IN ('day', 'month')")
    catalog.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_archive_gets_them_by_compaction(version: int, tmp_path: Path) -> None:
    folder, _ = unpack(version, tmp_path)
    archive = Archive(folder)
    with archive.look(Want()) as look:
        assert look.files and all(archive.outline(file) is None for file in look.files)
    catalog = Catalog(folder, write=True)
    assert not outlined(catalog)
    compact(catalog, START)
    assert outlined(catalog) == of_events(catalog, "gone IS NULL")
    with archive.look(Want()) as look:  # who had it open before sees them, too
        assert all(archive.outline(file) is not None for file in look.files)
    archive.close()
    catalog.close()


def test_making_them_later_can_be_cut_short(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    catalog.connection.execute("DELETE FROM outline")
    crash_at(1)
    with pytest.raises(Crash):
        fill(catalog, lambda one, why: pytest.fail(f"{one}: {why}"))
    calm()
    assert not outlined(catalog), "what was not committed has not happened"
    assert fill(catalog, lambda one, why: pytest.fail(f"{one}: {why}"), lambda: True) == 0
    assert fill(catalog, lambda one, why: pytest.fail(f"{one}: {why}")) == len(of_events(catalog))
    assert outlined(catalog) == of_events(catalog)
    catalog.close()


def test_a_file_that_cannot_be_read_is_marked_and_the_others_are_done(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    catalog.connection.execute("DELETE FROM outline")
    bad = catalog.files("gone IS NULL AND tier IN ('day', 'month')")[0]
    bad.file.path.write_bytes(b"not a file of ours")
    compact(catalog, LATER)
    assert [one.id for one in catalog.files("damaged IS NOT NULL")] == [bad.id]
    assert outlined(catalog) == of_events(catalog) - {bad.id}
    catalog.close()


def test_verifying_puts_a_wrong_one_right(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    one, two = (one for one in catalog.files("gone IS NULL AND tier = 'month'"))
    wrong = catalog.outline(two.file)
    catalog.connection.execute("UPDATE outline SET body = ? WHERE file = ?", (wrong, one.id))
    report = verify(catalog)
    assert report.outlines == [str(one.file.path.relative_to(tmp_path))] and not report.sound and not report.damaged
    assert verify(catalog).sound
    catalog.close()


def test_a_number_that_is_used_again_has_no_old_one() -> None:
    with tempfile.TemporaryDirectory() as folder:
        catalog = filled(Path(folder))
        last = max(of_events(catalog))
        with catalog.change() as connection:
            connection.execute("DELETE FROM file WHERE id = ?", (last,))
        assert last not in outlined(catalog)
        catalog.close()


def test_nothing_is_left_out_by_names_within_names(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM file WHERE tier = 'month'").fetchone()
    assert len(catalog.find(Want(feeds=("air", "calls")), ("month",))) == count >= 2
    assert not catalog.find(Want(feeds=("ai",)), ("month",)) and not catalog.find(Want(feeds=('"',)), ("month",))
    assert len(catalog.find(Want(feeds=(*(f"feed-{n}" for n in range(3_000)), "air")), ("month",))) == 1
    catalog.close()
