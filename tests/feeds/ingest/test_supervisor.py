"""Many feeds, some of them broken: each keeps its own trouble to itself."""

import asyncio
import logging
from collections import Counter

import pytest
from house import START, Lines, batch, line, make_spec, message, until

from tocsin.feeds.catalog import TRANSPORTS, Context, declared_options, make_transport, problems
from tocsin.feeds.contract import Message
from tocsin.feeds.supervisor import Supervisor
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.backoff import Backoff
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Fatal, Misconfigured, Problem, Retriable, Skippable

runs: Counter = Counter()


class Steady:
    """Sends one record after the other."""

    async def run(self, sink):
        for n in range(10_000):
            await sink.deliver(message(line(str(n))))
            await asyncio.sleep(0)


class Ending:
    async def run(self, sink):
        await sink.deliver(message(line("only")))


class Silent:
    async def run(self, _):
        await asyncio.get_running_loop().create_future()


def raising(fault: BaseException):
    class Raising:
        async def run(self, _):
            runs[str(fault)] += 1
            raise fault

    return Raising


class Unbuildable:
    def __init__(self) -> None:
        raise Misconfigured([Problem("feeds/x.yaml", 3, "no such thing")])


@pytest.fixture
def supervise(house):
    """kinds -> Supervisor over feeds named after their kind."""

    def make(**kinds):
        runs.clear()
        specs = [
            make_spec(name, **(more if isinstance(more, dict) else {}))
            for name, more in ((n, getattr(k, "spec", {})) for n, k in kinds.items())
        ]
        context = Context(house.clock, house.folder, house.folder, Hub(), lambda _: None)
        return Supervisor(
            specs,
            house.shared,
            context,
            lambda _: Lines(),
            transport_of=lambda spec, _: kinds[spec.name](),
            backoff=lambda: Backoff(0.01, 0.05),
        )

    return make


async def stop(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_transport_that_raises_every_time_disturbs_nobody(supervise, house):
    supervisor = supervise(
        steady=Steady,
        broken=raising(ZeroDivisionError("division by zero")),
        away=raising(Retriable("no route to the station")),
        wrong=Unbuildable,
        silent=Silent,
    )
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.health.feeds["steady"].accepted >= 100 and min(runs.values(), default=0) >= 3)
    states = {item["name"]: (item["state"], item["error"]) for item in supervisor.health.items()}
    assert states == {
        "steady": ("ok", None),
        "broken": ("failing", "ZeroDivisionError: division by zero"),
        "away": ("failing", "no route to the station"),
        "wrong": ("failing", "Misconfigured: feeds/x.yaml:3: no such thing"),
        "silent": ("waiting", None),
    }
    assert supervisor.health.feeds["broken"].restarts >= 3
    assert supervisor.health.feeds["steady"].restarts == 0
    await stop(running)


async def test_a_feed_that_ends_has_ended_and_the_rest_goes_on(supervise):
    supervisor = supervise(short=Ending, silent=Silent)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.health.feeds["short"].ended)
    assert [item["state"] for item in supervisor.health.items()] == ["ended", "waiting"]
    assert not running.done()
    await stop(running)


async def test_it_ends_when_every_feed_has_ended(supervise, house):
    await asyncio.wait_for(supervise(one=Ending, two=Ending).run(), 60)
    assert sorted(name for name, _ in house.log.batches) == ["one", "two"]


async def test_a_fatal_fault_stops_the_process_instead_of_being_retried(supervise, house):
    house.log.fail = [Fatal("the journal went back")]
    with pytest.raises(Fatal, match="the journal went back"):
        await asyncio.wait_for(supervise(steady=Steady, silent=Silent).run(), 60)


async def test_the_wait_of_a_fault_is_kept_and_success_resets_the_backoff(house):
    waits, tries = [], []

    class Told(Backoff):
        def next(self):
            waits.append(self.failures)
            return 0.0 * super().next()

    class Flaky:
        async def run(self, sink):
            tries.append(asyncio.get_running_loop().time())
            if len(tries) == 4:
                await sink.deliver(message(line("works")))
            if len(tries) == 7:
                await asyncio.get_running_loop().create_future()
            raise Retriable("again", 0.05 if len(tries) == 1 else None)

    context = Context(house.clock, house.folder, house.folder, Hub(), lambda _: None)
    supervisor = Supervisor([make_spec()], house.shared, context, lambda _: Lines(), transport_of=lambda *_: Flaky(), backoff=Told)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: len(tries) == 7)
    assert waits == [0, 1, 2, 0, 1, 2]
    assert tries[1] - tries[0] >= 0.05
    await stop(running)


