"""The list says everything the map shows: alerts, reports, and the things of the layers; what is long has pages, nothing is cut."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fake_scene import START, iso
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
WORST = "00alarmthenfir"


def switch_on(page: Page, layer: str) -> None:
    page.get_by_role("button", name="Layers").click()
    page.get_by_role("checkbox", name=layer).check()
    page.keyboard.press("Escape")


def test_stations_and_outlines_of_the_map_are_rows_nearest_to_the_chosen_alert_first(console: Callable[..., Page], node: Any) -> None:
    page = console()
    rows = page.locator(".listview tbody tr:not(.part)")
    expect(page.get_by_text("are listed when their layer is switched on")).to_be_visible()
    switch_on(page, "Fire stations")
    station = rows.filter(has_text="SFD 10")
    expect(station).to_contain_text("Fire stations")
    switch_on(page, "Neighbourhoods")
    expect(rows.filter(has_text="Fremont").filter(has_text="Neighbourhoods").first).to_be_visible()
    page.locator(f"#alert-{WORST}").click()
    expect(station).to_contain_text("from the chosen alert")
    ways = page.locator(".listview tr").filter(has_text="from the chosen alert").locator("td:nth-child(4)").all_inner_texts()
    metres = [float(number) * (1000 if unit == "km" else 1) for number, unit, *_ in (way.split() for way in ways)]
    assert len(metres) > 20
    assert metres == sorted(metres)


def test_a_flood_of_alerts_has_pages_and_every_alert_is_on_one(console: Callable[..., Page], node: Any) -> None:
    for number in range(230):
        node.new_alert("04medicalsurge", f"flood{number}", headline=f"Surge number {number:03}")
    page = console()
    expect(page.get_by_text("236 alerts")).to_be_visible()
    pages = page.get_by_role("group", name="Pages of Alerts")

    def surges() -> set[str]:
        return {text for text in page.locator(".listview tr button.link").all_inner_texts() if "Surge number" in text}

    expect(pages).to_contain_text("1 to 200 of 236")
    found = surges()
    pages.get_by_role("button", name="Next").click()
    expect(pages).to_contain_text("201 to 236 of 236")
    assert len(found | surges()) == 230
    pages.get_by_role("button", name="Previous").click()
    expect(pages).to_contain_text("1 to 200 of 236")


def test_an_old_alert_that_needs_somebody_is_there_however_many_came_after_it(console: Callable[..., Page], node: Any) -> None:
    old = node.new_alert("04medicalsurge", "forgotten", headline="Forgotten since yesterday", opened=iso(START - timedelta(days=1)))
    assert old["state"] == "open"
    for number in range(1_100):
        node.new_alert("04medicalsurge", f"done{number}", state="resolved")
    page = console()
    expect(page.locator("#queue")).to_contain_text("Forgotten since yesterday")
