"""The filter: one for everything, kept over a reload, applied to what arrives later, and never silent about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_filter_stays_over_a_reload_and_hides_new_arrivals(console: Callable[..., Page], node: Any) -> None:
    page = console()
    table = page.locator(".listview table")
    expect(table).to_contain_text("Medical calls")
    page.get_by_role("button", name="Kinds").click()
    page.get_by_role("checkbox", name="Medical calls").uncheck()
    page.keyboard.press("Escape")
    expect(table).not_to_contain_text("Medical calls")
    page.get_by_role("button", name="Show severity 2 severe").click()
    chip = page.get_by_test_id("hidden")
    expect(chip).to_contain_text("2 unacknowledged")
    page.reload()
    expect(chip).to_contain_text("2 unacknowledged")
    expect(table).not_to_contain_text("Medical calls")
    expect(page.get_by_role("button", name="Kinds: 7 of 8")).to_be_visible()
    node.new_alert("04medicalsurge", "fresh2", headline="Another surge")
    expect(chip).to_contain_text("3 unacknowledged")
    expect(page.locator("#queue")).not_to_contain_text("Another surge")
    page.get_by_role("button", name="Clear filter").click()
    expect(page.locator("#queue")).to_contain_text("Another surge")
    expect(chip).to_have_count(0)


def test_words_filter_queue_and_list_alike(console: Callable[..., Page]) -> None:
    page = console()
    page.keyboard.press("/")
    page.keyboard.type("lake forest")
    expect(page.locator("#queue [role=treeitem]")).to_have_count(1)
    expect(page.locator(".listview tbody tr:not(.part)")).to_have_count(2)  # the alert and the newest reading
    page.keyboard.press("Escape")
    expect(page.get_by_label("Filter by words")).to_have_value("lake forest")  # what filters is what stands there
    page.keyboard.press("j")
    expect(page.get_by_test_id("standing")).to_be_visible()
