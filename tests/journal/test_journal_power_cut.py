"""Power cuts: a file system that drops everything not yet on disk. What was acknowledged is there afterwards.

XFS in a file, mounted through a loop device; `xfs_io -x -c shutdown` throws away every page and log record that was not
synced. The negative control runs the server's own default (sync every two minutes) and must lose data, or this test is blind.
"""

import asyncio
import subprocess

import pytest
from journal_world import batch, entries, freeze, ids, world

ENOUGH = 21  # acknowledged before each cut
pytestmark = [pytest.mark.root, pytest.mark.crash]


class CutDisk:
    """A mounted XFS image whose power can be cut."""

    def __init__(self, folder):
        self.image = folder / "disk.img"
        self.mount = folder / "mnt"
        self.mount.mkdir()
        with self.image.open("wb") as out:
            out.truncate(320 << 20)
        subprocess.run(["mkfs.xfs", "-q", "-f", self.image], check=True)
        self.on()

    def on(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def cut(self):
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", self.mount], check=True, capture_output=True)

    def off(self):
        subprocess.run(["umount", self.mount], check=True)


@pytest.fixture
def disk(tmp_path):
    built = CutDisk(tmp_path)
    yield built
    built.off()


async def publish_until_cut(disk, seconds, acked, start, **options):
    """Publishes from several feeds, cuts the power after a while, kills the server; `acked`: first id -> seq.

    A power cut stops the server in the same moment. Left running, it may get a success from an fsync that raced with the
    shutdown call (seen: one entry in 2 of 200 cuts), which no power cut can do."""
    number, enough = start, len(acked) + ENOUGH
    async with world(disk.mount / "data", marks=False, patience=30.0, **options) as (server, journal, writer):

        async def publish(feed):
            nonlocal number
            while True:
                mine, number = number, number + 1
                acked[f"e{mine * 3}"] = await writer.append(feed, batch(3, start=mine * 3), 1)

        tasks = [asyncio.create_task(publish(f"f{i}")) for i in range(4)]
        await asyncio.sleep(seconds)
        async with asyncio.timeout(60):
            while len(acked) < enough:  # some hundred on an idle machine
                await asyncio.sleep(0.01)
        freeze(server.process.pid)
        await asyncio.to_thread(disk.cut)
        server.process.kill()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()  # nothing is waited for any more
    return number


async def stored(disk):
    async with world(disk.mount / "data", marks=False) as (_, journal, _writer):
        return {ids(entry)[0]: entry.seq << 20 for entry in await entries(journal)}


async def test_acknowledged_events_survive_power_cuts(disk):
    acked, number = {}, 0
    for cut in range(3):
        number = await publish_until_cut(disk, 0.4 + 0.13 * cut, acked, number)
        disk.off()
        disk.on()
        found = await stored(disk)
        assert acked.items() <= found.items()


async def test_the_harness_sees_a_server_that_does_not_sync(disk):
    acked = {}
    await publish_until_cut(disk, 0.6, acked, 0, sync='"2m"')
    disk.off()
    disk.on()
    found = await stored(disk)
    assert len(acked.keys() - found.keys()) > len(acked) // 2
