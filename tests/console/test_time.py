"""LIVE and FIXED: leaving, what was known then, playing, coming back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from console_browser import until
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_dragging_leaves_live_shows_what_was_known_and_l_returns(console: Callable[..., Page]) -> None:
    page = console()
    expect(page.get_by_test_id("mode")).to_have_text("Live")
    expect(page.get_by_text("Queue · 4 unacknowledged")).to_be_visible()
    track = page.get_by_test_id("scrub")
    box = track.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30, steps=4)
    page.mouse.up()
    expect(page.get_by_test_id("fixed")).to_contain_text("this is what was known then")
    expect(page.locator(".app.fixed")).to_be_visible()
    # at about 21:06 two of the four alerts that are new now had not been raised
    expect(page.get_by_text("Queue · 2 unacknowledged")).to_be_visible()
    page.locator("#queue [role=treeitem]").first.click()
    expect(page.get_by_text("Return to live to act.")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.keyboard.press("l")
    expect(page.get_by_test_id("mode")).to_have_text("Live")
    expect(page.get_by_text("Queue · 4 unacknowledged")).to_be_visible()


def test_playing_moves_the_cursor_on_and_stops_at_the_present(console: Callable[..., Page]) -> None:
    page = console()
    track = page.get_by_test_id("scrub")
    track.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("mode")).to_have_text("Fixed")
    page.get_by_role("combobox", name="Speed").select_option("60×")
    before = int(track.get_attribute("aria-valuenow") or 0)
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "before => document.querySelector('[data-testid=scrub]').getAttribute('aria-valuenow') > before", before)
    # half a minute of the past at sixty times its speed: the present is reached, and the console does not go live by itself
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(page.get_by_test_id("mode")).to_have_text("Fixed")


def test_the_window_is_kept_over_a_reload(console: Callable[..., Page]) -> None:
    page = console()
    page.get_by_role("combobox", name="Window").select_option("12 hours")
    page.reload()
    expect(page.get_by_role("combobox", name="Window")).to_have_value(str(12 * 3_600_000))
    expect(page.get_by_test_id("mode")).to_have_text("Live")
