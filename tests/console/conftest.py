"""Which node the console tests look at, and the browser they look with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_browser import CHROMIUM, open_browser, open_page
from fake_api import DIST, FakeNode, Served
from playwright.sync_api import Browser, Page, expect

expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing; install it with 'apt-get install chromium', or name another with CHROMIUM=...")
    if not (DIST / "index.html").exists():
        pytest.fail("the console is not built; run 'make setup', or 'npm ci && npm run build' in console/")
    with open_browser() as found:
        yield found


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A stand-in with switches; on its own loopback port for every test."""
    with Served(FakeNode()) as served:
        served.node.url = served.url  # type: ignore[attr-defined]
        yield served.node


@pytest.fixture
def console_url(node: Any) -> str:
    """Where the console under test is. The one place to change to point the tests at a real node."""
    return str(node.url)


@pytest.fixture
def console(browser: Browser, console_url: str) -> Iterator[Callable[..., Page]]:
    """Opens the console and waits until the picture is there. Afterwards: nothing left the machine, nothing was complained about."""
    pages: list[Page] = []

    def opened(hash_: str = "", **choices: Any) -> Page:
        page = open_page(browser, console_url + hash_, **{"middle": "list"} | choices)
        pages.append(page)
        page.get_by_test_id("clock").wait_for()
        page.evaluate("async () => { await document.fonts.ready }")  # in another font everything has another width
        return page

    yield opened
    for page in pages:
        external, complaints = page.external, page.complaints  # type: ignore[attr-defined]
        page.context.close()
        assert external == []
        assert complaints == []
