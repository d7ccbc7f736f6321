"""kill -9, freezes and reconnects: nothing acknowledged is lost, nothing is stored twice, readers miss nothing."""

import asyncio
import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from journal_world import batch, entries, freeze, ids, murder, world

from tocsin.journal import EventWriter, Unsettled, read
from tocsin.journal.link import Lost
from tocsin.kernel import durable
from tocsin.kernel.clock import Clock, Monotone
from tocsin.kernel.fault import Fatal
from tocsin.model.ids import split_seq

KILLS = 6


@pytest.mark.crash
async def test_no_acknowledged_event_is_lost_or_doubled_over_many_kills(tmp_path):
    acked: dict[str, int] = {}
    followed: list[int] = []
    numbers = itertools.count()
    rng = random.Random(5)
    async with world(tmp_path, watch=True, patience=120.0) as (server, journal, writer):
        stop = asyncio.Event()

        async def publish(feed: str) -> None:
            while not stop.is_set():
                number = next(numbers)
                seq = await writer.append(feed, batch(2, start=2 * number), 1)
                acked[f"e{2 * number}"] = seq

        async def follow() -> None:
            async for entry in read(journal, 1):
                followed.append(entry.seq)

        publishers = [asyncio.create_task(publish(f"f{i % 4}")) for i in range(8)]
        follower = asyncio.create_task(follow())
        for kill in range(KILLS):
            await asyncio.sleep(rng.uniform(0.1, 0.4))
            await murder(server)
            async with asyncio.timeout(60):
                while server.restarts <= kill or not journal.connected:
                    await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*publishers)
        stored = {}
        for entry in await entries(journal):
            for row, name in enumerate(ids(entry)):
                assert name not in stored
                stored[name] = (entry.seq, row)
        assert len(acked) > KILLS
        assert {name: split_seq(seq) for name, seq in acked.items()} == {name: stored[name] for name in acked}
        last = (await journal.state()).last
        async with asyncio.timeout(60):
            while len(followed) < last:
                await asyncio.sleep(0.01)
        follower.cancel()
        assert followed == list(range(1, last + 1))
        assert journal.counters.rewinds == 0


@pytest.mark.crash
async def test_an_entry_in_doubt_is_settled_and_its_second_delivery_recognised(tmp_path):
    """The server is frozen while an entry is under way: the caller is told to try again, and does."""
    settled = []
    async with world(tmp_path) as (server, journal, _writer):
        writer = EventWriter(
            journal, "r", Monotone(Clock()), patience=60, on_settled=lambda feed, events, seq: settled.append((feed, len(events), seq))
        )
        await writer.append("f", batch(3), 1)
        freeze(server.process.pid)
        writer.patience = 0.5
        with pytest.raises(Unsettled) as caught:
            await writer.append("f", batch(3, start=3), 1)
        assert caught.value.in_doubt
        writer.patience = 60
        os.kill(server.process.pid, signal.SIGCONT)
        again = await writer.append("f", batch(3, start=3), 1)
        mixed = await writer.append("f", batch(4, start=5), 1)
        found = await entries(journal)
        assert [name for entry in found for name in ids(entry)] == [f"e{i}" for i in range(9)]
        assert settled == [("f", 3, 2 << 20)]
        assert split_seq(again) == (2, 0)
        assert split_seq(mixed) == (2, 2)
        await writer.close()


@pytest.mark.crash
async def test_an_entry_never_sent_is_not_in_doubt(tmp_path):
    async with world(tmp_path) as (server, journal, writer):
        await writer.append("f", batch(1), 1)
        await murder(server)
        async with asyncio.timeout(120):
            while journal.connected:
                await asyncio.sleep(0.01)
        writer.patience = 0.2
        with pytest.raises(Unsettled) as caught:
            await writer.append("f", batch(1, start=1), 1)
        assert not caught.value.in_doubt
        await server.restart("test")


@pytest.mark.crash
@pytest.mark.parametrize("sending", [True, False], ids=["sending", "listening"])
async def test_a_connection_that_goes_without_a_word_is_replaced(tmp_path, sending):
    """The client library closes a connection and fails while it does (its last data cannot be sent): it reports nothing then."""

    async def fail() -> None:
        raise ConnectionResetError("connection lost")

    async with world(tmp_path, watch=True) as (_server, journal, writer):
        await writer.append("f", batch(1), 1)
        link = await journal.ready()
        link.client._transport.drain = fail
        link.client._pending_data_size = 1
        with pytest.raises(ConnectionResetError):
            await link.client.close()
        assert link.client.is_closed and not link.closed.is_set()
        if sending:
            with pytest.raises(Lost):
                await link.request("ev.seattle.f", b"", within=1)
        async with asyncio.timeout(60):
            while journal.counters.reconnects == 0 or not journal.connected:
                await asyncio.sleep(0.01)
        await writer.append("f", batch(1, start=1), 1)
        assert await journal.ready() is not link
        assert [name for entry in await entries(journal) for name in ids(entry)] == ["e0", "e1"]


@pytest.mark.crash
async def test_who_waits_for_a_connection_that_will_never_come_is_told(tmp_path):
    """The server that comes back refuses us: a process that went on waiting would look alive for ever."""
    async with world(tmp_path) as (server, journal, writer):
        await writer.append("f", batch(1), 1)
        waiting = [asyncio.create_task(anext(read(journal, 2))) for _ in range(2)]
        journal.endpoint = replace(journal.endpoint, password="another")
        await murder(server)
        await server.restart("test")
        async with asyncio.timeout(60):
            for one in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(one, Fatal)
                assert "has ended" in str(one) and "refuses our credentials" in str(one)
        with pytest.raises(Fatal, match="refuses our credentials"):
            await journal.ready(60)


