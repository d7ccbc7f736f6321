"""The order of the whole suite: browser tests last, because Playwright keeps an event loop running while its browser is open."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything else first; then the browser on the real node (closed after its module), then the console's own (one browser for all)."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("browser") is None:
            return 0
        return 2 if "tests/console/" in item.path.as_posix() else 1

    items.sort(key=place)
