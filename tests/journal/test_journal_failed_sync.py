"""An fsync that fails is never an acknowledgement."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from journal_world import batch, entries, ids, world

from tocsin.journal import Unsettled

pytestmark = [pytest.mark.root, pytest.mark.crash]


async def test_a_failed_fsync_is_not_acknowledged_and_the_server_is_replaced(tmp_path, monkeypatch):
    """strace makes every fsync of the server fail with EIO; the watchdog starts another, which strace does not hold."""
    monkeypatch.setattr("tocsin.journal.watchdog.HEALTHY_SECONDS", 0.0)
    async with world(tmp_path, patience=60.0) as (server, journal, writer):
        await writer.append("f", batch(1), 1)
        inject = ["strace", "-f", "-qq", "-o", tmp_path / "trace", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]
        with subprocess.Popen([*inject, "-p", str(server.pid)]) as tracer:
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(_held, server.pid, tracer.pid):
                    await asyncio.sleep(0.02)
            writer.patience = 1.0
            with pytest.raises(Unsettled) as caught:
                await writer.append("f", batch(1, start=1), 1)
            assert caught.value.in_doubt
            writer.patience = 60.0
            watch = asyncio.create_task(server.watch())
            async with asyncio.timeout(60):
                while not (server.restarts and journal.connected):
                    await asyncio.sleep(0.02)
        assert "EIO" in (tmp_path / "trace").read_text()
        await writer.append("f", batch(1, start=2), 1)
        names = [name for entry in await entries(journal) for name in ids(entry)]
        assert names == ["e0", "e1", "e2"]
        watch.cancel()


def _held(pid, tracer):
    """Every thread is: strace takes one after the other, and whichever may be the one that syncs."""
    try:
        return all(f"TracerPid:\t{tracer}\n" in path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    except OSError:  # a thread has ended meanwhile
        return False