@pytest.mark.crash
async def test_a_disk_that_is_full_while_a_connection_is_checked_is_waited_for(tmp_path):
    async with world(tmp_path) as (server, journal, writer):
        await writer.append("f", batch(1), 1)
        full = iter([True, True, False])

        async def check(_link) -> None:
            if next(full, False):
                raise OSError(errno.ENOSPC, "No space left on device")

        journal.checks.append(check)
        await murder(server)
        await server.restart("test")
        await writer.append("f", batch(1, start=1), 1)
        assert next(full, None) is None
        assert journal.connected


@pytest.mark.crash
async def test_an_entry_whose_mark_cannot_be_written_is_in_doubt_and_never_stored_twice(tmp_path, monkeypatch):
    """It is durable, but told to be so only when its number is on disk, too; the caller tries again, and its events are known."""
    monkeypatch.setattr("tocsin.journal.epoch.MARGIN", 0)
    replace_file, full = durable.replace, [True]

    def replaced(path, content) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(path, content)

    async with world(tmp_path, patience=60.0) as (_server, journal, writer):
        monkeypatch.setattr("tocsin.journal.epoch.durable.replace", replaced)
        with pytest.raises(Unsettled, match=r"test\.json cannot be written.*No space left") as caught:
            await writer.append("f", batch(3), 1)
        assert caught.value.in_doubt
        full.clear()
        again = await writer.append("f", batch(3), 1)
        assert split_seq(again) == (1, 0)
        assert [name for entry in await entries(journal) for name in ids(entry)] == ["e0", "e1", "e2"]


async def test_a_caller_that_gave_up_before_sending_leaves_nothing(tmp_path):
    async with world(tmp_path) as (server, journal, writer):
        await murder(server)
        while journal.connected:  # a link that is not known to be dead would take the entry
            await asyncio.sleep(0.01)
        task = asyncio.create_task(writer.append("f", batch(1), 1))
        await asyncio.sleep(0.05)
        task.cancel()
        await server.restart("test")
        await writer.append("f", batch(1, start=1), 1)
        assert [name for entry in await entries(journal) for name in ids(entry)] == ["e1"]


@pytest.mark.crash
async def test_the_server_dies_with_its_parent_and_its_data_can_be_opened_again(tmp_path):
    """The parent is killed with -9; a new one waits for the old server to end instead of sharing its files."""
    program = (
        "import asyncio, sys; from pathlib import Path; from tocsin.journal import EmbeddedServer\n"
        "async def main():\n"
        "    server = EmbeddedServer(Path(sys.argv[1])); await server.start(); print(server.pid, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(await asyncio.to_thread(parent.stdout.readline))
    assert psutil.Process(child).is_running()
    parent.kill()
    async with world(tmp_path) as (server, _journal, writer):
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        assert server.pid != child
        await writer.append("f", batch(1), 1)
    parent.wait()
    parent.stdout.close()


@pytest.mark.crash
async def test_a_server_that_stops_answering_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.journal.watchdog.CHECK_SECONDS", 0.1)
    monkeypatch.setattr("tocsin.journal.watchdog.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr("tocsin.journal.server.STOP_SECONDS", 0.3)
    async with world(tmp_path, watch=True, patience=60.0) as (server, _journal, writer):
        await writer.append("f", batch(1), 1)
        frozen = server.process
        freeze(frozen.pid)
        await writer.append("f", batch(1, start=1), 1)
        assert server.restarts == 1
        assert frozen.returncode == -signal.SIGKILL


@pytest.mark.crash
async def test_the_server_is_watched_on_a_disk_that_cannot_be_looked_at(tmp_path, monkeypatch):
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def broken(_store) -> int:
        loop.call_soon_threadsafe(looked.set)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("tocsin.journal.watchdog.CHECK_SECONDS", 0.1)
    async with world(tmp_path, watch=True, patience=60.0) as (server, _journal, writer):
        monkeypatch.setattr("tocsin.journal.watchdog.used_bytes", broken)
        async with asyncio.timeout(60):
            await looked.wait()
        await murder(server)
        await writer.append("f", batch(1), 1)
        assert server.restarts == 1


@pytest.mark.crash
async def test_a_reader_goes_on_after_a_kill_without_gap_or_double(tmp_path):
    async with world(tmp_path, watch=True, patience=60.0) as (server, journal, writer):
        seen: list[int] = []

        async def follow() -> None:
            async for entry in read(journal, 1):
                seen.append(entry.seq)

        follower = asyncio.create_task(follow())
        for round_ in range(3):
            for i in range(20):
                await writer.append("f", batch(1, start=round_ * 20 + i), 1)
            await murder(server)
        await writer.append("f", batch(1, start=999), 1)
        deadline = time.monotonic() + 60
        while len(seen) < 61 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        follower.cancel()
        assert seen == list(range(1, 62))


@pytest.mark.crash
@pytest.mark.parametrize("pause", [0.0, 0.01, 0.05, 0.15])
async def test_everything_can_be_closed_while_the_server_is_away(tmp_path, pause):
    """The client library swallows a cancellation that comes while it is connecting."""
    async with world(tmp_path) as (server, journal, writer):
        watcher = asyncio.create_task(server.watch())
        reader = asyncio.create_task(anext(read(journal, 1)))
        appender = asyncio.create_task(writer.append("f", batch(1), 1))
        await appender
        await murder(server)
        watcher.cancel()
        reader.cancel()
        await asyncio.sleep(pause)
        async with asyncio.timeout(120):
            await asyncio.gather(watcher, reader, return_exceptions=True)
            await journal.close()
            await server.stop()
