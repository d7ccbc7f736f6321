"""What makes an import quick changes nothing that it says: words by compiled code, remembered keys that meet, dictionaries cut to size, rollups of runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import DAY, START
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archive_doubles import brought, row

from tocsin.archive import doubles, importing, rollup
from tocsin.archive.catalog import Catalog
from tocsin.archive.doubles import Own, _words
from tocsin.archive.importing import Importer
from tocsin.archive.order import taken
from tocsin.archive.parquet import GROUPS, Writer, fitted, read
from tocsin.kernel.texthash import LONGEST, text_words
from tocsin.model.archive import ROLLUP

TEXTS = st.lists(st.text(alphabet="ab\x00é", max_size=LONGEST + 4), min_size=1, max_size=30)


@settings(deadline=None)
@given(TEXTS, st.integers(0, 5))
def test_compiled_code_makes_the_same_words(texts: list[str], start: int) -> None:
    column = pa.array([*texts, *["x"] * start]).slice(start)
    assert _words(column, 0).tolist() == text_words(column).tolist()


def test_keys_that_meet_by_accident_are_no_doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All events of a day have one key; what an importer remembers then says nothing, and ids decide."""

    def one_key(table: pa.Table) -> Any:
        return np.zeros(len(table), np.uint64)

    for module in (doubles, importing):
        monkeypatch.setattr(module, "keys_of", one_key)
    monkeypatch.setattr(importing, "CHUNK", 4)
    events = [row(number, 0, formed=False) for number in range(9)]
    assert brought(tmp_path, "one", events, groups=4).rows == 9


@pytest.mark.parametrize(("most", "chunks"), [(1, 5), (1 << 20, 1)])
def test_wide_rows_become_files_before_they_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, chunks: int) -> None:
    monkeypatch.setattr(importing, "CHUNK_BYTES", most)
    assert brought(tmp_path, "one", [row(number, 0, formed=False) for number in range(9)], groups=2).rows == 9
    with contextlib.closing(Catalog(tmp_path / "archive", write=False)) as catalog:
        assert doubles.imports(catalog.connection) == chunks


def test_an_importer_remembers_over_files_and_reads_what_may_hold_a_double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    before = doubles._held

    def held(*given: Any) -> Any:
        parts = list(before(*given))
        looked.append(sum(map(len, parts)))
        return parts

    monkeypatch.setattr(doubles, "_held", held)
    importer = Importer(tmp_path / "archive", {"air": 0})
    told = []
    for number, wanted in enumerate(([0, 1, 2], [3, 4], [4, 5])):
        source = tmp_path / f"{number}.parquet"
        times = pa.array([START + DAY // 2] * len(wanted), pa.timestamp("us", "UTC"))
        pq.write_table(
            pa.table(
                {"id": [f"r{one}" for one in wanted], "kind": ["smoke"] * len(wanted), "event_time": times, "source": ["s"] * len(wanted)}
            ),
            source,
        )
        taken_in = importer.begin("air", source)
        for part in importing_tables(source):
            importer.add(taken_in, part)
        importer.finish(taken_in)
        told.append((taken_in.rows, taken_in.doubles))
    importer.close()
    assert told == [(3, 0), (2, 0), (1, 1)]
    assert looked == [0, 0, 2], "only the file that a key of the third was in"


def importing_tables(source: Path) -> list[pa.Table]:
    from tocsin.archive.columns import rows, tables

    return [rows(part, "air", START, ())[0] for part in tables(source, 0)]


def test_rows_that_went_are_not_remembered_as_there(tmp_path: Path) -> None:
    own = Own()
    keys = np.array([3, 1, 2], np.uint64)
    times = pa.array([START] * 3, pa.timestamp("us", "UTC"))
    file = importing_file(tmp_path / "gone.parquet")
    own.add(pa.table({"event_time": times}), np.sort(keys), [file])
    table = pa.table({"event_time": times.slice(0, 1)})
    assert own.without(table, np.array([9], np.uint64)) == {str(file.file.path)}
    assert own.without(table, np.array([2], np.uint64)) == frozenset(), "has to be looked up, so what has lapsed is no double"


def importing_file(path: Path) -> Any:
    from tocsin.archive.catalog import Filed
    from tocsin.model.archive import StoredFile

    return Filed(StoredFile(path, "day", "events", ("air",), 3, 1, START, START, None, -3, -1, ""), "2026-01-05", ("smoke",))


@settings(deadline=None)
@given(st.lists(st.none() | st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 5), st.data())
def test_a_fitted_dictionary_has_what_occurs_and_nothing_else(codes: list[int | None], start: int, data: st.DataObject) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array([f"name {number}" for number in range(7)]))
    table = pa.table({"name": array}).slice(min(start, len(codes) - 1))
    found = fitted(table.combine_chunks())
    assert found.column(0).to_pylist() == table.column(0).to_pylist()
    if found.column(0).null_count < len(found):
        assert set(found.column(0).chunk(0).dictionary.to_pylist()) == {one for one in table.column(0).to_pylist() if one is not None}
    rows = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), max_size=10)), np.int64)
    assert taken(table, rows).to_pylist() == [table.to_pylist()[place] for place in rows]


