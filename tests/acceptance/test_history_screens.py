"""History on a real node with a real archive, as people use it: searched, drawn, counted, reported, tried, printed. No route here has a stand-in."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.console.console_browser import CHROMIUM, open_browser, open_page

from .node_world import ROOT, RULES, Node, last_json, ndjson, reading, running, smoke_feed, tocsin, write_city

pytestmark = [pytest.mark.browser, pytest.mark.crash]
AXE = (ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
WEEKS = 5
CALLS = """
feed: calls
purpose: dispatch awareness
owner: test
retention: 1 year
sensitivity: internal
transport: webhook
format: ndjson
mapping:
  id: id
  source: s
  kind: {constant: call.medical}
  event_time: {from: t, formats: [epoch_ms]}
  lon: x
  lat: y
  text: {template: "Aid response {id}"}
attrs:
  station: station
  arrived: arrived
"""


def calls(until: float) -> bytes:
    """Weeks of calls, busier by day; each says its station and when somebody arrived."""
    rng, lines = np.random.default_rng(4), []
    first = until - WEEKS * 7 * 86_400
    for hour in range(WEEKS * 168):
        for n in range(int(rng.poisson(2 + 3 * math.sin(hour % 24 / 24 * math.pi) ** 2))):
            at = first + hour * 3600 + n * 300
            arrived = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at + rng.uniform(120, 700)))
            place = {"x": 10 + rng.normal(0, 0.03), "y": 50 + rng.normal(0, 0.02)}
            lines.append(
                {"id": f"c{hour}-{n}", "s": f"block-{n}", "t": round(at * 1000), "station": f"E{n % 3}", "arrived": arrived, **place}
            )
    return ndjson(*lines)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city directory; its data directory, with history imported before the node ever ran, is `data` beside it."""
    folder = tmp_path_factory.mktemp("history")
    made = write_city(folder / "city", RULES, {"smoke": smoke_feed().replace("retention: 1 day", "retention: 1 year"), "calls": CALLS})
    history = folder / "calls.ndjson"
    history.write_bytes(calls(time.time() - 3600))
    done = tocsin("archive", "import", made, "calls", history, "--data", folder / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def node(city: Path) -> Iterator[Node]:
    with running(city, city.parent / "data") as started:
        now = time.time()
        started.send("smoke", ndjson(reading(1, "s1", 200, at=now - 20), reading(2, "s2", 220, east=40, at=now - 10)))
        started.eventually("the alert is in the archive", lambda: _near_alert(started))
        yield started


def _near_alert(node: Node) -> bool:
    alert = node.alerts(1)[0]
    return len(node.get("/api/v1/archive/around", alert=alert["id"])["items"]) >= 2


@pytest.fixture(scope="module")
def page(node: Node) -> Iterator[Page]:
    with open_browser() as browser:
        opened = open_page(browser, node.http + "/", size=(1440, 900))
        expect.set_options(timeout=60_000)
        opened.set_default_timeout(60_000)
        opened.get_by_test_id("clock").wait_for()
        yield opened
        assert opened.external == []  # type: ignore[attr-defined]
        assert [one for one in opened.complaints if "422" not in one] == []  # type: ignore[attr-defined]


def at_once(page: Page, screen: str) -> None:
    page.evaluate("name => { location.hash = name }", f"#{screen}")


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found: list[str] = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(v => v.id)")
    return found


def test_around_the_incident(page: Page) -> None:
    page.locator("#queue [role=treeitem]").first.click()
    page.get_by_role("button", name="Around this").click()
    rows = page.locator(".findings .found tbody tr")
    expect(rows.filter(has_text="40 m")).to_have_count(1)
    assert violations(page) == []
    page.get_by_role("button", name="Search instead").click()


def test_search_and_the_map_draws_what_was_asked(page: Page, node: Node) -> None:
    at_once(page, "investigate")
    tiles: list[str] = []
    page.on("request", lambda one: tiles.append(one.url) if ".mvt" in one.url else None)
    page.get_by_label("From (city time)").fill("2020-01-01T00:00")
    page.get_by_role("combobox", name="Kind").fill("call")
    page.get_by_role("searchbox", name="Words").fill("aid")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".findings .found tbody tr")).to_have_count(200)
    expect(page.get_by_role("img", name="When")).to_be_visible()
    for _ in range(1200):
        if any("text=aid" in url for url in tiles):
            break
        page.wait_for_timeout(50)
    drawn = [url for url in tiles if "text=aid" in url and "kind=call" in url]
    assert drawn, "the tiles of the map are of this question, not of the one before"
    first = httpx.get(drawn[0], timeout=60)
    assert first.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert any(httpx.get(url, timeout=60).content for url in drawn), "everything that fits comes as tiles, whatever the list shows"
    page.locator(".chart .pick").nth(3).click()
    expect(page.get_by_role("button", name="Back to the wider time")).to_be_visible()
    page.get_by_role("button", name="Back to the wider time").click()
    expect(page.locator(".findings .found tbody tr")).to_have_count(200)
    assert violations(page) == []


