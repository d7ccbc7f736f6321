"""One way to start the browser and to open the console in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        try:
            yield browser
        finally:
            browser.close()


def until(page: Page, holds: str, argument: object = None, seconds: float = 30.0) -> None:
    """Waits until a function in the page is true: what it looks at may be drawn anew between two questions from outside."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(holds, argument):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {seconds:g} s: {holds}")
        page.wait_for_timeout(50)


def eventually(page: Page, what: str, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer about something outside the page, what the node was asked or told say; the page goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        page.wait_for_timeout(50)
    return found


def over_the_queue(page: Page, x: float, y: float, wanted: Locator, seconds: float = 60.0) -> None:
    """Moves the pointer to and fro until something is seen: the queue waits for a pointer that is about to click, and not for one that rests."""
    deadline, step = time.monotonic() + seconds, 0
    while not wanted.is_visible():
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen within {seconds:g} s: {wanted}")
        page.mouse.move(x + step % 2, y)
        page.wait_for_timeout(50)
        step += 1


def _matters(message: ConsoleMessage) -> bool:
    """Errors and warnings of the page, not the software renderer's remarks on its own speed."""
    return message.type in ("error", "warning") and "GL Driver Message" not in message.text


def open_page(
    browser: Browser,
    url: str,
    size: tuple[int, int] = (1280, 800),
    theme: str = "dark",
    duty: str = "Fire liaison",
    middle: str = "map",
) -> Page:
    """A fresh profile with the choices an operator made before; `page.external` and `page.complaints` collect what must stay empty."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce", locale="en-US")
    context.set_default_timeout(60_000)  # for a machine that does much else
    choices = {"tocsin.theme": theme, "tocsin.middle": middle} | ({"tocsin.duty": duty} if duty else {})
    # only where nothing was chosen yet: a reload must find what the page itself stored
    context.add_init_script(
        f"for (const [k, v] of Object.entries({json.dumps(choices)})) if (localStorage.getItem(k) === null) localStorage.setItem(k, v)"
    )
    page = context.new_page()
    external: list[str] = []
    complaints: list[str] = []
    own = (url.partition("#")[0], "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else external.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if _matters(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.external, page.complaints = external, complaints  # type: ignore[attr-defined]
    page.goto(url)
    return page
