"""The ingest process: transports, decoding, quarantine, the journal writer, ticks and the webhook door."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tocsin.accountability.access import authorize
from tocsin.feeds import formats
from tocsin.feeds.catalog import Context
from tocsin.feeds.pipeline import Shared
from tocsin.feeds.quarantine import Quarantine
from tocsin.feeds.sealing import Seal
from tocsin.feeds.supervisor import Supervisor
from tocsin.feeds.tokens import Tokens
from tocsin.feeds.turns import Turns
from tocsin.feeds.webhook_app import Desk, webhook_app
from tocsin.feeds.webhook_hub import Hub
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.exercises import CONTROL
from tocsin.journal.inbox import inbox
from tocsin.journal.link import Reply
from tocsin.journal.reader import tail
from tocsin.journal.writer import OVERDUE, EventWriter
from tocsin.kernel.clock import Clock, Monotone
from tocsin.kernel.fault import Retriable, Skippable
from tocsin.model.city import City
from tocsin.model.time import SECOND

from . import injecting
from .follow import Follower
from .health import HEALTH_SECONDS, endpoint_of, journal_metrics, serving
from .inforce import InForce
from .injecting import Exercises
from .layout import NodeFile
from .pauses import shorten
from .steps import step, steps

log = logging.getLogger(__name__)

REMEMBER_ENTRIES = 100_000  # journal entries read back at start, so that ids stay known over a restart
EXERCISE_TICK_SECONDS = 0.1
CLOCK_BEHIND = 1.0  # seconds; less is the ordinary work of a time service


async def run(node: NodeFile) -> None:
    clock = Clock(**node.clock) if node.clock else Clock()
    marks = HighWater(Path(node.data) / "marks", "ingest")
    async with await connect(endpoint_of(node), name="ingest", high_water=marks) as journal:
        step("connected")
        known = [entry async for entry in tail(journal, count=REMEMBER_ENTRIES)]
        await _serve(node, clock, journal, known)


async def _serve(node: NodeFile, clock: Clock, journal: Journal, known: list[Entry]) -> None:
    data, news = Path(node.data), Follower(node, journal)
    city = (await news.begin()).city
    turns = Turns(feed.name for feed in city.feeds if feed.transport.name == "replay")
    monotone = Monotone(clock, max((entry.ingest for entry in known), default=0), turns.held)
    hub = Hub()
    writer = EventWriter(journal, city.region, monotone, on_settled=lambda _feed, batch, _seq: supervisor.remember(batch))
    quarantine = Quarantine(data / "quarantine.db", Seal.from_file(data / "quarantine.key"))
    shared = Shared(writer, quarantine, clock)
    end = city.exercise.end if city.exercise else None
    context = Context(clock, data, city.root, hub, lambda feed, opened: inbox(journal, feed, opened), turns=turns, until=end)
    supervisor = Supervisor(city.feeds, shared, context, formats.make_format)
    for entry in known:
        if entry.batch is not None:
            supervisor.remember(entry.batch)
    known.clear()
    step("state")
    shorten()
    step("tidied")
    desk = Desk(hub, frozenset(), Tokens(data / "tokens", ()), authorize, clock, shared.budget)
    open_doors(desk, city, data)

    exercises = Exercises(journal, city.root, monotone, lambda: in_force[0])
    in_force = [city]

    async def changed(found: InForce) -> None:
        in_force[0] = found.city
        what = await supervisor.reload(found.city.feeds)
        open_doors(desk, found.city, data)
        log.info("journal entry %d: feeds added %s, removed %s, restarted %s", found.entry, what.added, what.removed, what.restarted)

    await journal.subscribe("ctl.quarantine.retry", answering(journal, supervisor))
    await journal.subscribe(CONTROL, injecting.answering(journal, exercises))
    report = Report(journal, supervisor, monotone, news)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(exercises.run(), name="exercises")
            group.create_task(http(webhook_app(desk), node.ingest_port), name="webhooks")
            group.create_task(
                (fast_ticks if node.exercise_speed else ticks)(
                    writer, lambda: turns.opening or (played_out(clock, end) and not exercises.running)
                ),
                name="ticks",
            )
            group.create_task(report.run(), name="health")
            group.create_task(supervisor.run(stay=True), name="feeds")
            group.create_task(news.follow(changed), name="configuration")
    finally:
        await report.tell(last=True)


def open_doors(desk: Desk, city: City, data: Path) -> None:
    """Webhook feeds of the city: their names and tokens."""
    webhooks = frozenset(feed.name for feed in city.feeds if feed.transport.name == "webhook")
    desk.tokens, desk.declared = Tokens(data / "tokens", webhooks), webhooks


def played_out(clock: Clock, end: int | None) -> bool:
    """Whether the recorded time that the node plays is over. Nothing can be heard then, so a journal clock that went on would make an alert
    of every source that a rule listens for."""
    return end is not None and clock.now() >= end


async def ticks(writer: EventWriter, still: Callable[[], bool]) -> None:
    """The journal clock moves on when nothing is heard: at every full second, also one that was held up, so that a back-test, which has no ticks, finds
    deadlines pass at the same moments. What is missed while the journal is away is not made up for: nothing was known then. There is none while
    `still` says so: before recordings have said where time begins, and when they are over."""
    due = _full_second(writer.clock.now())
    while True:
        while (left := due - writer.clock.now()) > 0:  # noqa: ASYNC110 - a clock is no event
            await asyncio.sleep(min(1.0, max(0.002, left / SECOND)))
        if still():
            due, writer.due = _full_second(writer.clock.now()), None
            continue
        try:
            await writer.tick(due, due + SECOND)
        except Retriable as fault:
            log.warning("tick: %s", fault)
        due = due + SECOND if writer.clock.now() < due + OVERDUE else _full_second(writer.clock.now())
        writer.due = due


async def fast_ticks(writer: EventWriter, still: Callable[[], bool]) -> None:
    """In an exercise, whose time runs faster."""
    while True:
        await asyncio.sleep(EXERCISE_TICK_SECONDS)
        if still():
            continue
        try:
            await writer.tick()
        except Retriable as fault:
            log.warning("tick: %s", fault)


def _full_second(at: int) -> int:
    """The first full second after `at`."""
    return (at // SECOND + 1) * SECOND


async def http(app: Any, port: int) -> None:
    """Serves an ASGI application on loopback until cancelled."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, server_header=False, lifespan="off")
    await serving(uvicorn.Server(config))


