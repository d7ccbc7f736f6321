"""Kits of other rooms that these tests stand on, and one Spark session for all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parents[1] / room) for room in ("archive", "correlate_run", "backtest", "query")]


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """`local[2]`: two tasks at a time, each in a Python process of its own."""
    from tocsin.spark.session import HERE, session

    with session(HERE) as made:
        yield made
