"""REPLAY: unmistakable, drawn by the same panes, nothing to be done in it, one key back; and what rings live meanwhile is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_browser import eventually
from test_access import violations
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def replayed(console: Callable[..., Page]) -> Page:
    """From 21:05 on, at ten times its speed; what is known changes at 21:10:21, in half a minute."""
    page = console()
    page.get_by_test_id("scrub").focus()
    for _ in range(7):
        page.keyboard.press("PageDown")
    page.get_by_test_id("replay-here").click()
    expect(page.get_by_test_id("mode")).to_have_text("⟲REPLAY")
    return page


def test_it_is_marked_by_words_shape_and_title(replayed: Page) -> None:
    page = replayed
    expect(page.get_by_test_id("replay")).to_contain_text("Nothing on this screen is happening now.")
    expect(page.get_by_test_id("replay")).to_contain_text("as it was known, at 10×")
    expect(page.locator(".app.replay")).to_be_visible()
    expect(page.get_by_test_id("clock")).to_contain_text("Then:")
    expect(page).to_have_title("REPLAY – Seattle – Tocsin")
    assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "night"])
def test_other_colours(console: Callable[..., Page], theme: str) -> None:
    page = console(theme=theme)
    page.get_by_test_id("scrub").focus()
    page.keyboard.press("PageDown")
    page.get_by_test_id("replay-here").click()
    expect(page.get_by_test_id("replay")).to_be_visible()
    assert violations(page) == []


def test_the_same_panes_show_what_was_known(replayed: Page, node: Any) -> None:
    page = replayed
    expect(page.get_by_text("Queue · 2 unacknowledged")).to_be_visible()
    page.locator("#queue [role=treeitem]").first.click()
    expect(page.get_by_text("This is a replay: nothing can be done to its alerts.")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.keyboard.press("a")
    expect(page.get_by_test_id("notice")).to_contain_text("nothing can be done")
    assert node.posted == []


def test_one_key_leads_back(replayed: Page, node: Any) -> None:
    page = replayed
    page.keyboard.press("l")
    expect(page.get_by_test_id("mode")).to_have_text("Live")
    expect(page.get_by_text("Queue · 4 unacknowledged")).to_be_visible()
    expect(page.get_by_test_id("replay")).to_have_count(0)
    expect(page).to_have_title("(4) Seattle – Tocsin")
    eventually(page, "the replay was ended at the node", lambda: node.replay is None)


def test_pause_speed_order_and_seek(replayed: Page, node: Any) -> None:
    page = replayed
    page.keyboard.press("p")
    expect(page.get_by_test_id("replay")).to_contain_text("paused")
    page.get_by_role("combobox", name="Speed").select_option("1000")
    eventually(page, "the node goes at that speed", lambda: len(node.replay.steered) == 2)  # what is on its way at once may change places
    page.get_by_role("combobox", name="Order").select_option("as it happened")
    expect(page.get_by_test_id("replay")).to_contain_text("as it happened")
    page.get_by_test_id("scrub").focus()
    page.keyboard.press("Home")
    expect(page.get_by_test_id("replay")).to_contain_text("paused")
    scrub = page.get_by_test_id("scrub")
    expect(scrub).to_have_attribute("aria-valuenow", scrub.get_attribute("aria-valuemin") or "")
    eventually(page, "the node is there", lambda: len(node.replay.steered) == 4)
    changes = node.replay.steered
    assert [sorted(change) for change in changes] == [["playing"], ["speed"], ["by"], ["at"]]
    assert node.replay.to_json()["at"] == node.replay.to_json()["from"]
    page.keyboard.press("p")
    expect(page.get_by_test_id("replay")).to_contain_text("at its end")


def test_what_rings_live_meanwhile_is_said(replayed: Page, node: Any) -> None:
    page = replayed
    expect(page.get_by_test_id("live-waiting")).to_have_text("Live: 4 alerts wait for acknowledgement")
    node.new_alert(node.scene.alerts[0]["id"], "fresh")
    expect(page.get_by_test_id("live-waiting")).to_have_text("Live: 1 new alert since the replay began")


def test_a_replay_that_is_gone_brings_back_live(replayed: Page, node: Any) -> None:
    page = replayed
    replay, node.replay = node.replay, None
    replay.drop_streams()
    expect(page.get_by_test_id("mode")).to_have_text("Live")
    expect(page.get_by_test_id("notice")).to_contain_text("The replay has ended")
    page.complaints[:] = [one for one in page.complaints if "404" not in one]  # type: ignore[attr-defined]