def test_row_groups_with_other_names_make_one_column_again(tmp_path: Path) -> None:
    group = GROUPS["month"]
    names = [f"source {number // group}" for number in range(2 * group + 3)]
    table = pa.table({"source": pa.array(names).dictionary_encode(), "at": np.arange(len(names))})
    writer = Writer(tmp_path / "file.parquet", "month", table.schema)
    writer.add(table)
    writer.close()
    assert read(tmp_path / "file.parquet").column("source").to_pylist() == names
    with pq.ParquetFile(tmp_path / "file.parquet", read_dictionary=["source"]) as file:
        held = [file.read_row_group(group).column("source").chunk(0).dictionary.to_pylist() for group in range(file.num_row_groups)]
    assert held == [["source 0"], ["source 1"], ["source 2"]]


ROWS = st.tuples(
    st.integers(-3, 60 * 24), st.none() | st.integers(0, 3), st.sampled_from("ab"), st.sampled_from("xyz"),
    st.none() | st.floats(-9, 9), st.none() | st.integers(0, 4),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(ROWS, max_size=40), st.sampled_from(["hourly", "daily"]), st.booleans(), st.sampled_from([1, 5, 1000]))
def test_a_rollup_says_what_its_rows_say(made: list[Any], step: str, ranked: bool, at_once: int) -> None:
    """Counted by hand; and the same when keys do not fit into one number, and when it is joined some days at a time, of parts in any order."""
    width = rollup.STEPS[step]
    time = [hour * rollup.HOUR for hour, *_ in made]
    table = pa.table(
        {
            "event_time": pa.array(time, pa.timestamp("us", "UTC")),
            "cell": pa.array([None if tile is None else tile << 4 | 5 for _, tile, *_ in made], pa.int64()),
            "feed": pa.array([one[2] for one in made], pa.string()).dictionary_encode(),
            "kind": pa.array([one[3] for one in made], pa.string()).dictionary_encode(),
            "value": pa.array([one[4] for one in made], pa.float64()),
            "severity": pa.array([one[5] for one in made], pa.int8()),
        }
    )
    expected: dict[Any, list[Any]] = {}
    for at, one in zip(time, made, strict=True):
        key = at // rollup.DAY, -1 if one[1] is None else one[1], one[2], one[3], at // width * width
        expected.setdefault(key, []).append(one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollup, "_BITS", 1 if ranked else 62)
        found = rollup.roll(table, step)
        patch.setattr(rollup, "AT_ONCE", at_once)
        halves = rollup.joined([rollup.roll(table.slice(0, 20), step), rollup.roll(table.slice(20), step)[::-1]], step)
    assert found.schema == ROLLUP and halves.schema == ROLLUP
    for each in (found, halves):
        assert len(each) == len(expected)
        for (key, some), said in zip(sorted(expected.items()), each.to_pylist(), strict=True):
            values, worst = [one[4] for one in some if one[4] is not None], [one[5] for one in some if one[5] is not None]
            start = int(np.datetime64(said["start"].replace(tzinfo=None), "us").astype(np.int64))
            assert (start, -1 if said["cell"] is None else said["cell"], said["feed"], said["kind"]) == (key[4], *key[1:4])
            assert (said["rows"], said["values"], said["severity"]) == (len(some), len(values), max(worst, default=None))
            assert (said["low"], said["high"]) == (min(values, default=None), max(values, default=None))
            assert said["total"] is None if not values else said["total"] == pytest.approx(sum(values))