def test_reports_are_made_drawn_and_taken_along(page: Page, node: Node) -> None:
    at_once(page, "analytics")
    card = page.locator("[data-report=forecast]")
    expect(card).to_have_attribute("data-state", "done")
    expect(card.get_by_role("img")).to_be_visible()
    expect(card).to_contain_text("less than taking the same hour of last week")
    card.get_by_text("The question behind it").click()
    expect(card.locator("pre")).to_contain_text("tocsin report CITY forecast --from")
    expect(card.locator("pre")).to_contain_text("SELECT")
    expect(page.locator("[data-report=volume] svg")).to_be_visible()
    responses = page.locator("[data-report=responses]")
    responses.get_by_role("textbox", name="Station in").fill("station")
    responses.get_by_role("textbox", name="Station in").press("Enter")
    expect(responses).to_contain_text("3 stations")
    expect(page.locator("[data-report=feeds]").get_by_role("row", name="smoke")).to_be_visible()
    expect(page.locator("[data-report=coverage]")).to_contain_text(
        "This report cannot be made yet. Found 'census-blocks'; valid is a layer"
    )
    href = responses.get_by_role("link", name="CSV").get_attribute("href") or ""
    table = httpx.get(href, timeout=60).text.splitlines()
    assert table[0].startswith("station,hour,calls,p50_s") and len(table) > 24
    expect(page.locator(".sheets .sheet pre").first).to_contain_text("SELECT")
    asking = page.get_by_role("region", name="Ask in SQL")
    asking.get_by_role("button", name="Ask").click()
    expect(asking.get_by_role("row", name="call.medical")).to_be_visible()
    asking.get_by_role("textbox").fill("DROP TABLE events")
    asking.get_by_role("button", name="Ask").click()
    expect(asking.get_by_role("alert")).to_contain_text("SELECT")
    assert violations(page) == []
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert violations(page) == []
    page.emulate_media(media="print")
    expect(page.locator("header.strip")).to_be_hidden()
    expect(page.locator("[data-report=forecast] svg")).to_be_visible()
    page.emulate_media(media="screen")


def test_a_rule_with_a_window_is_tried_on_the_archive(page: Page) -> None:
    at_once(page, "rules")
    card = page.get_by_role("article", name="Smoke confirmed by a second sensor")
    card.get_by_text("Try it on history").click()
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_test_id("backtest")).to_contain_text("1 alert")


def test_a_draft_is_mended_and_tried_against_the_rule_in_force(page: Page) -> None:
    at_once(page, "rules")
    card = page.get_by_role("article", name="Smoke confirmed by a second sensor")
    if not card.get_by_role("button", name="Try", exact=True).is_visible():
        card.get_by_text("Try it on history").click()
    card.locator("summary", has_text="Another version of this rule").click()
    card.get_by_role("button", name="Begin with the rule in force").click()
    draft = card.get_by_role("textbox", name="Another version of this rule")
    written = draft.input_value()
    wrong = written.rstrip().count("\n") + 2
    draft.fill(written.rstrip() + "\nwen: {}\n")
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_role("status").get_by_role("listitem")).to_contain_text([f"Line {wrong} unknown key 'wen'"])
    draft.fill(written.replace("sources: 2", "sources: 3"))
    card.get_by_role("textbox", name="Try values of").fill("cluster.sources=2..3")
    card.get_by_role("combobox", name="Real incidents are").fill("call.medical")
    card.get_by_role("button", name="Try", exact=True).click()
    sheet = card.get_by_test_id("backtest")
    expect(sheet).to_contain_text("It would not have rung.")
    expect(sheet.get_by_role("region", name="Real incidents (call.medical)")).to_contain_text("The first 200 are listed.")
    expect(sheet.get_by_role("region", name="Compared with this rule as it is in force")).to_contain_text(
        "0 alerts of both; 0 only of what was tried, 1 only of the other."
    )
    expect(sheet.get_by_role("region", name="Near misses (1)").get_by_role("row", name="sources 2 3 1")).to_be_visible()
    expect(sheet.get_by_role("region", name="By value of cluster.sources").get_by_role("row", name="3 (now) 0")).to_be_visible()
    assert violations(page) == []


def test_a_report_on_paper(node: Node, city: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.pdf"
    words = [
        "report",
        str(city),
        "all",
        "--data",
        str(node.data),
        "--kind",
        "call",
        "--pdf",
        str(out),
        "--html",
        str(tmp_path / "all.html"),
        "--json",
    ]
    done = tocsin(*words, env=os.environ | {"CHROMIUM": CHROMIUM})
    assert done.returncode == 0, done.stderr
    told = last_json(done)
    assert {"volume", "forecast", "false-alarms"} <= set(told["reports"]) and "census-blocks" in told["refused"]["coverage"]
    assert out.read_bytes().startswith(b"%PDF-") and out.stat().st_size > 10_000
    html = (tmp_path / "all.html").read_text()
    assert "<svg" in html and "src=" not in html and "http" not in html
