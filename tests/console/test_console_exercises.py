"""An exercise beside real life: begun and stopped here, marked wherever it shows, behind everything real, and scored on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from test_access import violations

pytestmark = pytest.mark.browser


@pytest.fixture
def begun(console: Callable[..., Page], node: Any) -> Page:
    page = console("#exercises")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_test_id("running")).to_contain_text("led by Fire liaison")
    assert node.running["by"] == "Fire liaison"
    return page


def test_it_is_marked_wherever_it_shows(begun: Page) -> None:
    page = begun
    page.keyboard.press("1")
    row = page.locator("#alert-drill")
    expect(row).to_contain_text("EXERCISE")
    expect(page.get_by_text("Queue · 4 unacknowledged · 1 in the exercise")).to_be_visible()
    keys = page.locator("#queue [role=treeitem]").evaluate_all("rows => rows.map(row => row.id)")
    assert keys.index("alert-drill") == 4, "behind the four real ones, though it is of severity 1"
    row.click()
    expect(page.locator(".flag.practised")).to_contain_text("Work it as if it were real")
    expect(page.locator("tr.chosen")).to_contain_text("EXERCISE")
    expect(page).to_have_title("(4) Seattle – Tocsin")
    page.keyboard.press("a")
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")


@pytest.mark.parametrize("theme", ["dark", "light", "night"])
def test_axe_finds_nothing(console: Callable[..., Page], theme: str) -> None:
    page = console("#exercises", theme=theme)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Warehouse fire").click()
    expect(page.get_by_test_id("score")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("1")
    page.locator("#alert-drill").click()
    assert violations(page) == []


def test_it_is_stopped_and_scored(begun: Page) -> None:
    page = begun
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_test_id("running")).to_have_count(0)
    page.get_by_role("button", name="Warehouse fire").click()
    sheet = page.get_by_test_id("score")
    expect(sheet).to_contain_text("1 of 2 noticed in time, 0 late, 1 missed; 1 rang without reason.")
    expect(sheet.get_by_role("row", name="Fire in the warehouse")).to_contain_text("1 min 35 s (target 1 min 0 s) too late")
    expect(sheet.get_by_role("row", name="Smoke over two quarters")).to_contain_text("missed")
    expect(page.get_by_text("stopped by Fire liaison")).to_be_visible()
