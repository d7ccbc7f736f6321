"""What a message becomes: admitted, decoded, deduplicated, appended, quarantined, answered - in that order."""

import asyncio
import json
import threading
from dataclasses import replace

import pyarrow as pa
import pytest
from house import START, House, Lines, batch, line, make_spec, message, until

from tocsin.feeds.admission import MB, Budget, OverloadError
from tocsin.feeds.contract import Decoded, Message, Reject
from tocsin.feeds.limits import MAX_EVENT, MAX_MESSAGE
from tocsin.feeds.pipeline import MESSAGE_COST, SLICE, THREAD_ABOVE
from tocsin.kernel.fault import Fatal, Retriable, Skippable
from tocsin.model.time import HOUR


async def test_records_are_accepted_once_and_told_apart(house):
    sink = house.sink()
    first = await sink.deliver(message(line("a"), line("b"), b"{broken", line("a"), line("b", value=2.0)))
    assert (first.accepted, first.duplicates, first.conflicts, first.rejected) == (2, 1, 1, 1)
    assert [(r.index, r.status, r.id) for r in first.results] == [(2, "rejected", None), (3, "duplicate", "a"), (4, "conflict", "b")]
    assert "line 3" in first.results[0].reason
    second = await sink.deliver(message(line("a"), line("c")), every=True)
    assert [(r.index, r.status, r.id) for r in second.results] == [(0, "duplicate", "a"), (1, "accepted", "c")]
    assert house.log.ids() == ["a", "b", "c"]
    health = sink.health
    assert (health.received, health.accepted, health.duplicates, health.conflicts, health.quarantined) == (7, 3, 2, 1, 1)


async def test_the_answer_comes_after_the_events_are_durable(house):
    sink, house.log.hold = house.sink(), asyncio.Event()
    delivery = asyncio.create_task(sink.deliver(message(line("a"))))
    await until(lambda: house.log.appending)
    assert not delivery.done()
    house.log.hold.set()
    assert (await delivery).accepted == 1


@pytest.mark.parametrize("fault", [Retriable("the journal is away"), OSError("no route"), RuntimeError("odd")])
async def test_what_could_not_be_appended_may_be_delivered_again(house, fault):
    sink, house.log.fail = house.sink(), [fault]
    with pytest.raises(Retriable):
        await sink.deliver(message(line("a"), b"garbage"))
    assert await house.quarantine.list() == []
    receipt = await sink.deliver(message(line("a"), b"garbage"))
    assert (receipt.accepted, receipt.rejected) == (1, 1)
    assert house.log.ids() == ["a"]
    assert sink.health.refused == 1


async def test_a_fatal_fault_of_the_journal_is_not_hidden(house):
    sink, house.log.fail = house.sink(), [Fatal("the sequence went back")]
    with pytest.raises(Fatal):
        await sink.deliver(message(line("a")))


async def test_an_event_the_journal_refuses_is_quarantined_not_retried(house):
    sink, house.log.fail = house.sink(), [Skippable("too large for an entry")]
    receipt = await sink.deliver(message(line("a")))
    assert (receipt.accepted, receipt.rejected) == (0, 1)
    assert [entry.reason for entry in await house.quarantine.list()] == ["too large for an entry"]


async def test_a_caller_that_goes_away_neither_loses_nor_doubles_its_records(house):
    sink, house.log.hold = house.sink(), asyncio.Event()
    gone = asyncio.create_task(sink.deliver(message(line("a"))))
    await until(lambda: house.log.appending)
    gone.cancel()
    again = asyncio.create_task(sink.deliver(message(line("a"))))
    await asyncio.sleep(0)
    house.log.hold.set()
    assert (await again).duplicates == 1
    assert gone.cancelled()
    assert house.log.ids() == ["a"]


async def test_the_same_id_from_many_senders_at_once_becomes_one_event(house):
    sink, house.log.hold = house.sink(), asyncio.Event()
    deliveries = [asyncio.create_task(sink.deliver(message(line("same"), line(f"own {n}")))) for n in range(20)]
    await until(lambda: house.log.appending)
    house.log.hold.set()
    receipts = await asyncio.gather(*deliveries)
    assert sum(receipt.accepted for receipt in receipts) == 21
    assert sum(receipt.duplicates for receipt in receipts) == 19
    assert house.log.ids().count("same") == 1


