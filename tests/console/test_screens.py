"""Feeds, rules, exercise, layers and the map's pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from console_pixels import decode_png
from fake_api import FakeNode, Served
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_stale_feeds_are_named_with_their_reasons(console: Callable[..., Page]) -> None:
    page = console()
    page.get_by_role("button", name="2 feeds need a look").click()
    listed = page.get_by_role("group", name="Feeds that need a look")
    expect(listed).to_contain_text("connection refused by broker panels.internal")
    expect(listed).to_contain_text("not heard for 3 h, expected every 1 h")
    listed.get_by_role("link", name="All feeds").click()
    expect(page.locator(".feeds tbody tr").first).to_contain_text("Failing")
    expect(page.locator(".feeds tbody tr")).to_have_count(6)


def test_on_a_phone_feeds_are_cards_and_nothing_is_wider_than_the_screen(console: Callable[..., Page]) -> None:
    page = console("#feeds", size=(390, 844))
    first = page.locator(".feeds tbody tr").first
    expect(first).to_contain_text("Failing")
    expect(first.locator("td").nth(3)).to_have_attribute("data-label", "Owner")
    assert page.locator(".tablewrap").first.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_strip_of_a_small_laptop_is_one_line(console: Callable[..., Page]) -> None:
    page = console(size=(1024, 640))
    expect(page.get_by_test_id("clock")).to_contain_text("UTC")
    tops = page.locator("header.strip > *").evaluate_all(
        "parts => parts.map(p => p.getBoundingClientRect()).filter(r => r.width > 0).map(r => r.top)"
    )
    assert max(tops) < 40, tops


def test_quarantine_shows_reason_and_raw_and_tries_again(console: Callable[..., Page]) -> None:
    page = console("#feeds")
    page.get_by_role("button", name="Show raw").nth(1).click()
    expect(page.locator("pre")).to_have_text("<alert><sent>2017-13-04T20:31:00-07:00</sent></alert>")
    page.get_by_role("button", name="Try again").nth(1).click()
    expect(page.get_by_text("Still refused: month must be 1 to 12")).to_be_visible()
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 409


def test_rules_are_said_in_words_and_as_written(console: Callable[..., Page]) -> None:
    page = console("#rules")
    card = page.get_by_role("article", name="Many medical calls in one place")
    expect(card).to_contain_text("Four medical calls from four addresses within 400 m and 30 min.")
    card.get_by_text("As written").click()
    expect(card.locator("pre")).to_contain_text("rule: medical-surge")
    expect(page.get_by_role("link", name="Wall")).to_have_count(0)  # no dead tabs


def test_other_rules_and_layers_come_by_themselves(console: Callable[..., Page], node: FakeNode) -> None:
    page = console("#rules")
    cards = page.get_by_role("article")
    expect(cards).not_to_have_count(0)
    node.reconfigure(
        [dict(node.rules[0], title="Quite another rule")], [layer for layer in node.layers if layer["name"] != "neighbourhoods"]
    )
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Quite another rule")
    page.goto(page.url.partition("#")[0] + "#live")
    page.get_by_role("button", name="Layers").click()
    expect(page.get_by_role("checkbox", name="Fire stations")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Neighbourhoods")).to_have_count(0)


def test_an_exercise_cannot_be_taken_for_the_real_thing(browser: Any) -> None:
    from console_browser import open_page

    with Served(FakeNode(60, exercise=True)) as served:
        page = open_page(browser, served.url, middle="list")
        banner = page.get_by_test_id("exercise")
        expect(banner).to_contain_text("EXERCISE")
        expect(banner).to_contain_text("Independence Day 2017, recorded · recorded time at 60×")
        expect(page.get_by_test_id("clock")).to_contain_text("UTC")
        page.keyboard.press("2")
        expect(banner).to_be_visible()
        served.node.lasts = timedelta(0)
        page.reload()
        expect(banner).to_contain_text("the recording ended")
        expect(banner).to_contain_text("what is silent now is over, not broken")
        page.context.close()


def near(pixels: Counter[tuple[int, int, int]], colour: str, apart: int = 12) -> int:
    want = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return sum(n for found, n in pixels.items() if all(abs(a - b) <= apart for a, b in zip(found, want, strict=True)))


def test_the_map_draws_ground_streets_and_alerts(console: Callable[..., Page]) -> None:
    page = console(middle="map", size=(1200, 760))
    expect(page.locator("[data-camera]")).to_be_attached()
    box = page.get_by_test_id("map").bounding_box()
    assert box is not None
    clip = {"x": box["x"] + 60, "y": box["y"] + 60, "width": 360, "height": 240}
    token = "name => getComputedStyle(document.documentElement).getPropertyValue('--' + name)"
    colours = {name: page.evaluate(token, name) for name in ("map-city", "map-water", "map-street-major", "sev1")}
    for _ in range(240):
        pixels: Counter[tuple[int, int, int]] = Counter(decode_png(page.screenshot(clip=clip)))
        counts = {name: near(pixels, colour, 6) for name, colour in colours.items()}
        if all(count > 40 for count in counts.values()):
            break
        page.wait_for_timeout(250)
    assert counts["map-city"] > 5_000, counts
    assert counts["map-water"] > 1_000, counts
    assert counts["map-street-major"] > 100, counts
    assert counts["sev1"] > 40, counts


def test_layers_are_switched_on_and_kept(console: Callable[..., Page]) -> None:
    page = console(middle="map", size=(1000, 640))
    expect(page.locator("[data-camera]")).to_be_attached()
    page.get_by_role("button", name="Layers").click()
    with page.expect_response("**/api/v1/layers/fire-stations") as answer:
        page.get_by_role("checkbox", name="Fire stations").check()
    assert answer.value.ok
    page.reload()
    page.get_by_role("button", name="Layers").click()
    expect(page.get_by_role("checkbox", name="Fire stations")).to_be_checked()
