"""The order of the whole suite (browser tests last, because Playwright keeps an event loop running), what no test may leave changed, and the
database server of all tests."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

#: Examples are the same in every run, so that what fails does so for whoever changed something, and again when he looks. Others are looked for
#: with `--hypothesis-profile=others --hypothesis-seed=N`.
settings.register_profile("same", derandomize=True, deadline=None)  # no example is too slow on a machine that does much else
settings.register_profile("others", derandomize=False, deadline=None)
settings.load_profile("same")

#: How a click ends in a browser that draws nothing: two frames in which the button stands still never come.
ASLEEP = r"(?s)^TimeoutError: Locator\.\w+: Timeout.*waiting for element to be visible, enabled and stable\s*\Z"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything else first; then the browser on the real node, then the console's own. A browser may fall asleep on a loaded machine: it then draws no
    frame for half a minute, and no click is possible. Such a test (no other failure, and no other test) is run once more, and counted as "rerun"."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("browser") is None:
            return 0
        return 2 if "tests/console/" in item.path.as_posix() else 1

    items.sort(key=place)
    for item in items:
        if place(item) == 2:  # the others go on with a node that has heard their clicks
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=[ASLEEP]))


def pytest_make_parametrize_id(val: object) -> str | None:
    """The processes that share the tests must agree on their names, and what is packed may hold the time."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def _process() -> tuple[Any, ...]:
    return (
        gc.isenabled(),
        os.getpriority(os.PRIO_PROCESS, 0),
        resource.getrlimit(resource.RLIMIT_DATA),
        resource.getrlimit(resource.RLIMIT_AS),
    )


PROCESS = _process()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """What a test does to this process it does to all that come after it; no collector, for one, came to 24 GB in the end."""
    assert _process() == PROCESS, "the test left the garbage collector off, or a priority or limit of its own"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """One PostgreSQL server (`postgres_server.Postgres`); each test takes a database of its own."""
    from postgres_server import Postgres

    server = Postgres()
    yield server
    server.close()
