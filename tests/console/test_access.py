"""Readable for everyone: axe finds nothing on any screen in any colours, and nothing is cut off at any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_api import ROOT
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(
    v => v.id + ': ' + v.nodes.map(n => n.target.join(' ') + ' ' + (n.any[0]?.message ?? '')).join(' | '))"""


def violations(page: Page) -> list[str]:
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))  # by the debugger: the page's policy allows no foreign script
    return list(page.evaluate(RUN))


def states(page: Page) -> Any:
    """The console in every state that looks different."""
    page.locator("#queue [role=treeitem]").first.click()
    expect(page.locator(".evidence")).to_be_visible()
    yield "list"
    page.get_by_role("button", name="Check every clause").click()
    page.get_by_text("Why did it not ring?").click()
    page.get_by_role("button", name="Ask about").click()
    expect(page.get_by_test_id("answer")).to_have_count(2)
    page.get_by_text("1 other near miss").click()
    yield "explained"
    page.get_by_role("button", name="Kinds").click()
    yield "menu"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("checkbox", name="Date-time group").check()
    page.get_by_test_id("sound").click()
    yield "settings"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Layers").click()
    page.get_by_role("checkbox", name="Neighbourhoods").check()
    page.keyboard.press("Escape")
    expect(page.locator(".listview tr").filter(has_text="Fremont").first).to_be_visible()
    yield "layers in the list"
    page.get_by_role("button", name="2 feeds need a look").click()
    yield "stale feeds"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Show resolved").click()
    page.get_by_role("button", name="Show severity 4").click()
    page.keyboard.press("?")
    yield "help"
    page.keyboard.press("Escape")
    page.get_by_test_id("scrub").focus()
    page.keyboard.press("PageDown")
    expect(page.get_by_test_id("fixed")).to_be_visible()
    yield "fixed"
    page.keyboard.press("l")
    page.keyboard.press("2")
    page.get_by_role("button", name="Show raw").first.click()
    expect(page.locator("pre")).to_be_visible()
    yield "feeds"
    page.keyboard.press("3")
    page.get_by_text("As written").first.click()
    yield "rules"


@pytest.mark.parametrize("theme", ["dark", "light", "night"])
def test_axe_finds_nothing(console: Callable[..., Page], theme: str) -> None:
    page = console(theme=theme)
    found = {name: violations(page) for name in states(page)}
    assert {name: list_ for name, list_ in found.items() if list_} == {}
    assert len(found) == 10


def test_axe_finds_nothing_on_the_map_and_on_a_phone(console: Callable[..., Page]) -> None:
    page = console(middle="map", size=(1000, 640))
    expect(page.locator("[data-camera]")).to_be_attached()
    page.get_by_text("Legend").click()
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []


@pytest.mark.parametrize("size", [(1600, 900), (1024, 768), (390, 844)])
def test_nothing_is_wider_than_the_screen(console: Callable[..., Page], size: tuple[int, int]) -> None:
    page = console(size=size)
    page.locator("#queue [role=treeitem]").first.click()
    expect(page.locator(".evidence")).to_be_visible()
    for key in ("1", "2", "3", "4", "5", "6"):
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    page.keyboard.press("1")
    cut = page.evaluate(
        """() => [...document.querySelectorAll('button, .pill, .headline, dd, h3, td')].filter(e => e.offsetParent !== null)
            .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline').map(e => e.textContent)"""
    )
    assert cut == []
