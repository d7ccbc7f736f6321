"""One way to start the browser and to open the console in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

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
