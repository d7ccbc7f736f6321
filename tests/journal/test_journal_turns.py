"""Whose turn it is, on the real server: one at a time, another one when the first is no longer heard, and nothing from whoever was before."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from journal_world import world

from tocsin.journal import connect, matches, objects, streams
from tocsin.journal.baton import Baton
from tocsin.journal.connection import Journal
from tocsin.journal.fence import Fenced, put_up
from tocsin.kernel.fault import Fatal, Misconfigured, Skippable

PATIENCE = 30.0  # far more than the server takes


async def test_one_at_a_time_and_the_next_when_the_first_falls_silent(tmp_path: Path) -> None:
    async with world(tmp_path) as (server, journal, _), await connect(server.endpoint) as other:
        first, second = Baton(journal, "shard-0"), None
        try:
            await asyncio.wait_for(first.wait(), PATIENCE)
            second = Baton(other, "shard-0")
            await asyncio.sleep(1.0)
            assert not second.held.is_set()
            first._task.cancel()  # as if frozen: it neither asks nor lets go
            await asyncio.wait_for(second.wait(), PATIENCE)
        finally:
            await first.close()
            if second is not None:
                await second.close()


async def test_who_wakes_up_learns_that_the_turn_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as (server, journal, _), await connect(server.endpoint) as other:
        first = Baton(journal, "correlate")
        await asyncio.wait_for(first.wait(), PATIENCE)
        first._task.cancel()
        second = Baton(other, "correlate")
        await asyncio.wait_for(second.wait(), PATIENCE)
        first._task = asyncio.create_task(first._ask(await journal.ready()))  # goes on as if nothing had been
        await asyncio.wait_for(first.lost.wait(), PATIENCE)
        assert not second.lost.is_set()
        await first.close()
        await second.close()


async def test_letting_go_makes_room_at_once_and_works_are_apart(tmp_path: Path) -> None:
    async with world(tmp_path) as (server, journal, _), await connect(server.endpoint) as other:
        first, apart = Baton(journal, "shard-0"), Baton(other, "shard-1")
        await asyncio.wait_for(first.wait(), PATIENCE)
        await asyncio.wait_for(apart.wait(), PATIENCE)
        second = Baton(other, "shard-0")
        await first.close()
        await asyncio.wait_for(second.wait(), PATIENCE)
        await apart.close()
        await second.close()


async def test_turns_outlive_the_server(tmp_path: Path) -> None:
    """Beats and pins are kept in memory only; a server that starts again gives the turn again."""
    async with world(tmp_path, watch=True) as (server, journal, _):
        baton = Baton(journal, "shard-0")
        await asyncio.wait_for(baton.wait(), PATIENCE)
        before = baton._pin
        process = server.process
        process.kill()
        await asyncio.to_thread(process.wait)
        async with asyncio.timeout(PATIENCE):
            while baton._pin in {before, ""}:
                await asyncio.sleep(0.1)
        assert not baton.lost.is_set()
        await baton.close()


async def test_nothing_from_behind_an_old_fence_is_stored(tmp_path: Path) -> None:
    async with world(tmp_path) as (server, journal, _), await connect(server.endpoint) as other:
        old = await put_up(journal, "alerts", "first")
        assert (await old.append(journal, "alert.a", b"{}", {"Nats-Msg-Id": "1"})).seq == old.seq + 1
        new = await put_up(other, "alerts", "second")
        late = [old.append(journal, "alert.a", b"{}", {"Nats-Msg-Id": f"late {n}"}) for n in range(20)]
        refused = await asyncio.gather(*late, return_exceptions=True)
        assert all(isinstance(one, Fenced) for one in refused)
        assert (await new.append(other, "alert.a", b"{}", {"Nats-Msg-Id": "2"})).seq == new.seq + 1
        assert (await journal.state("ALERTS")).last == new.seq + 1


async def test_a_snapshot_goes_through_the_object_store(tmp_path: Path) -> None:
    async with world(tmp_path) as (server, journal, _), await connect(server.endpoint) as other:
        assert await objects.get(journal, "shard-0") is None
        assert await objects.newest(journal, "shard-0") == 0
        content = os.urandom(1_500_000) + bytes(3_000_000)
        await objects.put(journal, "shard-0", 7, content[:10])
        await objects.put(journal, "shard-0", 9, content)
        found = await objects.get(other, "shard-0")
        assert found is not None
        assert (found.seq, found.content) == (9, content)
        assert await objects.newest(other, "shard-0") == 9


async def test_what_shards_found_is_read_back_in_order_with_nothing_missing(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, _):
        await matches.prepare(journal)
        fence = await put_up(journal, "match.1", "test")
        assert await matches.reached(journal, 1) == (0, 0)
        seq = await matches.publish(journal, fence, 1, [b"one", b"", b"two"], 12)
        assert await matches.reached(journal, 1) == (12, seq)
        assert await first(journal, 1, 2) == [(fence.seq, -1, []), (seq, 1, [b"one", b"", b"two"])]


async def test_matches_that_are_gone_stop_the_reader(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, _):
        await matches.prepare(journal)
        fence = await put_up(journal, "match.0", "test")
        for entry in (1, 2, 3):
            await matches.publish(journal, fence, 0, [b"x"], entry)
        link = await journal.ready()
        await link.request("$JS.API.STREAM.MSG.DELETE.MATCHES", b'{"seq": 3}')
        with pytest.raises(Fatal, match="messages 3 to 3 of stream MATCHES are gone"):
            await first(journal, 1, 4)


def test_a_message_that_was_cut_short_is_not_read() -> None:
    whole = matches.packed([b"one", b"two"])
    assert matches.unpacked(whole) == [b"one", b"two"]
    for end in range(1, len(whole)):
        if end != len(matches.packed([b"one"])):
            with pytest.raises(Skippable):
                matches.unpacked(whole[:end])


async def first(journal: Journal, start: int, count: int) -> list[tuple[int, int, list[bytes]]]:
    found = []
    async with asyncio.timeout(PATIENCE):
        async for one in matches.follow(journal, start):
            found.append(one)
            if len(found) == count:
                break
    return found


async def test_matches_found_in_another_way_are_found_again(tmp_path: Path) -> None:
    """What shards found in one format and between some cuts does not fit what is found in another."""
    async with world(tmp_path) as (_, journal, _):
        assert not await matches.begin(journal, "one", alone=True)
        fence = await put_up(journal, "match.0", "a")
        await matches.publish(journal, fence, 0, [b"found"], 7)
        assert not await matches.begin(journal, "one", alone=True)
        await matches.prepare(journal)  # as every shard does
        with pytest.raises(Misconfigured, match=r"(?s)another version, or between other cuts.*delete that stream"):
            await matches.begin(journal, "two", alone=False)
        assert (await matches.reached(journal, 0))[0] == 7, "what others may be using is left alone"
        assert await matches.begin(journal, "two", alone=True)
        assert await matches.reached(journal, 0) == (0, 0)
        assert not await matches.begin(journal, "two", alone=False)


async def test_matches_of_a_version_that_did_not_say_how_it_found_them(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, _):
        await matches.prepare(journal)
        assert not await matches.begin(journal, "one", alone=False), "it held nothing yet"
        await journal.ask(lambda link: streams.remove(link, streams.MATCHES))
        await journal.ask(lambda link: streams.remove(link, streams.MATCHES))  # whoever asks a second time finds it done
        await matches.prepare(journal)
        fence = await put_up(journal, "match.0", "a")
        await matches.publish(journal, fence, 0, [b"found"], 7)
        assert await matches.begin(journal, "one", alone=True)
        assert await matches.reached(journal, 0) == (0, 0)
