"""Rows that several files hold: found as a set would find them, whatever the passes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.archive import twice as module
from tocsin.archive.twice import twice
from tocsin.model.archive import Box, StoredFile

FILES = st.lists(st.lists(st.integers(-6, 6) | st.sampled_from([-(2**63), 2**62]), min_size=1, max_size=12), max_size=5)


def stored(folder: Path, number: int, numbers: list[int], group: int) -> StoredFile:
    path = folder / f"{number}.parquet"
    pq.write_table(pa.table({"seq": pa.array(numbers, pa.int64()), "other": numbers}), path, row_group_size=group)
    return StoredFile(path, "day", "readings", ("a",), len(numbers), 1, 0, 1, Box(0, 0, 0, 0), min(numbers), max(numbers), "")


@settings(max_examples=60, deadline=None)
@given(files=FILES, at_once=st.integers(1, 40), group=st.integers(1, 5))
def test_the_first_file_that_holds_a_row_keeps_it(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], at_once: int, group: int
) -> None:
    folder = tmp_path_factory.mktemp("twice")
    known: set[int] = set()
    expected: dict[int, list[int]] = {}
    for place, numbers in enumerate(files):
        for row, number in enumerate(numbers):
            if number in known:
                expected.setdefault(place, []).append(row)
            known.add(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", at_once)
        patch.setattr(module, "_SAMPLED", 2)
        found = twice([stored(folder, place, numbers, group) for place, numbers in enumerate(files)])
    assert {place: rows.tolist() for place, rows in found.items()} == expected


def test_it_says_how_far_it_is_and_reads_only_what_reaches_into_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [stored(tmp_path, place, list(range(place * 100, place * 100 + 100)), 50) for place in range(4)]
    monkeypatch.setattr(module, "AT_ONCE", 100)
    monkeypatch.setattr(module, "_SAMPLED", 1)
    read: list[Path] = []
    numbers = module._numbers
    monkeypatch.setattr(module, "_numbers", lambda file: (read.append(file.path), numbers(file))[1])
    said: list[float] = []
    assert twice(files, said.append) == {}
    assert said == [0, 0.25, 0.5, 0.75]
    assert len(read) <= 4 + 2 * 4  # once for the edges; then each pass the file it is about, and at most one beside it
