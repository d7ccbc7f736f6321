"""A served world per test module: a real uvicorn on a free port. Tests that need their own make one."""

import itertools

import httpx
import pytest
from api_world import World, alert

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("world")).serving() as served:
        yield served


@pytest.fixture(scope="module")
def client(world):
    with httpx.Client(base_url=world.base, timeout=60) as made:
        yield made


@pytest.fixture
def raised(world):
    """The id of a new open alert."""
    return world.raise_alert(alert(next(numbers)))
