"""Files that the product wrote are read by engines that know nothing of it, with the same counts and sums."""

from __future__ import annotations

import duckdb
import plain_readers
import polars
import pytest


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> plain_readers.Written:
    return plain_readers.written(tmp_path_factory.mktemp("plain") / "archive")


def test_by_plain_duckdb(archive: plain_readers.Written) -> None:
    with duckdb.connect() as engine:
        engine.from_parquet([str(path) for path in archive.day + archive.month], union_by_name=True).create_view("events")
        rows = engine.execute(plain_readers.SUMS.format(micros="epoch_us(event_time)")).fetchall()
    assert plain_readers.comparable(rows) == archive.expected


def test_by_polars(archive: plain_readers.Written) -> None:
    events = polars.scan_parquet(archive.day + archive.month, hive_partitioning=False).with_columns(
        micros=polars.col("event_time").dt.timestamp("us")
    )
    rows = (
        polars.SQLContext(events=events).execute(plain_readers.SUMS.format(micros="micros"), eager=True).select(plain_readers.NAMES).rows()
    )
    assert plain_readers.comparable(rows) == archive.expected


def test_a_lost_row_is_noticed(archive: plain_readers.Written) -> None:
    """The figures are no weaker than one row."""
    with duckdb.connect() as engine:
        engine.from_parquet([str(path) for path in archive.day + archive.month[1:]], union_by_name=True).create_view("events")
        rows = engine.execute(plain_readers.SUMS.format(micros="epoch_us(event_time)")).fetchall()
    assert plain_readers.comparable(rows) != archive.expected
