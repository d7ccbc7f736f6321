"""The disk is full: what was acknowledged stays, what is not taken is said and tried again, nothing is doubled when there is room."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess

import pytest
from archive_world import Book, batch, keeper, plain, rows, spread

from tocsin.app import keep
from tocsin.archive import disk
from tocsin.archive.verify import verify


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tocsin-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path):
    with path.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(b"x" * 4096)
        except OSError:
            return


@pytest.mark.root
@pytest.mark.parametrize("reserve", [0, disk.RESERVE], ids=["to the last byte", "but for the reserve"])
async def test_a_full_disk_delays_history_and_loses_nothing(small_disk, reserve, monkeypatch):
    monkeypatch.setattr(disk, "RESERVE", reserve)
    kept, book, state = keeper(small_disk / "archive"), Book(), keep.State()
    for number in range(1, 4):
        book.entries.append((number, batch(spread(50, number))))
        kept.append(book.entries[-1:], number)
    fill(small_disk / "filler")
    with pytest.raises((OSError, sqlite3.Error)):
        kept.flush()
    assert plain(rows(kept.folder)) == book.expected()
    book.entries.append((4, batch(spread(3_000, 4))))
    waiting = asyncio.create_task(keep.patiently(state, lambda: kept.append(book.entries[-1:], 4)))
    async with asyncio.timeout(120):
        while state.delayed is None:
            await asyncio.sleep(0.01)
    assert "full" in state.delayed or "space" in state.delayed
    assert "tocsin_keep_delayed 1" in keep.metrics(state)
    assert kept.position == 3
    (small_disk / "filler").unlink()
    assert await waiting == 3_000
    assert state.delayed is None
    kept.flush()
    assert plain(rows(kept.folder)) == book.expected()
    assert verify(kept.catalog).sound
    kept.close()
