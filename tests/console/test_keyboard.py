"""A shift without a mouse: every step of the main job by keys alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def focused(page: Page) -> str:
    return str(
        page.evaluate(
            "() => { const e = document.activeElement; return e.id || e.dataset.testid || e.getAttribute('aria-label') || e.textContent }"
        )
    )


def tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    raise AssertionError(f"{name} cannot be reached with Tab; the focus is on {focused(page)!r}")


def test_the_main_job_by_keyboard_only(console: Callable[..., Page], node: Any) -> None:
    page = console(middle="map", size=(1000, 640))
    camera = page.locator("[data-camera]")
    expect(camera).to_be_attached()
    expect(page.locator("#queue [role=treeitem]").first).to_be_visible()  # before there are rows, a key has nothing to choose
    home = camera.get_attribute("data-camera") or ""
    tab_to(page, "queue")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    active = page.locator("#queue").get_attribute("aria-activedescendant") or ""
    expect(page.locator(f"[id='{active}']")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    expect(page.get_by_test_id("standing")).to_contain_text("New")
    page.keyboard.press("Enter")  # go to it on the map
    expect(camera).not_to_have_attribute("data-camera", home)
    page.keyboard.press("b")
    expect(camera).to_have_attribute("data-camera", home)
    page.keyboard.press("a")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged")
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")  # the stream may be quicker than the answer, which is what `u` takes back
    page.keyboard.press("u")
    expect(page.get_by_test_id("standing")).to_contain_text("New")
    page.keyboard.press("m")
    expect(page.locator(".listview")).to_be_visible()
    tab_to(page, "scrub")
    page.keyboard.press("PageDown")
    expect(page.get_by_test_id("mode")).to_have_text("Fixed")
    page.keyboard.press("l")
    expect(page.get_by_test_id("mode")).to_have_text("Live")
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Feeds")).to_be_visible()
    page.keyboard.press("3")
    expect(page.get_by_role("heading", name="Rules")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_single_keys_can_be_switched_off_and_never_act_while_typing(console: Callable[..., Page], node: Any) -> None:
    page = console()
    expect(page.locator("#queue [role=treeitem]").first).to_be_visible()  # before there are rows, a key has nothing to choose
    page.keyboard.press("j")
    expect(page.get_by_test_id("standing")).to_be_visible()
    page.get_by_label("Note").fill("")
    page.get_by_label("Note").press_sequentially("a r l")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("m")
    expect(page.locator(".listview")).to_be_visible()
    assert node.posted == []


def test_panes_are_resized_by_keys_and_kept(console: Callable[..., Page]) -> None:
    page = console()
    bar = page.get_by_role("separator", name="Width of the queue")
    bar.focus()
    page.keyboard.press("ArrowRight")
    expect(bar).to_have_attribute("aria-valuenow", "356")
    page.reload()
    expect(bar).to_have_attribute("aria-valuenow", "356")
    width = page.locator(".queue").bounding_box()
    assert width is not None
    assert round(width["width"]) == 356
