"""The alerts view kept up with the ALERTS stream, whatever becomes of its database: shown at once, written a little later, and honest about it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from tocsin.alerts.address import remembered
from tocsin.alerts.store import AlertStore, Rewound
from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import Journal
from tocsin.journal.streams import ALERTS
from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Retriable

from .layout import NodeFile

log = logging.getLogger(__name__)
T = TypeVar("T")
Message = tuple[int, str, dict[str, Any]]

BATCH: Final = 500  # alert messages taken in at once
LIVE: Final = 16  # up to so many are taken in without the way through a thread, which costs more than the work
UNWRITTEN: Final = 5_000  # rows of the alerts view that may wait to be written; beyond, reading the stream waits
HELD: Final = 20_000  # ... while the database is away: some 60 MB of memory
WRITE_SECONDS: Final = 0.1  # between two transactions of the alerts view
LOOK_SECONDS: Final = 1.0  # between two looks whether a database that was away is back


def opened(node: NodeFile, city: str) -> AlertStore:
    """The alerts view where the node keeps it: a SQLite file of its own, or the PostgreSQL database of `--state`. Raises Misconfigured."""
    if not node.state:
        return AlertStore.open(f"sqlite:///{Path(node.data) / 'alerts.db'}")
    from tocsin.alerts.postgres import postgres

    return AlertStore(postgres(remembered(node.state), city))


async def follow_alerts(journal: Journal, store: AlertStore, changed: Callable[[], None]) -> None:
    """Takes in the alerts stream and has it shown at once; the tables follow a little later. Whenever they have gone back the stream is read
    from there again."""
    news = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(write_behind(store, news))
        while True:
            turn = store.turn
            start = await patiently(lambda: started(journal, store))
            changed()
            with contextlib.suppress(Rewound):
                await follow_from(journal, store, start, turn, changed, news)


async def started(journal: Journal, store: AlertStore) -> int:
    """The sequence to read from."""
    await asyncio.to_thread(store.write)  # takes up the tables
    position = store.position
    state = await journal.state(ALERTS)
    return await asyncio.to_thread(store.start, state.last, state.created, position)


async def follow_from(journal: Journal, store: AlertStore, start: int, turn: int, changed: Callable[[], None], news: asyncio.Event) -> None:
    """Takes in the stream from `start` on. Raises Rewound when the tables have gone back since `turn`."""
    pending: asyncio.Queue[Message] = asyncio.Queue(maxsize=4 * BATCH)

    async def fetch() -> None:
        async for message in read_alerts(journal, start, exercise=True):
            await pending.put(message)

    fetching = asyncio.create_task(fetch(), name="alerts stream")
    try:
        while True:
            messages = [await first_of(pending, fetching, store, turn)]
            while len(messages) < BATCH and not pending.empty():
                messages.append(pending.get_nowait())
            await taken(store, messages, turn)
            changed()
            news.set()
            await room(store)
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)


async def first_of(pending: asyncio.Queue[Message], fetching: asyncio.Task[None], store: AlertStore, turn: int) -> Message:
    """The next message, however long that takes. Raises Rewound, and what ended the reading of the stream."""
    while True:
        if not pending.empty():
            return pending.get_nowait()
        if fetching.done():
            await fetching
            raise Rewound  # it never ends by itself; were it to, it begins again
        if store.turn != turn:
            raise Rewound
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return await pending.get()


async def taken(store: AlertStore, messages: Sequence[Message], turn: int) -> None:
    """Takes them in, however long the database is away. What it need not be asked for is shown meanwhile. Raises Rewound."""
    if len(messages) <= LIVE and store.knows(messages):
        store.take(messages, turn)
    else:
        await patiently(lambda: asyncio.to_thread(store.take, messages, turn))


async def room(store: AlertStore) -> None:
    """Returns when so little waits to be written that more may be taken in."""
    while store.unwritten > (HELD if store.problem else UNWRITTEN):
        with contextlib.suppress(Retriable):
            await asyncio.to_thread(store.write)
        if store.problem:
            await asyncio.sleep(LOOK_SECONDS)


async def write_behind(store: AlertStore, news: asyncio.Event) -> None:
    """Writes the tables of the alerts view, all that has gathered in one transaction; looks again and again for a database that is away."""
    while True:
        if not store.problem:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await news.wait()
        news.clear()
        await patiently(lambda: asyncio.to_thread(store.write))
        await asyncio.sleep(WRITE_SECONDS)


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Again and again, with pauses that grow to some seconds, until it succeeds."""
    backoff = Backoff(base=0.2, cap=5.0)
    while True:
        try:
            return await work()
        except Retriable:  # the store says so in its log, in /readyz and in the metrics
            await asyncio.sleep(backoff.next())


def state_troubles(store: AlertStore) -> list[str]:
    """What keeps the alerts view from being complete, in words."""
    if not store.problem:
        return []
    waiting = f"; {store.unwritten} rows wait in memory" if store.unwritten else ""
    return [f"the state store is away, alerts go on and their list waits: {store.problem}{waiting}"]


def state_metrics(store: AlertStore) -> str:
    """The alerts view's database as Prometheus text."""
    behind = time.monotonic() - store.written_at if store.problem or store.unwritten else 0.0
    told = (
        ("up", "gauge", "Whether the tables of the alerts view can be written.", float(not store.problem)),
        ("shared", "gauge", "Whether they are in a database that several nodes may share.", float(store.database.shared)),
        ("position", "gauge", "Stream sequence of ALERTS that the alerts view shows.", store.position),
        ("unwritten_rows", "gauge", "Rows that are shown and not yet in the tables.", store.unwritten),
        ("behind_seconds", "gauge", "How long ago the tables last had all that is shown.", round(behind, 3)),
        ("faults_total", "counter", "Times the tables could not be written or read.", store.faults),
        ("rewinds_total", "counter", "Times the tables had gone back, so that the stream was read again.", store.turn),
        ("unreadable_total", "counter", "Messages of ALERTS that were left out because they are none.", store.unreadable),
    )
    names = ((f"tocsin_serve_state_{name}", kind, words, value) for name, kind, words, value in told)
    return "".join(f"# HELP {name} {words}\n# TYPE {name} {kind}\n{name} {value:g}\n" for name, kind, words, value in names)
