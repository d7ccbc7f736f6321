"""The console on the real node while it plays Seattle's recorded day: what a duty officer does, with nothing standing in for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as NotInTime

from tests.console.console_browser import eventually, open_browser, open_page

from .node_world import ROOT, Node, running

pytestmark = [pytest.mark.browser, pytest.mark.crash]
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def seattle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(ROOT / "examples" / "seattle", tmp_path_factory.mktemp("seattle") / "data") as node:
        node.alerts(3)
        yield node


@pytest.fixture(scope="module")
def page(seattle: Node) -> Iterator[Page]:
    with open_browser() as browser:
        opened = open_page(browser, seattle.http + "/", size=(1600, 900))
        opened.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        opened.get_by_test_id("clock").wait_for()
        yield opened
        assert opened.external == []  # type: ignore[attr-defined]
        assert opened.complaints == []  # type: ignore[attr-defined]


def row(page: Page, node: Node) -> tuple[str, str]:
    """Opens a building fire in the queue; gives its id and headline. Alerts of one rule may be folded into one row, now or in a moment."""
    wanted = node.alerts(1, rule="structure-fire")[0]
    found = page.locator(f"[id='alert-{wanted['id']}']")
    closed = page.locator("#queue [role=treeitem][aria-expanded=false]").filter(has_text=f"{wanted['title']}: ")

    def chosen() -> bool:
        for one in (closed.first, found):
            if one.count():
                with suppress(NotInTime):  # it has moved, or was folded away, in the moment it was to be clicked
                    one.click(timeout=5_000)
        return bool(page.evaluate("id => document.getElementById(id)?.ariaSelected === 'true'", f"alert-{wanted['id']}"))

    eventually(page, "the alert is chosen in the queue", chosen, 180.0)
    return wanted["id"], wanted["headline"]


def test_the_exercise_is_named_and_the_map_is_drawn(page: Page) -> None:
    expect(page.get_by_text("Independence Day 2017, recorded")).to_be_visible()
    expect(page.locator(".maplibregl-canvas")).to_be_visible()


def test_an_alert_of_the_recorded_day_is_opened_read_and_acknowledged(page: Page, seattle: Node) -> None:
    alert, _ = row(page, seattle)
    expect(page.locator(".why li").first).to_be_visible()
    expect(page.locator(".why")).to_contain_text("Every building fire is looked at by the duty officer.")
    expect(page.locator(".evidence tbody tr").first).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Fire liaison")
    whole = seattle.get(f"/api/v1/alerts/{alert}")
    assert whole["state"] == "acknowledged"
    assert whole["owner"] == "Fire liaison"
    assert whole["exercise"] is True


def test_the_time_is_scrubbed_and_live_comes_back(page: Page) -> None:
    page.get_by_test_id("scrub").focus()
    page.keyboard.press("PageDown")
    expect(page.get_by_test_id("fixed")).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_test_id("mode")).to_have_text("Live")


def total(node: Node) -> int:
    return int(node.get("/api/v1/status")["events"]["total"])


def test_a_filter_hides_what_comes_later_too_and_says_how_much(page: Page, seattle: Node) -> None:
    page.get_by_role("button", name="List", exact=True).click()
    table = page.locator(".listview table")
    expect(table).to_contain_text("Medical calls")
    page.get_by_role("button", name="Kinds").click()
    page.get_by_role("checkbox", name="Medical calls").uncheck()
    page.keyboard.press("Escape")
    chip = page.get_by_test_id("hidden")
    expect(chip).to_contain_text("hidden")
    expect(table).not_to_contain_text("Medical calls")
    before = total(seattle)
    eventually(page, "more of the recorded day has come", lambda: total(seattle) > before + 30 or _over(seattle), 120.0)
    expect(table).not_to_contain_text("Medical calls")
    page.reload()
    expect(chip).to_contain_text("hidden")
    expect(table.locator("tbody tr").first).to_be_visible()
    expect(table).not_to_contain_text("Medical calls")
    page.get_by_role("button", name="Clear filter").click()
    expect(chip).to_have_count(0)


def _over(node: Node) -> bool:
    status = node.get("/api/v1/status")
    return bool(status["clock"]["now"] > status["exercise"]["end"])


def test_choosing_acknowledging_and_taking_back_by_keys_alone(page: Page, seattle: Node) -> None:
    chosen = page.locator("#queue [role=treeitem][aria-selected=true]")
    passed: list[str] = []

    def new_one() -> str:
        """The id of a building fire that nobody has, after one step down; folded rules are opened on the way, and after the last row is the first."""
        page.keyboard.press("ArrowDown")
        if not chosen.count():
            return ""
        found = str(chosen.first.get_attribute("id")).removeprefix("alert-")
        if passed[-1:] == [found]:
            page.keyboard.press("Home")
        passed.append(found)
        if ":" not in found:
            alert = seattle.get(f"/api/v1/alerts/{found}")
            return found if alert["state"] == "open" and alert["rule"] == "structure-fire" else ""
        if chosen.first.get_attribute("aria-expanded") == "false":
            page.keyboard.press("Enter")
        return ""

    page.locator("#queue").focus()
    page.keyboard.press("Home")
    alert = eventually(page, "a new alert is chosen by the arrow keys", new_one, 180.0)
    page.keyboard.press("a")
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")
    eventually(page, "the node has it", lambda: seattle.get(f"/api/v1/alerts/{alert}")["state"] == "acknowledged")
    page.keyboard.press("u")
    eventually(page, "the node has it back", lambda: seattle.get(f"/api/v1/alerts/{alert}")["state"] == "open")
    listed = page.locator(".listview").count()
    for now in (1 - listed, listed):
        page.keyboard.press("m")
        expect(page.locator(".listview")).to_have_count(now)
    page.keyboard.press("/")
    page.keyboard.type("no such words anywhere")
    expect(page.get_by_text("No alert passes the filter.")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(chosen).to_have_count(0)
    page.get_by_label("Filter by words").fill("")
    page.keyboard.press("Escape")
    expect(page.locator("#queue [role=treeitem]").first).to_be_visible()


def test_axe_finds_nothing_on_real_data(page: Page) -> None:
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(v => v.id)")
    assert found == []
