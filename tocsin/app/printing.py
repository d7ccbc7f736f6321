"""A page of HTML printed to PDF by the Chromium of this machine. A browser knows every script and font; a PDF library would bring its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tocsin.kernel.fault import Fatal

#: Names under which a Chromium is installed, and where it lies on systems that put it in no PATH.
NAMES: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "brave-browser",
    "chrome",
    "headless_shell",
)
PLACES: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/snap/bin/chromium",
)
SECONDS: Final = 120.0
_OPTIONS: Final = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a report loads nothing; this holds the browser to it
)


def chromium(environment: Mapping[str, str]) -> str:
    """Its path: `CHROMIUM` where that is set, else the first that is found. Raises Fatal."""
    named = environment.get("CHROMIUM")
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise Fatal(f"CHROMIUM={named!r} is no program that can be run; name one, or leave the variable away to have it looked for")
        return found
    for one in (*NAMES, *PLACES):
        if (found := shutil.which(one)) is not None:
            return found
    raise Fatal(
        f"a PDF is printed by Chromium, and none was found here: looked for {', '.join(NAMES)}; install one ('apt-get install chromium'), name it with "
        "CHROMIUM=/path/to/it, or write --html FILE and print that with any browser"
    )


def to_pdf(html: str, out: Path, browser: str) -> None:
    """Raises Fatal when the browser does not print."""
    with tempfile.TemporaryDirectory(prefix="tocsin-report-") as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(html, encoding="utf-8")
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root's sandbox; the page is our own and has no script
        argv = [browser, *_OPTIONS, *root, f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}", source.as_uri()]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Fatal(f"{browser} did not print within {SECONDS:g} s; write --html FILE and print that with any browser") from None
        if not made.is_file():
            words = done.stderr.strip().splitlines()[-1:] or [f"it ended with code {done.returncode}"]
            raise Fatal(f"{browser} did not print: {words[0]}; write --html FILE and print that with any browser")
        shutil.move(made, out)
