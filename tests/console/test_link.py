"""The connection: lost and said so, resumed where it broke; nothing leaves the machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from console_browser import eventually
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
WORST = "00alarmthenfir"


def test_a_broken_stream_resumes_with_the_last_id_and_misses_nothing(console: Callable[..., Page], node: Any) -> None:
    page = console()
    expect(page.locator("#queue [role=treeitem]").first).to_be_visible()
    eventually(page, "the stream", lambda: node.resumed)  # list and stream are there: what is new comes by the stream, and moves its id
    node.new_alert(WORST, "before", headline="Before the break")
    expect(page.locator("#queue")).to_contain_text("Before the break")
    seen = node.alert_seq
    node.refuse = True
    node.drop_streams()
    node.new_alert(WORST, "during", headline="During the break")
    page.wait_for_timeout(300)
    node.refuse = False
    expect(page.locator("#queue")).to_contain_text("During the break")
    assert node.resumed[0] == ""
    assert node.resumed[-1].split(".")[0] == str(seen)
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 503


def test_what_rings_between_the_list_and_the_stream_is_missed_by_neither(console: Callable[..., Page], node: Any) -> None:
    node.refuse = True
    page = console()
    expect(page.locator("#queue [role=treeitem]").first).to_be_visible()
    node.new_alert(WORST, "between", headline="Between the list and the stream")
    node.refuse = False
    expect(page.locator("#queue")).to_contain_text("Between the list and the stream")
    assert node.resumed[0] == ""
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 503


def test_silence_is_said_within_seconds_and_taken_back(console: Callable[..., Page], node: Any) -> None:
    page = console()
    expect(page.get_by_test_id("lost")).to_have_count(0)
    node.mute = True
    banner = page.get_by_test_id("lost")
    expect(banner).to_contain_text("Connection lost")
    stopped = page.get_by_test_id("clock").inner_text()
    expect(banner).to_contain_text(re.compile(r"You see what was known at 21:4\d"))  # 21:40, and later on a slow machine
    said = banner.get_by_role("alert").inner_text()
    page.wait_for_timeout(1200)
    assert page.get_by_test_id("clock").inner_text() == stopped  # the clock does not pretend
    assert banner.get_by_role("alert").inner_text() == said  # read out once, not every second
    node.mute = False
    expect(banner).to_have_count(0)


def test_first_load_failure_offers_another_try(browser: Any, node: Any) -> None:
    from console_browser import open_page

    node.refuse = True  # a stream that opens would have everything asked for again
    page = open_page(browser, node.url, middle="list")
    page.route("**/api/v1/status", lambda route: route.fulfill(status=500, body="{}"))
    page.reload()
    expect(page.get_by_text("The node does not answer.")).to_be_visible()
    page.unroute("**/api/v1/status")
    page.get_by_role("button", name="Try again").click()
    page.get_by_test_id("clock").wait_for()
    page.context.close()


def test_a_node_of_which_a_part_is_down_does_not_look_live(console: Callable[..., Page], node: Any) -> None:
    page = console()
    expect(page.get_by_test_id("mode")).to_have_text("Live")
    node.troubles = ["new alerts do not ring: correlate, which finds them, does not answer"]
    banner = page.get_by_test_id("troubles")
    expect(banner).to_contain_text("New alerts do not ring: correlate, which finds them, does not answer.")
    expect(page.get_by_test_id("mode")).to_have_text("Live in part")
    node.troubles = []
    expect(banner).to_have_count(0)
    expect(page.get_by_test_id("mode")).to_have_text("Live")
