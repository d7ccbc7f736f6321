"""Broken files under the server: what is damaged is reported, a rewind raises the alarm, no number is given twice."""

import asyncio
import random
import shutil

import pytest
from journal_world import BLOCKS, batch, entries, flip, ids, murder, record_starts, world

from tocsin.journal import EmbeddedServer, HighWater, Unsettled, connect, fetch
from tocsin.journal import streams as streams_module
from tocsin.journal.link import Link
from tocsin.kernel.fault import Misconfigured, Skippable

COUNT = 60


@pytest.fixture(autouse=True)
def small_margin(monkeypatch):
    """Fewer markers to write after each rewind."""
    monkeypatch.setattr("tocsin.journal.epoch.MARGIN", 200)
    monkeypatch.setattr("tocsin.journal.epoch.WRITE_EVERY", 50)


@pytest.fixture
async def recorded(tmp_path):
    """A data directory with 60 entries of 20 events, its server stopped."""
    folder = tmp_path / "recorded"
    async with world(folder) as (_, _journal, writer):
        for i in range(COUNT):
            assert await writer.append("f", batch(20, start=20 * i), 1) == (i + 1) << 20
    return folder


async def reread(folder, on_rewind=None):
    """(sequence numbers read, numbers reported, the number the next entry gets); every entry read is checked."""
    damage = []
    async with world(folder, on_rewind=on_rewind) as (_, journal, writer):
        found = await entries(journal, on_damage=damage.append)
        for entry in found:
            if entry.seq <= COUNT:
                assert ids(entry)[0] == f"e{20 * (entry.seq - 1)}"
        following = await writer.append("f", batch(1, start=5000), 1) >> 20
    reported = {seq for one in damage for seq in range(one.first, one.last + 1)}
    return {entry.seq for entry in found}, reported, following


@pytest.mark.parametrize("index_kept", [True, False])
@pytest.mark.parametrize("seed", range(4))
async def test_a_flipped_bit_anywhere_is_noticed_and_no_number_is_reused(recorded, index_kept, seed):
    """proof.md, result 2: 500 of 1,000 entries gone from one bit, the server starts without a word."""
    rng = random.Random(seed)
    block = recorded / BLOCKS / "1.blk"
    flip(block, rng.randrange(block.stat().st_size), 1 << rng.randrange(8))
    if not index_kept:
        (recorded / BLOCKS / "index.db").unlink()
    rewinds = []
    read_back, reported, following = await reread(recorded, rewinds.append)
    lost = set(range(1, COUNT + 1)) - read_back
    assert lost
    assert lost <= reported
    assert following > COUNT
    assert bool(rewinds) == (max(lost) == COUNT and following > COUNT + 1)
    again, still_reported, later = await reread(recorded, rewinds.append)
    assert read_back <= again
    assert lost <= still_reported
    assert later == following + 1


@pytest.mark.parametrize("kept", [0, 30, COUNT - 1])
async def test_a_rewind_raises_the_epoch_and_the_alarm_and_leaves_the_rest_readable(recorded, kept):
    """A flipped length field cuts the stream there even when the index is whole."""
    block = recorded / BLOCKS / "1.blk"
    flip(block, record_starts(block)[kept])
    rewinds = []
    async with world(recorded, on_rewind=rewinds.append) as (_, journal, writer):
        [rewind] = rewinds
        first = kept + 1
        assert (rewind.stream, rewind.epoch, rewind.first_lost, rewind.last_lost) == ("EVENTS", 2, first, COUNT)
        assert journal.epochs["EVENTS"] == 2
        assert journal.counters.rewinds == 1
        damage = []
        assert [entry.seq for entry in await entries(journal, on_damage=damage.append)] == list(range(1, first))
        assert damage[-1].kind == "lost"
        assert damage[-1].last == rewind.resumes
        assert "rewound" in damage[-1].reason
        with pytest.raises(Skippable, match="was lost"):
            await fetch(journal, rewind.resumes)
        assert await writer.append("f", batch(1), 1) == (rewind.resumes + 1) << 20
    async with world(recorded, on_rewind=rewinds.append) as (_, journal, _writer):
        assert len(rewinds) == 1
        assert journal.epochs["EVENTS"] == 2


async def test_a_damaged_last_entry_does_not_hold_up_a_reader(recorded):
    block = recorded / BLOCKS / "1.blk"
    flip(block, record_starts(block)[COUNT - 1] + 2000)
    damage = []
    async with world(recorded) as (_, journal, _writer), asyncio.timeout(60):
        assert [entry.seq for entry in await entries(journal, on_damage=damage.append)] == list(range(1, COUNT))
        assert [entry.seq for entry in await entries(journal, start=COUNT)] == []
    assert [(one.first, one.last, one.kind) for one in damage] == [(COUNT, COUNT, "missing")]