async def test_an_unexpected_error_is_told_without_quoting_personal_data(supervise, caplog):
    secret = "555-867-5309"
    kind = raising(ValueError(f"cannot read {secret}"))
    kind.spec = {"personal": ("phone",)}
    supervisor = supervise(private=kind)
    with caplog.at_level(logging.DEBUG):
        running = asyncio.create_task(supervisor.run())
        await until(lambda: supervisor.health.feeds["private"].restarts)
        await stop(running)
    assert supervisor.health.items()[0]["error"] == "ValueError"
    assert "ValueError" in caplog.text
    assert secret not in caplog.text


async def test_a_transport_that_swallows_its_cancellation_is_told_again(supervise, house, monkeypatch):
    """As a library does whose answer comes in the same moment; a reload must not wait for it for ever."""
    monkeypatch.setattr("tocsin.feeds.supervisor.STOP_AGAIN", 0.05)

    class Deaf:
        async def run(self, _):
            runs["deaf"] += 1
            for _ in range(3):
                try:
                    await asyncio.get_running_loop().create_future()
                except asyncio.CancelledError:
                    runs["swallowed"] += 1
            await asyncio.get_running_loop().create_future()

    supervisor = supervise(deaf=Deaf)
    task = asyncio.create_task(supervisor.run(stay=True))
    await until(lambda: runs["deaf"])
    async with asyncio.timeout(120):
        assert (await supervisor.reload([])).removed == ("deaf",)
    assert runs["swallowed"] == 3
    await stop(task)


async def test_quarantined_records_are_retried_by_their_id(supervise, house):
    supervisor = supervise(levels=Silent)
    await supervisor._feeds["levels"].sink.deliver(Message(b"broken", START))
    (entry,) = await house.quarantine.list()
    assert (await supervisor.retry(entry.id)).rejected == 1
    with pytest.raises(Skippable, match="there is no record 'nothing' in quarantine"):
        await supervisor.retry("nothing")
    gone = supervise(other=Silent)
    with pytest.raises(Skippable, match="not declared any more"):
        await gone.retry(entry.id)


async def test_the_journals_tail_is_remembered_per_feed(supervise, house):
    supervisor = supervise(levels=Silent, other=Silent)
    supervisor.remember(batch(line("a"), feed="levels"))
    supervisor.remember(batch(line("z"), feed="not declared any more"))
    supervisor.remember(batch().slice(0, 0))
    one = await supervisor._feeds["levels"].sink.deliver(message(line("a")))
    two = await supervisor._feeds["other"].sink.deliver(message(line("a")))
    assert (one.duplicates, two.accepted) == (1, 1)


async def test_expired_quarantine_rows_are_purged_while_it_runs(supervise, house):
    supervisor = supervise(levels=Silent)
    await supervisor._feeds["levels"].sink.deliver(Message(b"broken", START))
    house.quarantine._wall = lambda: 2**62
    running = asyncio.create_task(supervisor.run())
    await until(
        lambda: (
            house.quarantine._thread.submit(lambda: house.quarantine._db.execute("SELECT count(*) FROM record").fetchone()).result() == (0,)
        )
    )
    await stop(running)


@pytest.mark.parametrize("name", TRANSPORTS)
def test_every_transport_can_be_loaded_and_declares_its_options(name):
    for option, declared in declared_options(name).items():
        assert declared.words, option
        assert not (declared.required and declared.default is not None)


def test_an_unknown_transport_is_explained_with_what_exists():
    (problem,) = problems(make_spec(transport="http_pol", options={"url": "x"}))
    assert str(problem) == (
        "feeds/levels.yaml:1: feed levels: no transport 'http_pol'; did you mean 'http_poll'? "
        "known: file_tail, http_poll, mqtt, mqtt_broker, replay, webhook"
    )
    assert problems(make_spec()) == []
    with pytest.raises(Misconfigured):
        make_transport(make_spec(transport="nothing"), Context(Clock(), None, None, Hub(), None))
