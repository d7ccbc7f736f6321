"""Why it rang, and why it did not: the clauses of an alert, and a question about any rule at a place and moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_every_clause_of_an_alert_is_asked_for_only_when_wanted(console: Callable[..., Page], node: Any) -> None:
    page = console()
    page.locator("#queue [role=treeitem]").filter(has_text="Automatic alarm").first.click()
    button = page.get_by_role("button", name="Check every clause")
    expect(button).to_be_visible()
    assert node.asked == []
    button.click()
    clauses = page.locator(".why .clauses li")
    expect(clauses).to_have_count(3)
    expect(clauses.first).to_contain_text("Held: call.alarm: alarm 1601 8th Av, 21:31:00, 118 m and 24 min")  # in the city's time
    assert node.asked[0]["path"].startswith("/api/v1/alerts/") and button.count() == 0
    page.keyboard.press("j")
    expect(button).to_be_visible()  # another alert: nothing is shown that is not about it


def test_why_it_did_not_ring_in_the_middle_of_the_map(console: Callable[..., Page], node: Any) -> None:
    page = console()
    expect(page.get_by_text("In the middle of the map, up to the moment on the screen.")).to_be_visible()
    page.get_by_label("Rule").select_option(index=1)
    page.get_by_label("Within").fill("500 m")
    page.get_by_label("with what became known later").check()
    page.get_by_role("button", name="Ask about").click()
    answer = page.get_by_test_id("answer")
    expect(answer).to_contain_text("It did not ring within 500 m between 21:55:00 and 22:05:00")
    expect(answer.locator("li.is-failed")).to_contain_text("Failed: 4 of 5 sources")
    expect(answer.locator("li.is-unknown")).to_contain_text("Not known: whether a burn permit")
    expect(answer).to_contain_text("212 events looked at, as known then.")
    page.get_by_text("1 other near miss").click()
    expect(answer.get_by_text("smoke S-40 at 140 ug/m3")).to_be_visible()
    asked = node.asked[0]
    assert asked["within"] == "500 m" and asked["with_late"] == "true" and asked["path"].endswith("/explain")
    lon, lat = map(float, asked["near"].split(","))
    assert abs(lon + 122.33) < 0.2 and abs(lat - 47.6) < 0.2 and asked["at"].endswith("Z")


def test_at_the_place_of_the_alert_by_keyboard_and_a_node_that_cannot_answer(console: Callable[..., Page], node: Any) -> None:
    page = console()
    page.locator("#queue [role=treeitem]").filter(has_text="Automatic alarm").first.click()
    node.unexplained = True
    page.get_by_text("Why did it not ring?").press("Enter")
    expect(page.get_by_text("At the place of this alert")).to_be_visible()
    page.get_by_label("Within").press("Enter")  # sends the form
    expect(page.get_by_text("No answer: another explanation is being worked out")).to_be_visible()
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser notes the 503
    found = next(alert for alert in node.scene.alerts if alert["headline"].startswith("Automatic alarm"))
    lon, lat = map(float, node.asked[0]["near"].split(","))
    assert abs(lon - found["lon"]) < 1e-5 and abs(lat - found["lat"]) < 1e-5 and "within" not in node.asked[0]
