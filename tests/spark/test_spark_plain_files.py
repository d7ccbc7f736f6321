"""Files of the archive as any Spark reads them, without a line of ours: the same counts and sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plain_readers
import pytest

pytestmark = pytest.mark.spark


def test_by_spark(spark: Any, tmp_path: Path) -> None:
    archive = plain_readers.written(tmp_path / "archive")
    spark.read.parquet(*map(str, archive.day + archive.month)).createOrReplaceTempView("events")
    rows = [tuple(row) for row in spark.sql(plain_readers.SUMS.format(micros="unix_micros(event_time)")).collect()]
    assert plain_readers.comparable(rows) == archive.expected
