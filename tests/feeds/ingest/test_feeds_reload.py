"""Other feeds are declared while they run: only what changed is stopped, nobody forgets which ids are known."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from house import Lines, line, make_spec, message, until

from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Sink
from tocsin.feeds.supervisor import Changed, Supervisor
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.fault import Misconfigured, Problem
from tocsin.model.feed import FeedSpec


class Sender:
    """Sends the same records at every start and then stays; counts how often it was started and stopped."""

    began: ClassVar[Counter[str]] = Counter()
    stopped: ClassVar[Counter[str]] = Counter()

    def __init__(self, spec: FeedSpec) -> None:
        self.spec = spec

    async def run(self, sink: Sink) -> None:
        self.began[self.spec.name] += 1
        for n in range(3):
            await sink.deliver(message(line(str(n))))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.stopped[self.spec.name] += 1


def a_format(spec: FeedSpec) -> Any:
    if spec.title == "cannot be decoded":
        raise Misconfigured([Problem(spec.file, spec.line, "no such format")])
    return Lines()


@pytest.fixture
async def supervisor(house: Any) -> Any:
    Sender.began.clear()
    Sender.stopped.clear()
    context = Context(house.clock, house.folder, house.folder, Hub(), lambda _: None)  # type: ignore[arg-type, return-value]
    made = Supervisor(specs("a", "b", "c"), house.shared, context, a_format, transport_of=lambda spec, _: Sender(spec))
    running = asyncio.create_task(made.run(stay=True))
    await until(lambda: all(feed.accepted == 3 for feed in made.health.feeds.values()))
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def specs(*names: str) -> list[FeedSpec]:
    return [make_spec(name) for name in names]


async def test_only_what_changed_is_stopped(supervisor: Supervisor) -> None:
    moved, changed, _ = specs("a", "b", "c")
    wanted = [make_spec("d"), replace(changed, title="another"), replace(moved, line=99)]
    assert await supervisor.reload(wanted) == Changed(("d",), ("c",), ("b",))
    await until(lambda: supervisor.health.feeds["d"].accepted == 3 and supervisor.health.feeds["b"].duplicates == 3)
    assert [item["name"] for item in supervisor.health.items()] == ["d", "b", "a"]
    assert (Sender.began, Sender.stopped) == (Counter(a=1, b=2, c=1, d=1), Counter(b=1, c=1))
    assert supervisor.health.feeds["b"].accepted == 3  # it goes on counting, and knows its ids
    assert supervisor.health.feeds["b"].item()["title"] == "another"
    assert 'feed="c"' not in supervisor.metrics()


async def test_a_feed_that_comes_back_knows_its_ids(supervisor: Supervisor) -> None:
    await supervisor.reload(specs("a", "b"))
    await supervisor.reload(specs("a", "b", "c"))
    await until(lambda: supervisor.health.feeds["c"].duplicates == 3)
    assert supervisor.health.feeds["c"].accepted == 0


async def test_nothing_is_stopped_when_one_cannot_be_made(supervisor: Supervisor) -> None:
    with pytest.raises(Misconfigured, match="no such format"):
        await supervisor.reload([*specs("a"), replace(make_spec("x"), title="cannot be decoded")])
    assert not Sender.stopped
    assert list(supervisor.health.feeds) == ["a", "b", "c"]


async def test_all_feeds_may_go_and_others_come(supervisor: Supervisor) -> None:
    assert (await supervisor.reload([])).removed == ("a", "b", "c")
    assert supervisor.health.items() == []
    assert await supervisor.reload(specs("a")) == Changed(("a",), (), ())
    await until(lambda: supervisor.health.feeds["a"].duplicates == 3)
