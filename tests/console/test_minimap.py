"""The overview beside the map: there while alerts lie outside, shows them all when asked, never moves the map by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_alerts_outside_the_map_are_in_the_overview_and_shown_when_asked(console: Callable[..., Page], node: Any) -> None:
    page = console(middle="map", size=(1280, 800))
    camera = page.locator("[data-camera]")
    expect(camera).to_be_attached()
    home = camera.get_attribute("data-camera") or ""
    overview = page.get_by_test_id("minimap")
    node.new_alert("00alarmthenfir", "far", headline="Fire far from the city", lon=-121.2, lat=47.1)
    expect(overview).to_be_visible()
    expect(page.locator(".edge").filter(has_text="Fire far from the city")).to_have_count(1)
    expect(camera).to_have_attribute("data-camera", home)
    expect(overview.locator("path")).to_have_count(7)
    overview.click()
    expect(overview).to_have_count(0)
    expect(page.locator(".edge")).to_have_count(0)
    page.keyboard.press("b")
    expect(camera).to_have_attribute("data-camera", home)
    expect(overview).to_be_visible()
