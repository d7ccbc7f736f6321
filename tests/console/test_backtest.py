"""A rule, or a draft of one, tried on history before it is switched on: asked, watched, stopped; all that was found, for eye, keyboard and ear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_browser import eventually, until
from fake_backtest import BACKTESTED
from playwright.sync_api import Locator, Page, expect
from test_access import violations

pytestmark = pytest.mark.browser
DRAFT = "rule: mine\ntitle: Mine\nwhy: To see.\nwhen:\n  match: {of: call.fire}\n"
#: The map lies in its part of the sheet, and the table below it.
INSIDE = """() => {
  const box = document.querySelector('[data-testid=places-map]'), around = box.closest('.bt-part').getBoundingClientRect();
  const { top, bottom, left, right } = box.getBoundingClientRect(), table = box.closest('.bt-part').querySelector('table').getBoundingClientRect();
  return bottom - top > 200 && around.top <= top && around.left <= left && right <= around.right && bottom <= table.top;
}"""


def opened(page: Page) -> Locator:
    """The first rule's card, where it can be tried."""
    card = page.get_by_role("article").first
    card.get_by_text("Try it on history").click()
    return card


def tried(page: Page) -> Locator:
    """What a back-test of the first rule found."""
    card = opened(page)
    card.get_by_role("button", name="Try", exact=True).click()
    sheet = card.get_by_test_id("backtest")
    expect(sheet).to_be_visible()
    return sheet


def test_a_rule_is_tried_on_history(console: Callable[..., Page], node: Any) -> None:
    node.lasting = True  # until it was looked at
    page = console("#rules")
    card = opened(page)
    card.get_by_role("combobox", name="Over").select_option("the last 30 days")
    card.get_by_role("textbox", name="Try values of").fill("cluster.sources=2..3")
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_role("status")).to_contain_text("40 %, 2 alerts so far")
    node.lasting = False
    sheet = card.get_by_test_id("backtest")
    expect(sheet).to_contain_text("9 alerts, 4.5 a week, at most 3 in a day. 1 more was taken back.")
    expect(sheet).to_contain_text("Within its budget: never more than 3 in 12 h (6 allowed).")
    expect(sheet).to_contain_text("Wed, Jun 28, 2017, 00:00 to Wed, Jul 5, 2017, 00:00, in the order it was learnt.")
    expect(sheet).to_contain_text("Suggested: 3, as it is. Half the alerts, nothing missed. “Real incidents are” would say more.")
    expect(sheet.get_by_role("row", name="3 (now) 9 4.5 3 2 6")).to_be_visible()
    expect(sheet.get_by_role("row", name="calls/E25 3 33 %")).to_be_visible()
    asked = node.questions[-1]
    assert asked["sweep"] == "cluster.sources=2..3" and not {"against", "text", "order", "incidents"} & asked.keys()
    node.lasting = True
    card.get_by_role("button", name="Try", exact=True).click()
    card.get_by_role("button", name="Stop").click()
    expect(card.get_by_role("status")).to_contain_text("Stopped.")


def test_a_draft_of_a_rule_is_tried_against_the_one_in_force(console: Callable[..., Page], node: Any) -> None:
    page = console("#rules")
    card = opened(page)
    against = card.get_by_role("combobox", name="Compare with")
    expect(against.get_by_role("option", name="this rule as it is in force")).to_have_count(0)  # with itself there is nothing to compare
    card.locator("summary", has_text="Another version of this rule").click()
    card.get_by_role("button", name="Begin with the rule in force").click()
    draft = card.get_by_role("textbox", name="Another version of this rule")
    rule = node.rules[0]
    expect(draft).to_have_value(rule["text"])
    expect(against).to_have_value(rule["name"])  # unless somebody says otherwise
    draft.fill(rule["text"] + "wen: {}\n")
    card.get_by_role("button", name="Try", exact=True).click()
    status = card.get_by_role("status")
    expect(status.get_by_role("listitem")).to_have_text(["Line 4 unknown key 'wen'; did you mean 'when'?", "Line 1 the rule has no 'when'"])
    assert violations(page) == []
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 422
    status.get_by_role("button", name="Line 4").click()
    expect(draft).to_be_focused()
    marked = draft.evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)")
    assert marked == rule["text"].splitlines()[3], "the line that is wrong is marked"
    draft.fill(rule["text"].replace("title:", "title: Calmer"))
    card.get_by_role("button", name="Try", exact=True).click()
    part = card.get_by_role("region", name="Compared with")
    expect(part).to_contain_text(
        "7 alerts of both; 2 only of what was tried, 1 only of the other. Of the same the other knew 2 min later in the median."
    )
    expect(part.get_by_role("group", name="Only what was tried (2)")).to_contain_text("Alarm, then fire at 4th Ave")
    expect(part.get_by_role("group", name="Only the other (1)")).to_contain_text("Ballard")
    expect(status.get_by_role("listitem")).to_have_count(0)
    asked = node.questions[-1]
    assert (asked["rule"], asked["against"]) == (rule["name"], rule["name"])
    assert "Calmer" in asked["text"]


def test_a_new_rule_is_tried_before_it_is_the_citys(console: Callable[..., Page], node: Any) -> None:
    page = console("#rules")
    card = page.get_by_role("region", name="Try a new rule on history")
    card.locator("summary").first.click()
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_role("alert")).to_have_text("Write or paste a rule first.")
    assert not node.questions
    card.get_by_role("textbox", name="A draft").fill(DRAFT)
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_test_id("backtest")).to_contain_text("9 alerts")
    asked = node.questions[-1]
    assert (asked["rule"], asked["text"]) == ("mine", DRAFT.strip())


