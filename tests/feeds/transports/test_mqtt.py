"""The inbox of the embedded server: confirmed after the events are durable, in order, and never otherwise."""

import asyncio

import pytest
from house import House, line, make_spec, until

from tocsin.feeds.catalog import Context, make_transport
from tocsin.feeds.transports.delivery import deliver_in_order
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Fatal, Misconfigured, Retriable


class Inbox:
    """What devices published, and what was confirmed of it."""

    def __init__(self, *bodies: bytes, then: Exception | None = None) -> None:
        self.bodies, self.then = list(bodies), then
        self.confirmed: list[bytes] = []
        self.given = 0

    async def __call__(self, feed: str, opened=lambda: None):
        assert feed == "levels"
        opened()
        for body in self.bodies:
            self.given += 1
            yield body, self.confirming(body)
        if self.then:
            raise self.then
        await asyncio.get_running_loop().create_future()

    def confirming(self, body: bytes):
        async def confirm() -> None:
            self.confirmed.append(body)

        return confirm


def run(house: House, inbox: Inbox, **options):
    spec = make_spec("levels", "mqtt", options)
    sink = house.sink(spec)
    return sink, asyncio.create_task(make_transport(spec, Context(Clock(), house.folder, house.folder, Hub(), inbox)).run(sink))


async def test_a_message_is_confirmed_after_it_is_durable(house):
    house.log.hold = asyncio.Event()
    inbox = Inbox(line("a"), b"garbage", line("a"), line("b"))
    sink, running = run(house, inbox)
    await until(lambda: house.log.appending == 2)
    assert inbox.confirmed == []
    house.log.hold.set()
    await until(lambda: len(inbox.confirmed) == 4)
    assert inbox.confirmed == inbox.bodies
    assert house.log.ids() == ["a", "b"]
    assert (sink.health.duplicates, sink.health.quarantined) == (1, 1)
    running.cancel()


async def test_no_more_than_the_declared_number_is_in_flight(house):
    house.log.hold = asyncio.Event()
    inbox = Inbox(*(line(str(n)) for n in range(100)))
    _, running = run(house, inbox, in_flight=5)
    await until(lambda: house.log.appending >= 5)
    await asyncio.sleep(0.05)
    assert inbox.given <= 5 + 2
    house.log.hold.set()
    await until(lambda: len(inbox.confirmed) == 100)
    running.cancel()


async def test_a_busy_journal_delays_and_loses_nothing(house):
    house.log.fail = [Retriable("busy", 0.01), Retriable("busy", 0.01)]
    inbox = Inbox(*(line(str(n)) for n in range(10)))
    _, running = run(house, inbox)
    await until(lambda: len(inbox.confirmed) == 10)
    assert inbox.confirmed == inbox.bodies
    assert sorted(house.log.ids()) == [str(n) for n in range(10)]
    running.cancel()


@pytest.mark.parametrize("fault", [Retriable("the stream went away"), RuntimeError("odd")])
async def test_a_fault_of_the_source_ends_the_run_as_it_is(house, fault):
    _, running = run(house, Inbox(line("a"), then=fault))
    with pytest.raises(type(fault), match=str(fault)):
        await running


async def test_a_fatal_fault_of_the_journal_ends_the_run_unconfirmed(house):
    house.log.fail = [Fatal("rewound")]
    inbox = Inbox(line("a"))
    _, running = run(house, inbox)
    with pytest.raises(Fatal, match="rewound"):
        await running
    assert inbox.confirmed == []


async def test_personal_fields_are_refused_where_the_raw_message_is_stored_first(house):
    spec = make_spec("levels", "mqtt", personal=("phone",))
    with pytest.raises(Misconfigured, match="stores every message as it came before they can be dropped; use one of file_tail, http_poll"):
        make_transport(spec, Context(Clock(), house.folder, house.folder, Hub(), Inbox()))


async def test_confirmations_keep_their_order_when_deliveries_do_not():
    confirmed = []

    async def source():
        for n in range(20):
            yield n

    async def deliver(n):
        await asyncio.sleep(0.001 * ((n * 7) % 5))

    async def confirm(n):
        confirmed.append(n)

    await deliver_in_order(source(), deliver, confirm, 8)
    assert confirmed == list(range(20))


async def test_a_journal_that_is_back_is_no_fault_of_a_feed_that_has_nothing_to_say(house):
    sink, running = run(house, Inbox())
    sink.health.failed("the journal is not reachable")
    await until(lambda: sink.health.error is None)
    running.cancel()
