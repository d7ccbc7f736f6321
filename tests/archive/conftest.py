"""A storage server, a bucket in it, and an archive to be mirrored."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import pytest
from archive_world import DAY, FEEDS, batch, keeper, spread

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import Swift, environment, make_bucket

from tocsin.archive.retention import declare

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def swift():
    server = Swift()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def let_in(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)


@pytest.fixture
def address(swift, let_in):
    """A bucket of this test's own."""
    made = swift.address(f"bucket-{next(NUMBERS)}", "city/history")
    make_bucket(made)
    return made


@pytest.fixture
def folder(tmp_path):
    """An archive with files, a hot tail and a signed record."""
    place = tmp_path / "node" / "archive"
    place.parent.mkdir()
    made = keeper(place)
    made.append([(1, batch(spread(400, days=2))), (2, batch(spread(300, days=2, feed="fleet", first=1000)))], 2)
    made.flush()
    made.append([(3, batch(spread(40, first=5000, days=1)))], 3)
    declare(made.catalog, dict.fromkeys(FEEDS, 400 * DAY))
    made.close()
    return place
