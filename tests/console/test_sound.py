"""The sound of new alerts and the settings of the screen: off until asked for, heard by severity, kept over a reload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_browser import eventually
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

#: What the page plays is written down instead: the start of every tone, with its pitch. The clock of repeats can be moved.
LISTEN = """() => {
  if (window.tones) return
  window.tones = []
  window.ahead = 0
  const real = performance.now.bind(performance)
  performance.now = () => real() + window.ahead
  const ramp = { value: 0, setValueAtTime() {}, linearRampToValueAtTime() {} }
  window.AudioContext = class {
    state = 'suspended'
    currentTime = 0
    destination = {}
    async resume() { this.state = 'running' }
    async suspend() { this.state = 'suspended' }
    createGain() { return { gain: ramp, connect() { return this } } }
    createOscillator() {
      const tone = { frequency: { value: 0 }, connect: (next) => next, stop() {}, start() { window.tones.push(tone.frequency.value) } }
      return tone
    }
  }
}"""
URGENT = [880, 660, 880, 660, 880, 660]
TRIED = [440]


def tones(page: Page) -> list[int]:
    return list(page.evaluate("() => window.tones"))


def heard(page: Page, wanted: list[int]) -> None:
    eventually(page, f"{wanted} was heard, not {tones(page)}", lambda: tones(page) == wanted, 30.0)
    page.evaluate("() => { window.tones.length = 0 }")


def later(page: Page, steps: int) -> None:
    """Four seconds a step, and the time for a frame of the node between: the link must not look lost."""
    for _ in range(steps):
        page.evaluate("() => { window.ahead += 4_000 }")
        before = page.get_by_test_id("clock").inner_text()
        eventually(page, "a frame has come", lambda before=before: page.get_by_test_id("clock").inner_text() != before, 30.0)
        page.wait_for_timeout(1_000)


def listening(console: Callable[..., Page], node: Any, without_urgent: bool = True) -> Page:
    if without_urgent:
        node.move(node.alert("00alarmthenfir"), "acknowledged", "Fire liaison")
    page = console()
    page.evaluate(LISTEN)
    expect(page.locator("#queue [role=treeitem]").first).to_be_visible()
    return page


def test_nothing_is_heard_before_sound_is_switched_on_and_then_once_by_severity(console: Callable[..., Page], node: Any) -> None:
    page = listening(console, node)
    button = page.get_by_test_id("sound")
    expect(button).to_have_text("Sound off")
    node.new_alert("04medicalsurge", "unheard", headline="Before anybody listened")
    expect(page.locator("#queue")).to_contain_text("Before anybody listened")
    assert tones(page) == []
    button.click()
    expect(button).to_have_text("Sound on")
    heard(page, TRIED)
    node.new_alert("04medicalsurge", "second", headline="A second surge")
    heard(page, [740, 740])
    page.keyboard.press("s")
    expect(button).to_have_text("Sound off")
    node.new_alert("00alarmthenfir", "first", headline="A fire nobody hears")
    expect(page.locator("#queue")).to_contain_text("A fire nobody hears")
    page.wait_for_timeout(1_200)  # a look and more
    assert tones(page) == []


def test_severity_1_is_repeated_until_somebody_has_it(console: Callable[..., Page], node: Any) -> None:
    page = listening(console, node, without_urgent=False)
    page.get_by_test_id("sound").click()
    heard(page, [*TRIED, *URGENT])
    later(page, 5)
    assert tones(page) == []
    later(page, 10)
    heard(page, URGENT)
    node.move(node.alert("00alarmthenfir"), "acknowledged", "Fire liaison")
    expect(page.get_by_text("Queue · 3 unacknowledged")).to_be_visible()
    later(page, 15)
    assert tones(page) == []


def test_sound_is_kept_and_says_that_it_waits_for_the_browser(console: Callable[..., Page], node: Any) -> None:
    page = listening(console, node)
    page.get_by_test_id("sound").click()
    heard(page, TRIED)
    page.add_init_script(f"({LISTEN})()")
    page.reload()
    expect(page.get_by_test_id("sound")).to_have_text("Sound waits for a click")
    node.new_alert("00alarmthenfir", "first", headline="A fire before the first click")
    expect(page.locator("#queue")).to_contain_text("A fire before the first click")
    assert tones(page) == []
    page.get_by_role("heading", name="Queue").click()  # anywhere
    expect(page.get_by_test_id("sound")).to_have_text("Sound on")
    heard(page, URGENT)


def test_units_and_the_date_time_group_are_chosen_and_kept(console: Callable[..., Page]) -> None:
    page = console()
    page.locator("#alert-00alarmthenfir").click()
    distances = page.locator(".evidence").first
    expect(distances).to_contain_text(" m")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Imperial").check()
    page.get_by_role("checkbox", name="Date-time group").check()
    expect(distances).to_contain_text(" mi")
    expect(page.get_by_test_id("dtg")).to_have_text("050440Z JUL 17")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.get_by_test_id("dtg")).to_contain_text("Z JUL 17")
    page.locator("#alert-00alarmthenfir").click()
    expect(distances).to_contain_text(" mi")
    expect(page.locator(".detail dl")).to_contain_text("JUL 17")
