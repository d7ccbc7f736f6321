"""Screenshots of every screen for a person to look at.    python tests/console/shots.py OUT_DIR [NAME ...]"""

from __future__ import annotations

import sys
from pathlib import Path

from console_browser import open_browser, open_page
from fake_api import FakeNode, Served
from fake_family import CLOSED, OUTAGE, OVER, URGENT, add_family

CHOSEN = {"family-dark": OUTAGE, "family-light": OUTAGE, "family-child": URGENT, "family-phone": OUTAGE, "family-list": OVER}
SIZES = {"wide": (1600, 900), "desk": (1500, 900), "small": (1024, 768), "phone": (390, 844)}


def main() -> None:
    out, names = Path(sys.argv[1]), sys.argv[2:]
    out.mkdir(parents=True, exist_ok=True)
    with (
        open_browser() as browser,
        Served(FakeNode()) as plain,
        Served(FakeNode()) as family,
        Served(FakeNode(60, exercise=True)) as exercise,
        Served(FakeNode()) as practised,
    ):
        add_family(family.node)
        for name, url, size, theme, hash_, fixed in (
            ("live-dark", plain.url, "wide", "dark", "", False),
            ("live-light", plain.url, "wide", "light", "", False),
            ("live-night", plain.url, "wide", "night", "", False),
            ("exercise-fixed", exercise.url, "wide", "dark", "", True),
            ("live-1024", exercise.url, "small", "dark", "", False),
            ("live-phone", exercise.url, "phone", "dark", "", False),
            ("list", plain.url, "wide", "light", "", False),
            ("list-dark", plain.url, "desk", "dark", "", False),
            ("list-phone", plain.url, "phone", "dark", "", False),
            ("outside-dark", family.url, "wide", "dark", "", False),
            ("outside-light", family.url, "desk", "light", "", False),
            ("settings-dark", plain.url, "wide", "dark", "", False),
            ("settings-phone", plain.url, "phone", "light", "", False),
            ("explain-dark", plain.url, "desk", "dark", "", False),
            ("explain-light", plain.url, "desk", "light", "", False),
            ("explain-phone", plain.url, "phone", "light", "", False),
            ("family-dark", family.url, "desk", "dark", "", False),
            ("family-light", family.url, "desk", "light", "", False),
            ("family-child", family.url, "desk", "dark", "", False),
            ("family-closed", family.url, "desk", "dark", "", False),
            ("family-phone", family.url, "phone", "dark", "", False),
            ("family-list", family.url, "desk", "light", "", False),
            ("feeds", plain.url, "wide", "dark", "#feeds", False),
            ("replay-dark", plain.url, "wide", "dark", "", False),
            ("replay-light", plain.url, "desk", "light", "", False),
            ("replay-phone", plain.url, "phone", "dark", "", False),
            ("investigate-dark", plain.url, "wide", "dark", "#investigate", False),
            ("investigate-light", plain.url, "desk", "light", "#investigate", False),
            ("around-dark", plain.url, "desk", "dark", "", False),
            ("analytics-dark", plain.url, "desk", "dark", "#analytics", False),
            ("analytics-light", plain.url, "desk", "light", "#analytics", False),
            ("exercise-dark", practised.url, "desk", "dark", "#exercises", False),
            ("exercise-light", practised.url, "desk", "light", "", False),
            ("rules", plain.url, "wide", "light", "#rules", False),
        ):
            if names and name not in names:
                continue
            page = open_page(browser, url + hash_, SIZES[size], theme, middle="list" if "list" in name else "map")
            if name.startswith("replay"):
                page.get_by_test_id("scrub").focus()
                for _ in range(4):
                    page.keyboard.press("PageDown")
                page.get_by_test_id("replay-here").click()
                page.get_by_test_id("replay").wait_for()
            if name == "exercise-dark":
                page.get_by_role("button", name="Begin").click()
                page.get_by_role("button", name="Warehouse fire").click()
                page.get_by_test_id("score").wait_for()
            if hash_ == "#investigate":
                page.get_by_role("button", name="Ask").click()
                page.locator(".findings .found tbody tr").nth(2).get_by_role("button").first.click()
                page.wait_for_timeout(2500)
            if hash_ == "#analytics":
                page.get_by_role("button", name="Ask").last.click()
                page.wait_for_timeout(800)
            if not hash_:
                page.locator(f"#alert-{CHOSEN[name]}" if name in CHOSEN else "#queue [role=treeitem]").first.click()
                page.wait_for_selector(".evidence")
                if name == "family-light":
                    page.get_by_test_id("context").scroll_into_view_if_needed()
                if name == "family-child":
                    page.get_by_test_id("under").click()
                    page.locator("#alert-child-corson").click()
                if name == "family-closed":
                    page.get_by_role("button", name="Show resolved").click()
                    page.locator(f"#alert-{CLOSED}").click()
                if name.startswith("list"):
                    page.get_by_role("button", name="Layers").click()
                    page.get_by_role("checkbox", name="Fire stations").check()
                    page.keyboard.press("Escape")
                    page.locator(".listview tr").filter(has_text="SFD 10").wait_for()
                if "list" not in name:
                    page.wait_for_selector("[data-testid=map] canvas")
                    page.wait_for_timeout(2500)
            if name.startswith("explain"):
                page.get_by_role("button", name="Check every clause").click()
                page.get_by_text("Why did it not ring?").click()
                page.get_by_role("button", name="Ask about").click()
                page.locator(".whynot [data-testid=answer]").scroll_into_view_if_needed()
                page.get_by_role("button", name="Ask about").scroll_into_view_if_needed()
            if name.startswith("outside"):
                for _ in range(3):
                    page.get_by_role("button", name="Zoom in").click()
                    page.wait_for_timeout(400)
                page.wait_for_timeout(1500)
            if name.startswith("settings"):
                page.get_by_test_id("sound").click()
                page.get_by_role("button", name="Settings").click()
                page.get_by_role("checkbox", name="Date-time group").check()
                page.wait_for_timeout(1200)
            if fixed:
                page.get_by_test_id("scrub").focus()
                for _ in range(3):
                    page.keyboard.press("PageDown")
                page.wait_for_timeout(1500)
            if name.startswith("around"):
                page.get_by_role("button", name="Around this").click()
                page.locator(".findings .found tbody tr").first.wait_for()
                page.wait_for_timeout(2500)
            page.screenshot(path=out / f"{name}.png", full_page=size == "phone" or name.startswith("analytics"))
            page.context.close()


if __name__ == "__main__":
    main()
