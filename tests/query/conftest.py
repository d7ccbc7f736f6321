"""One engine for all questions of these tests: making one costs more than asking it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.query.engine import Engine

sys.path.append(str(Path(__file__).parents[1] / "api"))  # a served world is there


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    made = Engine(threads=2, memory=256 << 20)
    yield made
    made.close()
