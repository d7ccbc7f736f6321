"""Investigate and Analytics: ask, look closer, take along, go on to a replay; every chart with its question; and without an archive."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from console_browser import eventually, until
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def searched(console: Callable[..., Page]) -> Page:
    page = console("#investigate")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".standing")).to_contain_text("The first 40 events; there are more.")
    return page


def asked_for(page: Page, node: Any, route: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first question of a route that is so, once the node has it; questions on their way may overtake one another."""

    def found() -> dict[str, Any] | None:
        return next((one for one in node.questions if one.get("path", "").endswith(route) and holds(one)), None)

    return dict(eventually(page, f"a question of {route}", found))


def test_search_by_words_and_kind_and_more_of_it(searched: Page, node: Any) -> None:
    page = searched
    expect(page.locator(".standing")).to_contain_text("Looked into 3 files, at most 12,000 rows.")
    page.get_by_role("button", name="More").click()
    expect(page.locator(".findings .found tbody tr")).to_have_count(80)
    page.get_by_role("searchbox", name="Words").fill("medic")
    page.get_by_role("combobox", name="Kind").fill("call.medical")
    page.get_by_role("combobox", name="At least").select_option("severe")
    page.get_by_role("button", name="Ask").click()
    asked = asked_for(page, node, "search", lambda one: "text" in one)
    expect(page.locator(".findings .found tbody tr").first).to_contain_text("Medic")
    assert (asked["text"], asked["kind"], asked["severity"], asked["limit"]) == ("medic", "call.medical", "3", "200")
    assert asked["from"] < asked["to"]


def test_a_bar_narrows_the_question(searched: Page, node: Any) -> None:
    page = searched
    chart = page.get_by_role("img", name="When")
    expect(chart).to_be_visible()
    before = asked_for(page, node, "search", bool)
    page.locator(".chart .pick").first.click()
    expect(page.locator(".standing")).not_to_contain_text("The first 40")
    asked = asked_for(page, node, "search", lambda one: one["from"] != before["from"])
    assert (asked["from"][14:16], asked["to"][14:16]) == ("00", "00")


def test_the_chart_of_the_question_before_is_not_drawn_when_it_comes_late(searched: Page) -> None:
    page, held = searched, list[Any]()
    page.route("**/archive/series*", lambda route: route.continue_() if held else held.append(route))
    chart = page.get_by_role("img", name="When")
    page.locator(".chart .pick").first.click()
    eventually(page, "the counts of an hour are asked for", lambda: held)
    page.get_by_role("button", name="Back to the wider time").click()
    expect(page.locator(".standing")).to_contain_text("Looked into 3 files")
    drawn = chart.evaluate("chart => chart.outerHTML")
    with page.expect_response("**/archive/series*"):
        held[0].continue_()
    page.wait_for_timeout(300)  # time enough for a mistake
    assert chart.evaluate("chart => chart.outerHTML") == drawn


def test_what_was_found_can_be_taken_along(searched: Page) -> None:
    page = searched
    for name, form in (("CSV", "csv"), ("GeoParquet", "parquet"), ("GeoPackage", "gpkg"), ("FlatGeobuf", "fgb"), ("Arrow", "arrow")):
        link = page.get_by_role("link", name=name)
        href = link.get_attribute("href") or ""
        assert f"format={form}" in href and "limit=100000" in href and "/api/v1/archive/search" in href


def test_around_an_incident_and_its_replay(console: Callable[..., Page], node: Any) -> None:
    page = console()
    page.locator("#queue [role=treeitem]").first.click()
    page.get_by_role("button", name="Around this").click()
    expect(page.get_by_role("heading", name="Around this incident")).to_be_visible()
    expect(page.locator(".findings .found tbody tr")).to_have_count(12)
    expect(page.locator(".findings .found tbody tr").nth(4)).to_contain_text("160 m +1 min")
    page.get_by_role("combobox", name="Within").select_option("1 km")
    page.get_by_role("combobox", name="Before and after").select_option("3 h")
    expect(page.locator(".standing")).to_contain_text("only the nearest 12")
    asked = asked_for(page, node, "around", lambda one: one["before"] == "3 h")
    assert (asked["within"], asked["before"], asked["after"]) == ("1 km", "3 h", "3 h")
    assert asked["alert"]
    page.locator(".asking").get_by_role("button", name="Replay from here").click()
    expect(page.get_by_test_id("mode")).to_have_text("⟲REPLAY")
    expect(page.locator("#queue")).to_be_visible()  # `l` is a key of the live screen
    page.keyboard.press("l")
    expect(page.get_by_test_id("mode")).to_have_text("Live")


def test_without_an_archive_it_says_so(console: Callable[..., Page], node: Any) -> None:
    node.no_archive = True
    page = console("#investigate")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".standing")).to_contain_text("There is no archive to ask")
    page.complaints[:] = [one for one in page.complaints if "503" not in one]  # type: ignore[attr-defined]


def test_a_map_tile_that_cannot_be_read_is_said(console: Callable[..., Page]) -> None:
    page = console("#investigate")
    page.route("**/*.mvt*", lambda route: route.fulfill(status=200, content_type="application/vnd.mapbox-vector-tile", body="no tile"))
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".map-failed")).to_contain_text("A part of the map could not be drawn")


def test_false_alarms_are_drawn_where_there_were_any(console: Callable[..., Page], node: Any) -> None:
    def source(name: str, alerts: int, retracted: int, closed: int) -> dict[str, Any]:
        share = (retracted + closed) / alerts
        return {"feed": "air", "source": name, "alerts": alerts, "retracted": retracted, "closed_as_false": closed, "share": share}

    sheet = "[data-report=false-alarms]"
    node.false_alarms = [source("E18", 3, 0, 0), source("E9", 1, 0, 0)]
    page = console("#analytics")
    expect(page.locator(sheet)).to_contain_text("0 alerts came to nothing, of 2 sources")
    expect(page.locator(f"{sheet} svg")).to_have_count(0)  # bars of nothing had some width
    node.false_alarms.insert(0, source("L3", 4, 1, 2))
    page.reload()
    expect(page.locator(sheet)).to_contain_text("3 alerts came to nothing, of 3 sources")
    expect(page.locator(f"{sheet} svg [data-part=bar] rect")).to_have_count(2)
    expect(page.locator(f"{sheet} svg [data-part='y-axis tick label']")).to_have_text("L3")
    node.false_alarms[0]["source"] = "Air monitor on the roof of the school at S Orcas St"
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    label = page.locator(f"{sheet} svg [data-part='y-axis tick label'] text")
    expect(label).to_have_text(re.compile("^Air monitor.*…$"))
    inside = """sheet => {
        const text = document.querySelector(`${sheet} svg [data-part='y-axis tick label'] text`)
        return text !== null && text.getBoundingClientRect().x > document.querySelector(sheet).getBoundingClientRect().x
    }"""
    until(page, inside, sheet)  # a long name does not begin outside its card