@pytest.mark.parametrize("body", [b"unreadable \xff", b"boom", b"null", b"[]"])
async def test_a_message_that_cannot_be_read_is_one_reject_with_its_bytes(house, body):
    receipt = await house.sink().deliver(Message(body, START))
    assert (receipt.accepted, receipt.rejected) == (0, 1)
    (entry,) = await house.quarantine.list()
    assert (await house.quarantine.get(entry.id)).raw == body


async def test_a_large_message_is_decoded_beside_the_event_loop_and_a_small_one_in_it(house):
    threads = []

    class Watched(Lines):
        def decode(self, body, spec):
            threads.append(threading.current_thread() is threading.main_thread())
            return Decoded(batch(line(f"{len(body)}")))

    sink = house.sink(decoder=Watched())
    await sink.deliver(Message(b"x" * THREAD_ABOVE, START))
    await sink.deliver(Message(b"x" * (THREAD_ABOVE + 1), START))
    assert threads == [True, False]


async def test_a_message_over_the_limit_is_refused_and_its_beginning_kept(house):
    receipt = await house.sink().deliver(Message(b"x" * (MAX_MESSAGE + 1), START))
    assert receipt.rejected == 1
    (entry,) = await house.quarantine.list()
    assert not entry.whole
    assert entry.size == MAX_MESSAGE + 1
    assert str(MAX_MESSAGE) in entry.reason
    with pytest.raises(Skippable, match="only its beginning"):
        await house.sink().redeliver(await house.quarantine.get(entry.id))


async def test_an_event_too_large_for_the_journal_is_rejected_and_its_neighbours_go_on(house):
    lines = [line("small"), line("giant", text="x" * (MAX_EVENT + 1)), b"garbage", line("other", text="y" * 1000)]
    receipt = await house.sink().deliver(message(*lines))
    assert [(r.index, r.status) for r in receipt.results] == [(1, "rejected"), (2, "rejected")]
    assert house.log.ids() == ["small", "other"]


async def test_a_message_of_very_many_records_is_appended_in_slices_that_keep_their_numbers(house):
    count = 2 * SLICE + 10

    class Many:
        def decode(self, body, spec):
            return Decoded(pa.concat_batches([batch(*(line(str(n)) for n in range(count - 1)), line("0"))]), range(5, 5 + count))

    receipt = await house.sink(decoder=Many()).deliver(Message(b"x", START))
    assert receipt.accepted == count - 1
    assert [(r.index, r.status, r.id) for r in receipt.results] == [(5 + count - 1, "duplicate", "0")]
    assert max(rows.num_rows for _, rows in house.log.batches) == SLICE


async def test_a_whole_message_that_comes_again_is_told_record_by_record(house):
    """What a sender does whose answer was lost: every record of the message is a duplicate, in every slice of it."""
    count = SLICE + 100
    rows = pa.concat_batches([batch(*(line(str(n)) for n in range(count)))])

    class Many:
        def decode(self, body, spec):
            return Decoded(rows, range(5, 5 + count))

    sink = house.sink(decoder=Many())
    assert (await sink.deliver(Message(b"x", START))).results == []
    receipt = await sink.deliver(Message(b"x", START))
    assert (receipt.accepted, receipt.duplicates) == (0, count)
    assert [(r.index, r.status, r.id) for r in receipt.results] == [(5 + n, "duplicate", str(n)) for n in range(count)]


async def test_a_quarantined_record_is_retried_with_the_mapping_of_today(house):
    class Stricter(Lines):
        def decode(self, body, spec):
            decoded = super().decode(body, spec)
            return decoded if spec.title == "Fixed" else Decoded(batch().slice(0, 0), (), tuple(self.all_bad(body)))

        def all_bad(self, body):
            return [Reject(n, text, "this mapping cannot read it", f"line {n + 1}") for n, text in enumerate(body.split(b"\n"))]

    sink = house.sink(decoder=Stricter())
    await sink.deliver(message(line("a"), line("b")))
    entries = {entry.where: entry for entry in await house.quarantine.list()}
    assert set(entries) == {"line 1", "line 2"}
    waiting = await house.quarantine.get(entries["line 1"].id)
    still = await sink.redeliver(waiting)
    assert (still.accepted, still.rejected) == (0, 1)
    assert (await house.quarantine.get(waiting.id)).raw == line("a")
    fixed = house.sink(replace(make_spec(), title="Fixed"), Stricter())
    assert (await fixed.redeliver(waiting)).accepted == 1
    done = await house.quarantine.get(waiting.id)
    assert (done.state, done.raw) == ("retried", None)
    assert house.log.ids() == ["a"]
    with pytest.raises(Skippable, match="its bytes are gone"):
        await fixed.redeliver(done)


