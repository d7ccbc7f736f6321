"""The disk of a whole node fills up: senders are told to come again, nothing acknowledged is lost, it goes on when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .node_world import Node, last_json, ndjson, reading, replayed, running, tocsin, write_city

pytestmark = pytest.mark.root
ROWS = 300


LEFT = 6 << 20  # enough for the journal, less than what history must leave free of a disk of 160 MB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tocsin-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def pair(number: int) -> bytes:
    """Two sensors that confirm each other, and enough harmless readings that the batch needs new pages on the disk."""
    place = 2_000.0 * number
    harmless = [reading(f"{number}x{row}", f"x{row}", 1, place + 900) for row in range(ROWS)]
    return ndjson(reading(f"{number}a", "a", 200, place), reading(f"{number}b", "b", 300, place + 50), *harmless)


def take_all(filler: Path) -> None:
    with filler.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)


def refused(node: Node, number: int, taken: list[bytes]) -> httpx.Response:
    """The first answer that is no acknowledgement. What the disk just had room for is acknowledged still, and `taken`."""
    for attempt in range(20):
        body = pair(number + attempt)
        answer = node.post(body)
        if answer.status_code != 202:
            return answer
        taken.append(body)
    raise AssertionError("the disk never filled")


def history_gives_way(node: Node, filler: Path) -> list[bytes]:
    """Long before the journal is refused anything, the archive stops writing; it says so everywhere, and catches up. What was acknowledged meanwhile."""

    def told() -> dict[str, Any]:
        return node.get("/api/v1/status")["archive"]  # type: ignore[no-any-return]

    node.eventually("kept", lambda: told()["rows"] == 3 * (ROWS + 2))
    free = os.statvfs(filler.parent)
    filler.write_bytes(b"x" * (free.f_bavail * free.f_frsize - LEFT))
    bodies = [pair(3), pair(4)]
    for body in bodies:
        assert node.post(body).status_code == 202, "the journal has room"
    for number in (3, 4):
        node.alert_near(2_000.0 * number)
    node.eventually("it is said", lambda: told()["state"] == "delayed" and told()["behind"] >= 2)
    words = told()["words"]
    assert words.startswith("history is delayed: ") and "kept for the journal and the alerts" in words
    assert "\ntocsin_keep_delayed 1\n" in httpx.get(node.http + "/metrics", timeout=60).text
    assert told()["rows"] == 3 * (ROWS + 2), "and not written"
    filler.unlink()
    node.eventually("caught up", lambda: told()["state"] == "kept" and told()["rows"] == 5 * (ROWS + 2))
    assert "\ntocsin_keep_delayed 0\n" in httpx.get(node.http + "/metrics", timeout=60).text
    return bodies


def test_a_full_disk_costs_nothing_that_was_acknowledged(small_disk: Path, tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city"), small_disk / "data"
    with running(city, data) as node:
        taken = [pair(number) for number in range(3)]
        for body in taken:
            assert node.post(body).status_code == 202
        for number in range(3):
            node.alert_near(2_000.0 * number)
        taken += history_gives_way(node, small_disk / "most of it")
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            take_all(filler)
        answer = refused(node, 100, taken)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["title"] == "Service unavailable"
        assert answer.json()["detail"]
        filler.unlink()
        for number in range(5, 8):
            taken.append(pair(number))
            assert node.post_until_taken(taken[-1]).status_code == 202
        for number in range(8):
            node.alert_near(2_000.0 * number)
        node.eventually("ready again", lambda: httpx.get(node.http + "/readyz", timeout=10).status_code == 200)
        for body in taken:  # known still, so they are still there
            again = node.post(body).json()
            assert (again["accepted"], again["duplicates"]) == (0, ROWS + 2)
    assert replayed(city, data)["equal"]
    checked = tocsin("archive", "verify", city, "--data", data, "--json")
    assert (checked.returncode, last_json(checked)["sound"]) == (0, True), checked.stdout
