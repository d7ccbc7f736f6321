"""What an operator does with an alert: choose, read why, acknowledge, undo; and what happens when two do it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_browser import over_the_queue
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
WORST = "00alarmthenfir"


def rows(page: Page) -> Any:
    return page.locator("#queue [role=treeitem]")


def choose(page: Page, text: str) -> None:
    rows(page).filter(has_text=text).first.click()
    expect(page.locator(".evidence tbody tr").first).to_be_visible()


def test_acknowledge_by_button_then_undo(console: Callable[..., Page], node: Any) -> None:
    page = console()
    expect(page.get_by_text("Queue · 4 unacknowledged")).to_be_visible()
    choose(page, "Automatic alarm")
    expect(page.locator(".why li")).to_have_count(3)
    page.get_by_label("Note").fill("Engine 2 asked")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")
    expect(page.get_by_text("Queue · 3 unacknowledged")).to_be_visible()
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Fire liaison")
    expect(page.locator(".history")).to_contain_text("“Engine 2 asked”")
    assert node.posted[-1] == {"to": "acknowledged", "by": "Fire liaison", "note": "Engine 2 asked", "owner": "Fire liaison", "revision": 1}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Queue · 4 unacknowledged")).to_be_visible()
    assert node.alert(WORST)["state"] == "open"


def test_acknowledge_by_keyboard_asks_who_is_on_duty_once(console: Callable[..., Page], node: Any) -> None:
    page = console(duty="")
    expect(rows(page).first).to_be_visible()  # before there are rows, a key has nothing to choose
    page.keyboard.press("j")
    expect(page.get_by_test_id("standing")).to_contain_text("New")
    page.keyboard.press("a")
    page.get_by_label("Duty", exact=True).fill("Night desk")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Night desk")
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")  # the step has ended: during one, another is not taken
    page.keyboard.press("i")
    expect(page.get_by_test_id("standing")).to_contain_text("In progress · Night desk")
    assert [body["to"] for body in node.posted] == ["acknowledged", "in_progress"]


def test_a_conflict_is_explained_and_changes_nothing(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    alert = node.alert(WORST)
    alert["state"], alert["owner"] = "resolved", "Somebody else"  # behind the console's back
    page.get_by_role("button", name="Acknowledge").click()
    notice = page.get_by_test_id("notice")
    expect(notice).to_contain_text("It is now: Resolved (Somebody else)")
    expect(notice).to_contain_text("cannot become acknowledged")
    expect(page.get_by_test_id("standing")).to_contain_text("Resolved")
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 409


def test_new_alerts_take_neither_choice_nor_map_nor_the_place_under_the_pointer(console: Callable[..., Page], node: Any) -> None:
    page = console(middle="map", size=(1000, 640))
    camera = page.locator("[data-camera]")
    expect(camera).to_be_attached()
    before = camera.get_attribute("data-camera")
    choose(page, "Smoke at a level")
    shown = rows(page).all_inner_texts()
    at = page.locator("#queue [aria-selected=true]").bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + 20, at["y"] + 8)
    node.new_alert(WORST, "fresh1", headline="A new fire far away", lon=-122.1, lat=47.9)
    waiting = page.get_by_role("button", name="1 new alert")
    over_the_queue(page, at["x"] + 20, at["y"] + 8, waiting)
    assert [text.split("\n")[0] for text in rows(page).all_inner_texts()] == [text.split("\n")[0] for text in shown]
    page.mouse.move(700, 20)
    expect(rows(page).first).to_contain_text("A new fire far away")
    expect(page.locator("#queue [aria-selected=true]")).to_contain_text("Smoke at a level")
    expect(page.get_by_role("button", name="A new fire far away")).to_be_visible()  # the arrow at the edge
    assert camera.get_attribute("data-camera") == before


def test_a_flood_of_one_rule_becomes_one_row(console: Callable[..., Page], node: Any) -> None:
    for number in range(12):
        node.new_alert("04medicalsurge", f"flood{number}", headline=f"Medical calls {number}")
    page = console()
    fold = rows(page).filter(has_text="Many medical calls in one place: 13 alerts")
    expect(fold).to_have_attribute("aria-expanded", "false")
    count = rows(page).count()
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(rows(page)).to_have_count(count + 13)
    expect(page.locator("#detail")).to_contain_text("13 alerts of one rule, folded into one line.")


def test_a_note_and_an_owner_stay_with_the_alert_beside_which_they_were_typed(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    page.get_by_label("Note").fill("caller says false alarm")
    page.get_by_label("Owner").fill("Engine 2")
    choose(page, "Smoke at a level")
    expect(page.get_by_label("Note")).to_have_value("")
    expect(page.get_by_label("Owner")).to_have_value("")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Fire liaison")
    assert "note" not in node.posted[-1]
    choose(page, "Automatic alarm")
    expect(page.get_by_label("Note")).to_have_value("caller says false alarm")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Engine 2")
    assert node.posted[-1] | {"revision": 1} == {
        "to": "acknowledged",
        "by": "Fire liaison",
        "note": "caller says false alarm",
        "owner": "Engine 2",
        "revision": 1,
    }
    expect(page.get_by_label("Note")).to_have_value("")


def test_what_is_taken_back_belongs_to_nobody_also_when_the_message_has_gone(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    page.keyboard.press("a")
    notice = page.get_by_test_id("notice")
    expect(notice).to_contain_text("Acknowledged")
    page.get_by_role("button", name="Close message").click()
    page.keyboard.press("u")
    expect(page.get_by_test_id("standing")).to_contain_text("New · nobody has it")
    assert (node.alert(WORST)["state"], node.alert(WORST)["owner"]) == ("open", None)


def test_what_somebody_else_has_moved_on_is_not_taken_back(console: Callable[..., Page], node: Any) -> None:
    page = console()
    page.keyboard.press("u")
    expect(page.get_by_test_id("notice")).to_contain_text("There is no step to take back")
    choose(page, "Automatic alarm")
    page.keyboard.press("a")
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")
    node.move(node.alert(WORST), "in_progress", "Battalion 4", "Battalion 4")
    expect(page.get_by_test_id("standing")).to_contain_text("In progress · Battalion 4")
    page.keyboard.press("u")
    expect(page.get_by_test_id("notice")).to_contain_text("There is no step to take back")
    assert [body["to"] for body in node.posted] == ["acknowledged"]


def test_an_alert_that_has_grown_is_taken_on_but_not_resolved_unseen(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    alert = node.alert(WORST)
    alert["revision"] += 1  # one more match, which the screen has not heard of yet
    page.get_by_role("group", name="Actions").get_by_role("button", name="Resolve").click()
    expect(page.get_by_test_id("notice")).to_contain_text("Look again and repeat the step")
    assert alert["state"] == "open"
    alert["revision"] += 1
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged")
    assert alert["state"] == "acknowledged"
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 409


def test_a_slow_answer_is_said_and_holds_up_no_other_alert(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    held: list[Any] = []
    page.route(f"**/alerts/{WORST}/transitions", lambda route: held.append(route))
    page.keyboard.press("a")
    expect(page.get_by_test_id("notice")).to_contain_text("Not kept yet")
    choose(page, "Smoke at a level")
    page.keyboard.press("a")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged")
    held[0].continue_()
    choose(page, "Automatic alarm")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged")


def test_on_a_phone_an_alert_that_is_touched_comes_into_sight(console: Callable[..., Page]) -> None:
    page = console(size=(390, 844))
    rows(page).filter(has_text="Automatic alarm").first.click()
    expect(page.locator("#detail h3")).to_be_in_viewport()
    expect(page.get_by_role("group", name="Actions")).to_be_in_viewport()


def test_an_undo_that_is_offered_works_on_every_screen(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    page.keyboard.press("a")
    expect(page.get_by_test_id("notice")).to_contain_text("Acknowledged")
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Feeds", exact=True)).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_test_id("notice")).to_contain_text("New")
    assert [body["to"] for body in node.posted] == ["acknowledged", "open"]


def test_who_comes_second_is_told_who_was_first(console: Callable[..., Page], node: Any) -> None:
    page = console()
    choose(page, "Automatic alarm")
    alert = node.alert(WORST)
    alert["state"], alert["owner"] = "acknowledged", "Battalion 4"  # behind the console's back
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_test_id("notice")).to_contain_text("Somebody else was first. It is now: Acknowledged (Battalion 4).")
    expect(page.get_by_test_id("standing")).to_contain_text("Acknowledged · Battalion 4")
    page.complaints.clear()  # type: ignore[attr-defined]  # the browser itself reports the 409