async def test_a_store_that_vanished_goes_on_above_its_old_numbers(recorded):
    shutil.rmtree(recorded / "journal")
    rewinds = []
    async with world(recorded, on_rewind=rewinds.append) as (_, _journal, writer):
        assert (rewinds[0].first_lost, rewinds[0].last_lost) == (1, COUNT)
        assert await writer.append("f", batch(1), 1) >> 20 == rewinds[0].resumes + 1


async def test_a_rewind_while_running_is_noticed_at_the_reconnect(tmp_path):
    """The server dies, its file is damaged, it comes back: nothing is published before the check."""
    rewinds = []
    async with world(tmp_path, on_rewind=rewinds.append) as (server, _journal, writer):
        for i in range(20):
            await writer.append("f", batch(5, start=5 * i), 1)
        await murder(server)
        block = tmp_path / BLOCKS / "1.blk"
        flip(block, block.stat().st_size // 2)
        append = asyncio.create_task(writer.append("f", batch(5, start=1000), 1))
        await server.restart("test")
        number = await append >> 20
        [rewind] = rewinds
        assert rewind.last_lost == 20
        assert number == rewind.resumes + 1


async def test_two_processes_may_repair_the_same_rewind(recorded):
    flip(recorded / BLOCKS / "1.blk", 0)
    (recorded / BLOCKS / "index.db").unlink()
    async with world(recorded) as (server, one, writer):
        shutil.copy(recorded / "marks" / "test.json", recorded / "marks" / "other.json")
        marks = HighWater(recorded / "marks", "other")
        other = await connect(server.endpoint, high_water=marks)
        assert other.epochs["EVENTS"] == one.epochs["EVENTS"] == 2
        assert other.counters.rewinds == 0
        assert marks.known("EVENTS") >= COUNT
        assert await writer.append("f", batch(1), 1) >> 20 > COUNT
        await other.close()


async def test_the_alerts_stream_is_guarded_too(tmp_path):
    rewinds = []
    async with world(tmp_path, on_rewind=rewinds.append) as (_, journal, _writer):
        for i in range(30):
            await journal.append("alert.r", b"{}" * 50, {"Nats-Msg-Id": str(i)})
    shutil.rmtree(tmp_path / "journal/jetstream/$G/streams/ALERTS")
    async with world(tmp_path, on_rewind=rewinds.append) as (_, journal, _writer):
        assert [(one.stream, one.last_lost) for one in rewinds] == [("ALERTS", 30)]
        assert (await journal.append("alert.r", b"{}", {"Nats-Msg-Id": "x"})).seq > 30


async def test_an_acknowledgement_waits_for_the_mark_when_it_is_far_behind(tmp_path, monkeypatch):
    """No number beyond the margin is given out before the mark on disk has moved."""
    monkeypatch.setattr("tocsin.journal.epoch.MARGIN", 10)
    monkeypatch.setattr("tocsin.journal.epoch.WRITE_EVERY", 1000)
    monkeypatch.setattr("tocsin.journal.epoch.WRITE_SECONDS", 1000.0)
    marks = HighWater(tmp_path, "p")
    for seq in range(1, 36):
        await marks.cover("EVENTS", seq)
        assert seq - HighWater(tmp_path, "reader").known("EVENTS") <= 10
    await marks.close()
    assert HighWater(tmp_path, "reader").known("EVENTS") == 35


def test_marks_of_all_processes_count_and_a_broken_one_is_named(tmp_path, caplog):
    (tmp_path / "a.json").write_text('{"EVENTS": 5, "ALERTS": 2}')
    (tmp_path / "b.json").write_text('{"EVENTS": 9}')
    (tmp_path / "c.json").write_text("half a fi")
    marks = HighWater(tmp_path, "d")
    assert (marks.known("EVENTS"), marks.known("ALERTS"), marks.known("OTHER")) == (9, 2, 0)
    assert "c.json" in caplog.text


async def test_a_foreign_stream_of_our_name_is_refused(tmp_path):
    server = EmbeddedServer(tmp_path)
    await server.start()
    link = await Link.open(server.endpoint, "test")
    config = {"name": "EVENTS", "subjects": ["ev.>"], "storage": "memory", "retention": "limits", "num_replicas": 1}
    await streams_module.api(link, "STREAM.CREATE.EVENTS", config)
    with pytest.raises(Misconfigured, match="storage 'memory'"):
        await connect(server.endpoint)
    await link.close()
    await server.stop()


def test_unsettled_is_retriable_and_says_when():
    assert Unsettled("x", in_doubt=True).after == 2.0
