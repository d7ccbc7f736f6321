"""One engine for all questions of these tests: making one costs more than asking it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tocsin.query.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    made = Engine(threads=2, memory=256 << 20)
    yield made
    made.close()