@dataclass(slots=True)
class Report:
    """`health.ingest`."""

    journal: Journal
    supervisor: Supervisor
    monotone: Monotone
    news: Follower

    async def run(self) -> None:
        """Once a second."""
        told = False
        while True:
            behind = self.monotone.ahead / 1e6
            if behind > CLOCK_BEHIND and not told:
                log.error(
                    "this machine's clock is %.0f s behind the journal: it was set back; city time goes on slowly until it catches up",
                    behind,
                )
            told = behind > CLOCK_BEHIND
            await self.tell()
            await asyncio.sleep(HEALTH_SECONDS)

    async def tell(self, last: bool = False) -> None:
        """`last`: all that this process put into the journal is counted, and there will be no more of it."""
        body = {
            "process": "ingest",
            "last": last,
            "start": steps(),
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "clock": self.monotone.clock.to_json(),
            "config": self.news.entry,
            "feeds": self.supervisor.health.items(),
            "metrics": self.supervisor.metrics() + clock_metrics(self.monotone.ahead / 1e6) + journal_metrics(self.journal, "ingest"),
        }
        await self.journal.publish("health.ingest", json.dumps(body).encode())


def clock_metrics(ahead: float) -> str:
    name = "tocsin_ingest_clock_ahead_seconds"
    words = "How far city time is ahead of this machine's clock, because that was set back."
    return f"# HELP {name} {words}\n# TYPE {name} gauge\n{name} {ahead:.3f}\n"


def answering(journal: Journal, supervisor: Supervisor) -> Callable[[Reply], Awaitable[None]]:
    """Answers `ctl.quarantine.retry`."""

    async def answer(message: Reply) -> None:
        try:
            receipt = await supervisor.retry(str(json.loads(message.data)["id"]))
            body: dict[str, Any] = {"ok": receipt.rejected == 0, "accepted": receipt.accepted, "duplicates": receipt.duplicates}
            if receipt.results and receipt.rejected:
                body["reason"] = receipt.results[0].reason
        except (Skippable, Retriable, ValueError, KeyError) as fault:
            body = {"ok": False, "reason": str(fault)}
        await journal.publish(message.reply, json.dumps(body).encode())

    return answer
