"""An external cluster of three NATS servers: every entry on several of them, and publishing that goes on when one is killed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from journal_world import batch, entries, ids

from tests.nats_cluster import NatsCluster
from tocsin.journal import EmbeddedServer, EventWriter, connect
from tocsin.journal.reader import fetch, newest_message, newest_of
from tocsin.journal.streams import ALERTS, EVENTS, api
from tocsin.kernel.clock import Clock, Monotone
from tocsin.kernel.fault import Misconfigured, Retriable

PATIENCE = 180.0  # seconds: an election takes a few, on a busy machine more


@pytest.fixture
def cluster(tmp_path):
    with NatsCluster(tmp_path / "nats") as servers:
        yield servers


async def info(journal, stream):
    """What the cluster says of a stream, once somebody leads it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                found = await journal.ask(lambda link: api(link, f"STREAM.INFO.{stream}"), patience=PATIENCE)
                if (found.get("cluster") or {}).get("leader"):
                    return found
            except Retriable:
                pass
            await asyncio.sleep(0.1)


async def copies(journal, stream=EVENTS) -> int:
    return (await info(journal, stream))["config"]["num_replicas"]


async def leader(journal, stream) -> int:
    """Number of the server that leads the stream."""
    return int((await info(journal, stream))["cluster"]["leader"].removeprefix("n"))


async def asked(question):
    """The answer, once the servers that are left have chosen who leads each stream: until then nobody gives one."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await question()
            except Retriable:
                await asyncio.sleep(0.1)


@pytest.mark.crash
async def test_publishing_goes_on_when_a_server_of_three_is_killed_and_nothing_acknowledged_is_gone(cluster):
    async with await connect(cluster.endpoint(3), within=PATIENCE) as journal:
        assert (await copies(journal, EVENTS), await copies(journal, ALERTS)) == (3, 3)
        writer = EventWriter(journal, "seattle", Monotone(Clock()), patience=PATIENCE)
        for number in range(20):
            if number == 10:
                cluster.kill(await leader(journal, EVENTS))
            await writer.append("gauges", batch(10, 10 * number), 1)
        await writer.close()
        last = journal.last[EVENTS]
        stored = [name for entry in await asked(lambda: entries(journal, until=last)) for name in ids(entry)]
        # single entries are asked of the leader: another server may not have what was acknowledged a moment ago
        newest = await asked(lambda: newest_of(journal, "ev.seattle.gauges"))
        assert newest is not None
        assert newest.seq == last
        assert ids(newest) == ids(await asked(lambda: fetch(journal, last))) == [f"e{number}" for number in range(190, 200)]
        assert await asked(lambda: newest_message(journal, ALERTS, "alert.none")) is None
    assert stored == [f"e{number}" for number in range(200)]


@pytest.mark.crash
async def test_more_copies_are_made_of_what_is_there_and_never_fewer(cluster):
    async with await connect(cluster.endpoint(1), within=PATIENCE) as journal:
        writer = EventWriter(journal, "seattle", Monotone(Clock()), patience=PATIENCE)
        await writer.append("gauges", batch(10), 1)
        await writer.close()
        assert await copies(journal) == 1
    for replicas in (3, 1):
        async with await connect(cluster.endpoint(replicas), within=PATIENCE) as journal:
            assert await copies(journal) == 3
            found = await asked(lambda: entries(journal, until=journal.last[EVENTS]))
            assert [ids(entry) for entry in found] == [[f"e{number}" for number in range(10)]]


@pytest.mark.crash
async def test_what_a_cluster_or_a_single_server_cannot_keep_is_said(cluster, tmp_path):
    async with await connect(cluster.endpoint(3), within=PATIENCE):
        pass  # it is ready
    with pytest.raises(Retriable, match=r"cannot keep 5 copies of stream EVENTS \(journal.replicas\): that takes 5 servers"):
        await connect(cluster.endpoint(5), within=20.0)
    async with EmbeddedServer(tmp_path / "alone", 0) as server:
        with pytest.raises(Misconfigured, match=r"journal.replicas: 3 copies of stream EVENTS need a NATS cluster"):
            await connect(replace(server.endpoint, replicas=3), within=PATIENCE)
