"""A full disk: callers are told in words to try again, nothing acknowledged is lost, it goes on when there is room."""

import asyncio
import subprocess

import pytest
from journal_world import batch, entries, ids, world

from tocsin.kernel.fault import Retriable

pytestmark = pytest.mark.root
ROWS = 3000


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tocsin-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


async def fill_up(writer, acked, start=0):
    """Appends until refused; returns the refusal. `acked`: first id -> seq."""
    for number in range(start, 2000):
        name = f"e{number * ROWS}"
        try:
            acked[name] = await writer.append("f", batch(ROWS, start=number * ROWS), 1)
        except Retriable as refusal:
            return refusal
    raise AssertionError("the disk never filled")


async def keep_trying(writer, number):
    async with asyncio.timeout(120):
        while True:
            try:
                return await writer.append("f", batch(ROWS, start=number * ROWS), 1)
            except Retriable:
                await asyncio.sleep(0.1)


def take_all(filler):
    with filler.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)


def enlarge(folder):
    subprocess.run(["mount", "-o", "remount,size=96m", folder], check=True)


async def verify(journal, acked):
    stored = [(entry.seq << 20, ids(entry)[0]) for entry in await entries(journal)]
    assert dict(acked.items()).items() <= {name: seq for seq, name in stored}.items()
    names = [name for _, name in stored]
    assert len(names) == len(set(names))


async def test_the_journal_stops_at_its_share_of_the_disk(small_disk, monkeypatch):
    monkeypatch.setattr("tocsin.journal.watchdog.CHECK_SECONDS", 0.2)
    async with world(small_disk, watch=True, patience=5.0) as (server, journal, writer):
        acked = {}
        refusal = await fill_up(writer, acked)
        assert "disk space is used up" in str(refusal)
        assert len(acked) > 3
        assert server.restarts == 0
        await verify(journal, acked)
        enlarge(small_disk)
        acked["e5700000"] = await keep_trying(writer, 1900)
        assert server.restarts == 1
        await verify(journal, acked)


async def test_somebody_else_fills_the_disk(small_disk, monkeypatch):
    """A failed write silences nats-server's stream for good: it is started again, refuses in words, and goes on later."""
    monkeypatch.setattr("tocsin.journal.watchdog.CHECK_SECONDS", 0.2)
    async with world(small_disk, watch=True, patience=5.0) as (server, journal, writer):
        acked = {}
        acked["e0"] = await writer.append("f", batch(ROWS), 1)
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            take_all(filler)
        refusal = await fill_up(writer, acked, start=1)
        assert "disk" in str(refusal)
        async with asyncio.timeout(60):
            while not server.restarts:
                await asyncio.sleep(0.02)
        await verify(journal, acked)
        filler.unlink()
        acked["e5700000"] = await keep_trying(writer, 1900)
        await verify(journal, acked)