def test_days_and_places(console: Callable[..., Page]) -> None:
    page = console("#rules")
    sheet = tried(page)
    days = sheet.get_by_role("region", name="Alerts per day")
    expect(days.get_by_role("img", name="Alerts per day")).to_be_visible()
    days.get_by_text("Numbers").first.click()
    expect(days.get_by_role("row", name="2017-07-04 3")).to_be_visible()
    places = sheet.get_by_role("region", name="Alerts by place", exact=True)
    expect(places.get_by_role("row", name="Downtown 4")).to_be_visible()
    expect(places.get_by_role("row", name="calls/E2 1")).to_be_visible()  # no name of a place is known: whose it was
    card_map = places.get_by_test_id("places-map")
    expect(card_map).to_have_attribute("data-places", str(len(BACKTESTED["by_place"])))
    expect(card_map.locator("canvas")).to_be_visible()
    until(page, INSIDE)
    places.get_by_role("button", name="Ballard").click()
    expect(card_map).to_have_attribute("data-centre", "-122.3860 47.6690")


def test_real_incidents_and_near_misses(console: Callable[..., Page], node: Any) -> None:
    page = console("#rules")
    sheet = tried(page)
    real = sheet.get_by_role("region", name="Real incidents (incident.fire)")
    expect(real).to_contain_text("3 of 5 caught (60 %), 2 missed; 6 alerts without one.")
    expect(real).to_contain_text("Known 4 min before in the median; 2 of 3 before they happened.")
    expect(real.get_by_role("group", name="Missed (2)").get_by_role("row")).to_have_count(3)
    expect(real.get_by_role("row", name="Sat, Jul 1, 2017, 21:10 Fire in a building at 1400 E Pine St")).to_be_visible()
    real.get_by_text("Caught (3)").click()
    expect(real.get_by_role("row", name="Warehouse on S Orcas St 4 min before 120 m")).to_be_visible()
    near = sheet.get_by_role("region", name="Near misses (14)")
    expect(near).to_contain_text("By threshold: sources 9, distance 4, time 1. The nearest 3 are listed.")
    expect(near.get_by_role("row", name="Downtown sources 2 3 1")).to_be_visible()
    expect(near.get_by_role("row", name="Ballard distance 453 m 400 m 53 m")).to_be_visible()
    expect(near.get_by_role("row", name="time not known 45 min at most 50 %")).to_be_visible()
    real.get_by_role("button", name="47.6145, -122.3140").first.click()
    expect(page.get_by_role("heading", name="Around this incident")).to_be_visible()
    asked = eventually(
        page,
        "what lay around it is asked for",
        lambda: next((one for one in node.questions if one.get("path", "").endswith("around")), None),
    )
    assert (asked["near"], asked["at"][:16]) == ("-122.314000,47.614500", "2017-07-02T04:10")


def test_a_span_and_an_order_of_ones_own(console: Callable[..., Page], node: Any) -> None:
    page = console("#rules")
    card = opened(page)
    expect(card.get_by_label("From", exact=True)).to_have_count(0)
    card.get_by_role("combobox", name="Over").select_option("from … to …")
    card.get_by_role("combobox", name="In the order").select_option("it happened in")
    card.get_by_label("From", exact=True).fill("2017-07-04T21:00")
    card.get_by_label("To", exact=True).fill("2017-07-04T12:00")
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_role("alert")).to_have_text("Say from when to when: the end after the beginning.")
    assert not node.questions
    card.get_by_label("From", exact=True).fill("2017-07-03T12:00")
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_test_id("backtest")).to_be_visible()
    expect(card.get_by_role("alert")).to_have_count(0)
    asked = node.questions[-1]
    assert (asked["from"], asked["to"], asked["order"]) == ("2017-07-03T19:00:00.000Z", "2017-07-04T19:00:00.000Z", "time")


def test_a_budget_and_what_counts_as_caught(console: Callable[..., Page], node: Any) -> None:
    page = console("#rules")
    card = opened(page)
    card.get_by_role("combobox", name="Real incidents are").fill("call.fire")
    card.get_by_text("Budget, and what counts as caught").click()
    for name, value in {"Budget": "6 per 12 h", "Alert within": "300 m", "Ahead of the incident by": "2 h"}.items():
        card.get_by_role("textbox", name=name).fill(value)
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_test_id("backtest")).to_be_visible()
    asked = node.questions[-1]
    assert {key: asked[key] for key in ("incidents", "budget", "within", "before")} == {
        "incidents": "call.fire",
        "budget": "6 per 12 h",
        "within": "300 m",
        "before": "2 h",
    }
    assert "after" not in asked, "what was not said is the node's own"


def test_mistakes_name_the_field_and_not_the_option_of_the_command(console: Callable[..., Page], node: Any) -> None:
    node.backtest_error = "--sweep: the rule has no number 'cluster.sorces'; did you mean 'cluster.sources'?"
    page = console("#rules")
    card = opened(page)
    card.get_by_role("button", name="Try", exact=True).click()
    expect(card.get_by_role("status")).to_have_text("“Try values of”: the rule has no number 'cluster.sorces'; did you mean 'cluster.sources'?")


@pytest.mark.parametrize(("theme", "size"), [("dark", (1280, 800)), ("light", (390, 844)), ("night", (1024, 768))])
def test_axe_finds_nothing_in_a_back_test(console: Callable[..., Page], theme: str, size: tuple[int, int]) -> None:
    page = console("#rules", theme=theme, size=size)
    sheet = tried(page)
    expect(sheet.locator("[data-places]")).to_be_attached()
    page.locator(".backtest summary").nth(1).click()
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen"
