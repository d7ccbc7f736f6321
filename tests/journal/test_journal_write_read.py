"""What goes in comes out: order, numbers, times, counts, merging, splitting, duplicates."""

import asyncio
import time

import orjson
import pyarrow as pa
import pytest
from journal_world import batch, entries, ids, world

from tocsin.journal import EventWriter, Unsettled, connect, fetch, last_seq, read, tail
from tocsin.journal.encode import decode, encode, entry_headers, merge, stamp
from tocsin.journal.link import Link
from tocsin.journal.nats_conf import subject_token
from tocsin.journal.writer import OVERDUE, Part, in_time
from tocsin.kernel.clock import Clock, Monotone
from tocsin.kernel.fault import Retriable, Skippable
from tocsin.model.event import INSTANT, KIND, event_schema
from tocsin.model.ids import split_seq


async def test_events_come_back_as_they_went_in(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        before = Clock().now()
        sent = batch(100)
        seq = await writer.append("spd.calls", sent, 123_456_789)
        assert split_seq(seq) == (1, 0)
        [entry] = await entries(journal)
        assert entry.seq == 1
        assert entry.subject == "ev.seattle.spd_calls"
        assert entry.wall == 123_456_789
        assert entry.count == 100
        assert before <= entry.ingest <= Clock().now()
        times = entry.batch.column("ingest_time")
        assert times.type == INSTANT
        assert times.cast(pa.int64()).to_pylist() == [entry.ingest] * 100
        same = [name for name in sent.schema.names if name != "ingest_time"]
        assert entry.batch.select(same).to_pylist() == sent.select(same).to_pylist()
        assert entry.batch.schema.equals(event_schema())


async def test_tick_moves_the_clock_and_carries_nothing(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        await writer.append("f", batch(1), 1)
        assert await writer.tick() == 2
        _, tick = await entries(journal)
        assert (tick.subject, tick.batch, tick.count) == ("tick", None, 0)
        assert tick.ingest > 0


async def test_an_entry_is_not_dated_after_a_tick_that_is_still_to_come(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        due = writer.clock.now() - 1
        writer.due = due
        await writer.append("f", batch(1), 1)
        await writer.tick(due, due + 3_600_000_000)
        await writer.append("f", batch(1, start=5), 1)
        writer.due = due - 2 * OVERDUE  # long overdue: nothing waits for it
        await writer.append("f", batch(1, start=9), 1)
        before, tick, after, last = await entries(journal)
        assert (before.ingest, tick.ingest) == (due - 1, due) and due < after.ingest < last.ingest


async def test_what_arrives_together_is_one_entry_and_everybody_gets_the_right_number(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        parts = [batch(1 + i % 5, start=10 * i) for i in range(200)]
        numbers = await asyncio.gather(*(writer.append("busy", part, i + 1) for i, part in enumerate(parts)))
        found = await entries(journal)
        assert len(found) <= 5
        stored = {}
        for entry in found:
            for row, name in enumerate(ids(entry)):
                stored[name] = (entry.seq, row)
        for part, number in zip(parts, numbers, strict=True):
            assert stored[part.column("id")[0].as_py()] == split_seq(number)
        order = [name for entry in found for name in ids(entry)]
        assert order == [name for part in parts for name in part.column("id").to_pylist()]
        sources = [value for entry in found for value in entry.batch.column("source").to_pylist()]
        assert sources == [value for part in parts for value in part.column("source").to_pylist()]


async def test_what_overtook_another_on_its_way_is_put_in_order_inside_an_entry(tmp_path):
    """Requests that were held up: the parts of an entry are ordered by their newest events, and everybody still gets the right number."""
    starts = [40, 10, 30, 0, 20]
    async with world(tmp_path) as (_, journal, writer):
        parts = [batch(5, start=start) for start in starts]
        numbers = await asyncio.gather(*(writer.append("busy", part, 1) for part in parts))
        found = await entries(journal)
        stored = {name: (entry.seq, row) for entry in found for row, name in enumerate(ids(entry))}
        for start, number in zip(starts, numbers, strict=True):
            assert stored[f"e{start}"] == split_seq(number)
        for entry in found:
            order = [int(name[1:]) for name in ids(entry)]
            assert order == sorted(order)
        assert len(stored) == 25


async def test_the_order_inside_an_entry_is_that_of_arrival_where_times_are_equal_or_something_is_corrected():
    def part(start, rows=3, action=0):
        made = batch(rows, start=start)
        actions = pa.array([0] * (rows - 1) + [action], pa.int8())
        made = made.set_column(made.schema.get_field_index("action"), made.schema.field("action"), actions)
        return Part(made, 0, asyncio.get_running_loop().create_future())

    same = [part(7), part(7), part(7)]
    assert in_time(same) == same
    late, early = part(9), part(1, rows=8)  # the newest event counts: 11 and 8
    assert in_time([late, early]) == [early, late]
    corrected = [part(9), part(5, action=2), part(1)]
    assert in_time(corrected) == corrected


async def test_feeds_do_not_share_entries_and_ingest_time_never_goes_back(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        await asyncio.gather(*(writer.append(f"feed{i % 7}", batch(3, start=3 * i, feed=f"feed{i % 7}"), 1) for i in range(70)))
        found = await entries(journal)
        assert sum(entry.count for entry in found) == 210
        for entry in found:
            assert {f"ev.seattle.{feed}" for feed in entry.batch.column("feed").to_pylist()} == {entry.subject}


async def test_a_change_of_schema_starts_a_new_entry(tmp_path):
    wide = event_schema({"depth": "number"})
    other = pa.RecordBatch.from_arrays(
        [*batch(2, start=50).columns, pa.array([{"depth": 1.5}, {"depth": None}], wide.field("attrs").type)], schema=wide
    )
    async with world(tmp_path) as (_, journal, writer):
        await asyncio.gather(*(writer.append("f", part, 1) for part in (batch(2), batch(2, start=2), other, batch(2, start=9))))
        found = await entries(journal)
        assert [name for entry in found for name in ids(entry)] == ["e0", "e1", "e2", "e3", "e50", "e51", "e9", "e10"]
        assert [entry.batch.schema.equals(wide) for entry in found if "e50" in ids(entry)] == [True]


async def test_a_batch_beyond_the_message_size_is_split(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        big = batch(40)
        areas = pa.array([b"x" * 500_000] * 40, pa.binary())
        big = big.set_column(big.schema.get_field_index("area"), "area", areas)
        number = await writer.append("polygons", big, 1)
        found = await entries(journal)
        assert len(found) > 2
        assert [name for entry in found for name in ids(entry)] == [f"e{i}" for i in range(40)]
        assert split_seq(number) == (found[0].seq, 0)


async def test_one_event_too_large_for_the_journal_is_skippable_and_harms_no_other(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        good, huge = batch(3), batch(3, start=3)
        areas = pa.array([b"", b"x" * (9 << 20), b""], pa.binary())
        huge = huge.set_column(huge.schema.get_field_index("area"), "area", areas)
        results = await asyncio.gather(*(writer.append("f", part, 1) for part in (good, huge)), return_exceptions=True)
        assert isinstance(results[0], int)
        assert isinstance(results[1], Skippable)
        assert "bytes" in str(results[1])
        assert "e0" in {name for entry in await entries(journal) for name in ids(entry)}


async def test_more_rows_than_a_number_can_tell_apart_are_split(tmp_path):
    async with world(tmp_path) as (_, journal, _writer):
        writer = EventWriter(journal, "r", Monotone(Clock()), max_rows=100)
        await writer.append("f", batch(250), 1)
        assert [entry.count for entry in await entries(journal)] == [100, 100, 50]
        await writer.close()


async def test_the_server_refuses_the_same_message_id_twice(tmp_path):
    async with world(tmp_path) as (_, journal, _writer):
        payload = encode(stamp(batch(5), 7))
        headers = entry_headers(payload, 7, 1, 5, "the-same")
        first = await journal.append("ev.r.f", payload, headers)
        again = await journal.append("ev.r.f", payload, headers)
        assert (first.seq, first.duplicate) == (1, False)
        assert (again.seq, again.duplicate) == (1, True)
        assert len(await entries(journal)) == 1


async def test_fetch_tail_and_last(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        assert await last_seq(journal) == 0
        assert [entry async for entry in tail(journal, count=5)] == []
        assert [entry async for entry in tail(journal, seconds=5)] == []
        for i in range(10):
            await writer.append(f"f{i}", batch(2, start=2 * i), 1)
        assert await last_seq(journal) == 10
        assert ids(await fetch(journal, 4)) == ["e6", "e7"]
        with pytest.raises(Skippable, match="no entry 11"):
            await fetch(journal, 11)
        assert [entry.seq async for entry in tail(journal, count=3)] == [8, 9, 10]
        assert [entry.seq async for entry in tail(journal, count=30)] == list(range(1, 11))
        assert [entry.seq async for entry in tail(journal, seconds=60)] == list(range(1, 11))
        await asyncio.sleep(2.6)
        before = time.time() - 2.5  # after the others, and long enough before the tick for a slow machine
        await writer.tick()
        assert [entry.seq async for entry in tail(journal, seconds=time.time() - before)] == [11]
        with pytest.raises(ValueError, match="either"):
            [entry async for entry in tail(journal)]


async def test_reading_starts_where_it_is_told_and_follows(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        for i in range(5):
            await writer.append("f", batch(1, start=i), 1)
        seen = []
        reader = read(journal, 3)
        async for entry in reader:
            seen.append(entry.seq)
            if entry.seq == 5:
                await writer.append("f", batch(1, start=5), 1)
            if entry.seq == 6:
                break
        await reader.aclose()
        assert seen == [3, 4, 5, 6]


async def test_reading_from_beyond_the_end_waits_for_it(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        reader = read(journal, 3)
        task = asyncio.create_task(anext(reader))
        for i in range(3):
            await asyncio.sleep(0.05)
            assert not task.done()
            await writer.append("f", batch(1, start=i), 1)
        assert (await task).seq == 3
        await reader.aclose()


async def test_large_entries_arrive_within_the_limit_of_one_request(tmp_path, monkeypatch):
    """Requests end early when they reach their limit in bytes; the consumer lives on."""
    monkeypatch.setattr("tocsin.journal.consumer.MAX_BYTES", 9 << 20)
    big = batch(4)
    big = big.set_column(big.schema.get_field_index("area"), "area", pa.array([b"x" * 900_000] * 4, pa.binary()))
    async with world(tmp_path) as (_, journal, writer):
        for i in range(12):
            await writer.append("f", big, 1)
            await writer.append("f", batch(1, start=i), 1)
        assert [entry.count for entry in await entries(journal)] == [4, 1] * 12
        assert journal.counters.reopened == 0


async def test_an_end_in_the_future_is_waited_for(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        await writer.append("f", batch(1), 1)

        async def read_three():
            return [entry.seq async for entry in read(journal, 1, until=3)]

        task = asyncio.create_task(read_three())
        await asyncio.sleep(1.3)  # longer than a heartbeat of the idle consumer
        assert not task.done()
        await writer.append("f", batch(1, start=1), 1)
        await writer.append("f", batch(1, start=2), 1)
        assert await asyncio.wait_for(task, 60) == [1, 2, 3]


async def test_thousands_of_entries_arrive_complete_and_in_order(tmp_path):
    one = batch(3)
    async with world(tmp_path, patience=120.0) as (_, journal, writer):  # 1,200 times fsync, also where others write meanwhile
        await asyncio.gather(*(writer.append(f"f{i}", one, 1) for i in range(1200)))
        assert [entry.seq for entry in await entries(journal)] == list(range(1, 1201))
        assert journal.counters.reopened == 0


async def test_a_wrong_checksum_count_or_header_is_reported_and_skipped(tmp_path):
    async with world(tmp_path) as (_, journal, writer):
        await writer.append("f", batch(1), 1)
        payload = encode(stamp(batch(5), 7))
        right = entry_headers(payload, 7, 1, 5, "a")
        for number, wrong in enumerate(
            ({"T-Count": "6"}, {"T-Ingest": "8"}, {"T-Sum": "crc32:00000000"}, {"T-Sum": ""}, {"T-Ingest": "x"})
        ):
            await journal.append("ev.r.f", payload, right | wrong | {"Nats-Msg-Id": f"m{number}"})
        await journal.append("ev.r.f", payload[:-200], right | {"Nats-Msg-Id": "short"})
        await journal.append("ev.r.f", b"garbage", entry_headers(b"garbage", 7, 1, 5, "garbage"))
        await writer.append("f", batch(1, start=1), 1)
        damage = []
        found = await entries(journal, on_damage=damage.append)
        assert [entry.seq for entry in found] == [1, 9]
        assert [one.first for one in damage] == [2, 3, 4, 5, 6, 7, 8]
        assert {one.kind for one in damage} == {"damaged"}
        assert journal.counters.damaged == 7
        with pytest.raises(Skippable, match="checksum"):
            await fetch(journal, 2)


def test_every_flipped_bit_of_an_entry_is_noticed():
    payload = encode(stamp(batch(4), 7))
    headers = entry_headers(payload, 7, 1, 4, "id")
    assert decode(1, "ev.r.f", headers, payload).count == 4
    for offset in range(0, len(payload), 7):
        broken = bytearray(payload)
        broken[offset] ^= 1 << (offset % 8)
        with pytest.raises(Skippable, match="checksum"):
            decode(1, "ev.r.f", headers, bytes(broken))


def test_merging_unifies_dictionaries_and_keeps_a_single_batch_as_it_is():
    one = batch(3)
    assert merge([one]) is one
    two = batch(4, start=40, feed="other")
    joined = merge([one, two])
    assert joined.to_pylist() == one.to_pylist() + two.to_pylist()
    assert joined.schema.equals(one.schema)


async def test_more_names_than_codes_become_several_entries(tmp_path):
    def many(start):
        kinds = pa.array([f"kind.{i}" for i in range(start, start + 20_000)]).dictionary_encode().cast(KIND)
        made = batch(20_000, start=start)
        return made.set_column(made.schema.get_field_index("kind"), made.schema.field("kind"), kinds)

    async with world(tmp_path) as (_, journal, writer):
        await asyncio.gather(*(writer.append("f", many(20_000 * i), 1) for i in range(3)))
        found = await entries(journal)
        assert [name for entry in found for name in ids(entry)] == [f"e{i}" for i in range(60_000)]
        assert len(found) == 3


@pytest.mark.parametrize(
    ("name", "token"), [("spd.calls", "spd_calls"), ("a b>*", "a_b__"), ("über", "_ber"), ("", "_"), ("ok-1_x", "ok-1_x")]
)
def test_names_become_one_subject_token(name, token):
    assert subject_token(name) == token


async def test_a_journal_that_is_away_is_retriable_and_comes_back(tmp_path):
    async with world(tmp_path, patience=60.0) as (server, journal, writer):
        await writer.append("f", batch(1), 1)
        writer.patience = 0.4
        server.process.kill()
        with pytest.raises(Unsettled, match="journal") as caught:
            await writer.append("f", batch(1, start=1), 1)
        await server.restart("test")
        async with asyncio.timeout(60):
            while True:
                try:
                    await writer.append("f", batch(1, start=2), 1)
                    break
                except Retriable:
                    await asyncio.sleep(0.05)
        assert [ids(entry) for entry in await entries(journal)] == [["e0"], *([["e1"]] if caught.value.in_doubt else []), ["e2"]]
        assert journal.counters.reconnects >= 1


async def test_core_messages_survive_a_reconnect_of_the_listener(tmp_path):
    async with world(tmp_path) as (server, journal, _writer):
        heard = asyncio.Queue()

        async def hear(reply):
            await heard.put(orjson.loads(reply.data)["n"])

        await journal.subscribe("health.*", hear)
        link = await Link.open(server.endpoint, "speaker")
        await link.publish("health.ingest", b'{"n":1}')
        assert await asyncio.wait_for(heard.get(), 120) == 1
        await link.close()
        server.process.kill()
        await server.restart("test")
        await journal.ready()
        await journal.publish("health.ingest", b'{"n":2}')
        assert await asyncio.wait_for(heard.get(), 120) == 2


async def test_connecting_to_nothing_says_so(tmp_path):
    async with world(tmp_path) as (server, _journal, _writer):
        endpoint = server.endpoint
    with pytest.raises(Retriable, match="could not be reached"):
        await connect(endpoint, within=0.5)
