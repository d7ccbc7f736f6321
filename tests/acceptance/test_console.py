"""The console on the real node while it plays Seattle's recorded day: what a duty officer does, with nothing standing in for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as NotInTime

from tests.console.console_browser import eventually, open_browser, open_page

from .node_world import ROOT, Node, running

pytestmark = [pytest.mark.browser, pytest.mark.crash]
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def seattle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(ROOT / "examples" / "seattle", tmp_path_factory.mktemp("seattle") / "data") as node:
        node.alerts(3)
        yield node


@pytest.fixture(scope="module")
def page(seattle: Node) -> Iterator[Page]:
    with open_browser() as browser:
        opened = open_page(browser, seattle.http + "/", size=(1600, 900))
        opened.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        opened.get_by_test_id("clock").wait_for()
        yield opened
        assert opened.external == []  # type: ignore[attr-defined]
        assert opened.complaints == []  # type: ignore[attr-defined]


def row(page: Page, node: Node) -> tuple[str, str]:
    """Opens a building fire in the queue; gives its id and headline. Alerts of one rule may be folded into one row, now or in a moment."""
    wanted = node.alerts(1, rule="structure-fire")[0]
    found = page.locator(f"[id='alert-{wanted['id']}']")
    closed = page.locator("#queue [role=treeitem][aria-expanded=false]").filter(has_text=f"{wanted['title']}: ")

    def chosen() -> bool:
        for one in (closed.first, found):
            if one.count():
                with suppress(NotInTime):  # it has moved, or was folded away, in the moment it was to be clicked
                    one.click(timeout=5_000)
        return bool(page.evaluate("id => document.getElementById(id)?.ariaSelected === 'true'", f"alert-{wanted['id']}"))

    eventually(page, "the alert is chosen in the queue", chosen, 180.0)
    return wanted["id"], wanted["headline"]


def test_the_exercise_is_named_and_the_map_is_drawn(page: Page) -> None:
    expect(page.get_by_text("Independence Day 2017, recorded")).to_be_visible()
    expect(page.locator(".maplibregl-canvas")).to_be_visible()


def test_an_alert_of_the_recorded_day_is_opened_read_and_acknowledged(page: Page, seattle: Node) -> None:
    alert, _ = row(page, seattle)
    expect(page.locator(".why li").first).to_be_visible()
    expect(page.locator(".why")).to_contain_text("Every building fire is looked at by the duty officer.")
    expect(page.locator(".evidence tbody tr").first).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Fire liaison")
    whole = seattle.get(f"/api/v1/alerts/{alert}")
    assert whole["state"] == "acknowledged"
    assert whole["owner"] == "Fire liaison"
    assert whole["exercise"] is True


def test_the_time_is_scrubbed_and_live_comes_back(page: Page) -> None:
    page.get_by_test_id("scrub").focus()
    page.keyboard.press("PageDown")
    expect(page.get_by_test_id("fixed")).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_test_id("mode")).to_have_text("Live")


def test_axe_finds_nothing_on_real_data(page: Page) -> None:
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(v => v.id)")
    assert found == []