# --- overload ---------------------------------------------------------------------------------------------------------


async def test_a_flooding_feed_is_pushed_back_and_a_normal_one_is_not(tmp_path):
    house = House(tmp_path)
    house.log.hold = asyncio.Event()
    flood, normal = house.sink(make_spec("flood", priority=3)), house.sink(make_spec("normal"))
    bulky = b"\n".join(line(f"{n}", text="x" * 20_000) for n in range(50))
    held = [asyncio.create_task(flood.deliver(Message(bulky.replace(b'"id": "', b'"id": "%d ' % n), START))) for n in range(100)]
    await until(lambda: house.log.appending >= 30)
    others = [asyncio.create_task(normal.deliver(message(line(str(n))))) for n in range(200)]
    await until(lambda: normal.health.refused + house.log.appending >= 200)
    house.log.hold.set()
    answers = await asyncio.gather(*held, return_exceptions=True)
    pushed_back = [answer for answer in answers if isinstance(answer, OverloadError)]
    taken = sum(answer.accepted for answer in answers if not isinstance(answer, OverloadError))
    assert pushed_back
    assert all(answer.after for answer in pushed_back)
    assert taken == (100 - len(pushed_back)) * 50 == house.log.ids("flood").__len__()
    assert sum(receipt.accepted for receipt in await asyncio.gather(*others)) == 200
    assert normal.health.refused == 0
    assert flood.health.refused == len(pushed_back)
    assert house.shared.budget.held_total == 0
    house.close()


async def test_many_tiny_messages_are_bounded_too(house):
    house.log.hold = asyncio.Event()
    house.shared.budget.per_feed = 20 * (MESSAGE_COST + 100)
    sink = house.sink()
    deliveries = [asyncio.create_task(sink.deliver(message(line(str(n))))) for n in range(100)]
    await until(lambda: house.log.appending + sink.health.refused == 100)
    house.log.hold.set()
    await asyncio.gather(*deliveries, return_exceptions=True)
    assert 15 <= sink.health.accepted <= 25
    assert sink.health.accepted + sink.health.refused == 100


def test_the_lowest_priority_is_shed_first():
    budget = Budget(per_feed=100 * MB, total=100 * MB)
    refused = []
    for step in range(10):
        for priority in (1, 2, 3, 9):
            try:
                budget.take(f"feed {priority}", priority, 4 * MB)
            except OverloadError:
                refused.append((step, priority))
    first_refusal = {priority: min(step for step, who in refused if who == priority) for priority in {who for _, who in refused}}
    assert first_refusal[9] < first_refusal[3] < first_refusal[2]
    assert budget.held_total <= 100 * MB


def test_a_refused_message_leaves_the_budget_as_it_was():
    budget = Budget(per_feed=10, total=100)
    with budget.hold("a", 1) as hold:
        hold.grow(6)
        with pytest.raises(OverloadError, match="6 bytes in flight and may have 10"):
            hold.grow(6)
        assert budget.held == {"a": 6}
    assert budget.held_total == 0


async def test_slow_and_broken_feeds_do_not_touch_the_counts_of_others(house):
    good, bad = house.sink(make_spec("good")), house.sink(make_spec("bad"))
    for n in range(50):
        await bad.deliver(message(b"garbage %d" % n))
        await good.deliver(message(line(str(n))))
    assert (good.health.accepted, good.health.quarantined) == (50, 0)
    assert (bad.health.accepted, bad.health.quarantined) == (0, 50)
    assert good.health.state(house.clock.now()) != "failing"
    assert bad.health.state(house.clock.now()) == "failing"
    await bad.deliver(message(line("recovered")))
    assert bad.health.error is None


async def test_ids_written_before_a_restart_are_known_after_it(house):
    sink = house.sink()
    sink.dedup.remember(batch(line("a")), START - HOUR)
    receipt = await sink.deliver(message(line("a"), line("b")))
    assert (receipt.accepted, receipt.duplicates) == (1, 1)
    assert json.loads(line("a"))["id"] not in house.log.ids()
