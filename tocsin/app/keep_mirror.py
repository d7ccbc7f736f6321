"""What keep does about the archive's mirror: a process of its own brings it up to date after every publication; it may fail, hang or be killed, and nothing waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tocsin.archive.catalog import Catalog
from tocsin.kernel.backoff import Backoff
from tocsin.model.mirror import Mirror
from tocsin.model.time import SECOND, to_iso

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0  # between two looks at whether there is anything new
ENDING_SECONDS: Final = 5.0  # for the process to end when keep does
_COUNTED: Final = ("files", "bytes", "removed")


@dataclass(slots=True)
class MirrorState:
    """What is told of the mirror. `to`: empty while the city declares none. `delayed`: why it is behind, None while it is not; `published`: wall clock µs,
    0: not by this process yet; `words`: what people must know although it is up to date."""

    to: str = ""
    runs: int = 0
    failures: int = 0
    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    leaving: int = 0
    undead: int = 0
    damaged: int = 0
    published: int = 0
    delayed: str | None = None
    words: str = ""

    def as_json(self) -> dict[str, Any] | None:
        if not self.to:
            return None
        return {
            "to": self.to,
            "published": to_iso(self.published) if self.published else None,
            "failures": self.failures,
            "delayed": self.delayed,
            "words": self.words,
            "undead": self.undead,
            "damaged": self.damaged,
            "leaving": self.leaving,
        }

    def metrics(self) -> list[tuple[str, str, str, float]]:
        """Name, kind, words, value."""
        if not self.to:
            return []
        return [
            ("mirror_runs_total", "counter", "Times the mirror was brought up to date.", self.runs),
            ("mirror_failures_total", "counter", "Times that did not succeed.", self.failures),
            ("mirror_sent_files_total", "counter", "Files sent to the mirror.", self.sent["files"]),
            ("mirror_sent_bytes_total", "counter", "Their bytes.", self.sent["bytes"]),
            ("mirror_removed_objects_total", "counter", "Objects removed from the mirror.", self.sent["removed"]),
            ("mirror_unremoved_objects", "gauge", "Objects that ought to be gone and cannot be removed.", self.undead),
            ("mirror_damaged_files", "gauge", "Files that are not in the mirror because they are damaged here.", self.damaged),
            ("mirror_delayed", "gauge", "1 while the mirror cannot be brought up to date.", float(self.delayed is not None)),
            ("mirror_published_timestamp_seconds", "gauge", "When the mirror was last brought up to date.", self.published / SECOND),
        ]


async def mirror(catalog: Catalog, city: Path, data: Path, wanted: Callable[[], Mirror | None], state: MirrorState) -> None:
    """For ever, or until cancelled. `wanted`: what the city that is in force declares."""
    backoff, done, due = Backoff(base=5.0, cap=300.0), None, 0.0
    try:
        while True:
            asked = wanted()
            state.to = "" if asked is None else asked.to.place
            now = time.monotonic()
            mark = None if asked is None else await asyncio.to_thread(_mark, catalog, asked)
            if asked is None or now < due or (mark == done and not (state.leaving and now > due + asked.grace / SECOND)):
                await asyncio.sleep(LOOK_SECONDS)
                continue
            if await _once(city, data, asked, state):
                backoff.reset()
                done, due = mark, time.monotonic() + asked.every / SECOND
            else:
                due = time.monotonic() + backoff.next()
    finally:
        state.to = ""


def _mark(catalog: Catalog, asked: Mirror) -> tuple[object, ...] | None:
    """Changes when something is published. None while that cannot be told: then it is sent again."""
    try:
        newest = catalog.connection.execute("SELECT max(id) FROM file").fetchone()[0]
        record = catalog.connection.execute("SELECT max(id) FROM tombstone").fetchone()[0]
        return asked, catalog.get("position"), catalog.get("generation"), newest, record
    except (OSError, sqlite3.Error):
        return None


async def _once(city: Path, data: Path, asked: Mirror, state: MirrorState) -> bool:
    """Whether it succeeded."""
    code, said, why = await _process(command(city, data, asked))
    state.runs += 1
    found = _told(said) if code in (0, 1) else None
    if found is None:
        state.failures += 1
        if state.delayed is None:
            log.error("the mirror is delayed: %s; trying again", why)
        state.delayed = why
        return False
    if state.delayed is not None:
        log.info("the mirror goes on")
    state.delayed, state.published = None, time.time_ns() // 1000
    for name in _COUNTED:
        state.sent[name] += int(found[name])
    state.leaving, state.undead, state.damaged = int(found["leaving"]), len(found["undead"]), len(found["damaged"])
    words = "the bucket keeps versions, so what is removed stays there as a former version; " if found["versions"] else ""
    words += f"{state.undead} objects ought to be gone and cannot be removed; " if state.undead else ""
    words += f"{state.damaged} damaged files were not sent; " if state.damaged else ""
    if (words := words.removesuffix("; ")) and words != state.words:
        log.warning("mirror: %s; 'tocsin archive mirror' says more", words)
    state.words = words
    return True


def command(city: Path, data: Path, asked: Mirror) -> list[str]:
    """`tocsin archive mirror` as a process that ends with its parent."""
    grace = f"{asked.grace // 1000} ms"
    return [sys.executable, "-m", "tocsin.app.mirroring", str(city), asked.to.text, "--data", str(data), "--grace", grace, "--json"]


async def _process(words: list[str]) -> tuple[int, bytes, str]:
    """Its exit status, what it printed, and the last line of what it said was wrong."""
    try:
        child = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as fault:
        return 2, b"", str(fault)
    try:
        out, wrong = await child.communicate()
    except asyncio.CancelledError:
        await _end(child)
        raise
    lines = wrong.decode(errors="replace").strip().splitlines()
    why = lines[-1].removeprefix("tocsin archive: ") if lines else f"its process ended with status {child.returncode}"
    return child.returncode or 0, out, why


async def _end(child: asyncio.subprocess.Process) -> None:
    """It may be killed at any time."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _told(said: bytes) -> dict[str, Any] | None:
    """The last line it printed; None when that is not what it should be."""
    try:
        found = json.loads(said.decode().strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return found if isinstance(found, dict) and {"leaving", "undead", "damaged", "versions", *_COUNTED} <= found.keys() else None
