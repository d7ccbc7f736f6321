"""The serve process: API, live stream and console; events and alerts as views of the journal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tocsin import __version__
from tocsin.accountability.access import authorize
from tocsin.alerts.store import AlertStore
from tocsin.alerts.view import AlertsView
from tocsin.api.app import create_app
from tocsin.api.health_board import HealthBoard
from tocsin.api.recent import RecentEvents
from tocsin.api.server import bind, make_server
from tocsin.api.services import ArchiveView, Explain, QuarantineView, Services
from tocsin.feeds.quarantine import Quarantine
from tocsin.feeds.sealing import Seal
from tocsin.geo.layers import load_layers
from tocsin.geo.tiles import load_tiles
from tocsin.journal.alerts import publish_transition
from tocsin.journal.changes import SUBJECT as CONFIG
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.exercises import BEGIN, END
from tocsin.journal.link import Reply
from tocsin.journal.reader import last_seq, read
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Skippable, TocsinError
from tocsin.model.alert import Transition
from tocsin.model.asking import Filter, Patience
from tocsin.model.city import City
from tocsin.model.explanation import Explanation, Question
from tocsin.model.reporting import MakeReport, Report, ReportQuestion
from tocsin.model.time import EARLIEST, LATEST

from . import inforce
from .alertsview import follow_alerts, opened, state_metrics, state_troubles
from .backtest_jobs import Jobs
from .exercise import ExerciseDesk
from .health import HEALTH_SECONDS, ask_ingest, endpoint_of, journal_metrics, serving
from .layout import NodeFile
from .past import JournalPast
from .pauses import shorten
from .steps import step, steps

log = logging.getLogger(__name__)

REPORTED_ALERTS = 20_000  # the newest of a span that a report looks at
RECENT_ENTRIES = 50_000  # journal entries read back into the events view at start


async def run(node: NodeFile) -> None:
    data = Path(node.data)
    listener = bind("127.0.0.1", node.http_port)
    marks = HighWater(data / "marks", "serve")
    async with await connect(endpoint_of(node), name="serve", high_water=marks) as journal:
        step("connected")
        found = await inforce.current(journal, Path(node.city), node.layout)
        store = await asyncio.to_thread(opened, node, found.city.name)
        view = AlertsView(store, {})
        services = services_for(node, found.city, journal, view, store)
        services.past = JournalPast(node, store, view, lambda: services.city)
        services.exercises = ExerciseDesk(journal, Path(node.city), view)
        await running(services)
        show(services, view, found)
        step("views")
        app = create_app(services)
        server, hub = make_server(app), app.state.hub
        jobs = services.backtests
        await journal.subscribe("health.>", hearing(services.board))
        step("application")
        shorten()
        step("tidied")
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(follow_events(journal, services.recent, reloading(node, services, view)), name="events view"),
                group.create_task(follow_alerts(journal, store, hub.alerts_changed), name="alerts view"),
                group.create_task(report(journal, services, store), name="health"),
            ]
            try:
                await serving(server, sockets=[listener])
            finally:
                for task in tasks:
                    task.cancel()
                if isinstance(jobs, Jobs):
                    await jobs.close()


def show(services: Services, view: AlertsView, found: inforce.InForce) -> None:
    """What is in force from now on. Raises Misconfigured before anything has changed."""
    city = found.city
    layers, tiles = load_layers(layer for layer in city.layers if layer.kind != "tiles"), load_tiles(city.layers)
    services.city, services.layers, services.tiles, services.config = city, layers, tiles, found.entry
    view.declare({rule.name: rule for rule in city.plan.rules})


def reloading(node: NodeFile, services: Services, view: AlertsView) -> Callable[[Entry], Awaitable[None]]:
    """Takes over what a journal entry puts in force; entries that were read back are older than what is in force."""

    async def changed(entry: Entry) -> None:
        if entry.subject in (BEGIN, END):
            await running(services)
        elif entry.seq > services.config:
            found = await asyncio.to_thread(inforce.opened, entry, Path(node.city), node.layout)
            await asyncio.to_thread(show, services, view, found)
            log.info(
                "journal entry %d: %d rules, %d feeds, %d layers",
                entry.seq,
                len(found.city.plan.rules),
                len(found.city.feeds),
                len(found.city.layers),
            )

    return changed


async def running(services: Services) -> None:
    """Which exercise goes on now; one that cannot be read is none, and the real picture goes on."""
    try:
        services.running = None if services.exercises is None else await services.exercises.running()
    except (TocsinError, ValueError, KeyError, TypeError) as fault:
        log.error("the newest exercise cannot be read: %s", fault)
        services.running = None


def services_for(node: NodeFile, city: City, journal: Journal, view: AlertsView, store: AlertStore) -> Services:
    data = Path(node.data)
    console = Path(node.console)

    async def publish(transition: Transition) -> int:
        return (await publish_transition(journal, transition)).seq

    services: list[Services] = []
    archive = opening(node, services)
    made = Services(
        city=city,
        clock=Clock(**node.clock) if node.clock else Clock(),
        recent=RecentEvents(),
        alerts=view,
        publish_transition=publish,
        board=HealthBoard(),
        quarantine=cast(QuarantineView, Quarantine(data / "quarantine.db", Seal.from_file(data / "quarantine.key"))),
        retry_record=retrying(journal),
        authorize=authorize,
        version=__version__,
        not_ready=lambda: (*not_ready(journal), *state_troubles(store)),
        console=console if console.is_dir() else None,
        explain=explaining(node),
        archive=archive,
        reports=reporting(services, archive, view),
        backtests=Jobs(Path(node.city), data, node.layout.backtests),
        processes=("ingest", "correlate", *(f"shard-{shard}" for shard in range(node.shards))),
    )
    services.append(made)
    return made


def explaining(node: NodeFile) -> Explain:
    """The explainer is loaded when somebody first asks: it needs much of what the correlator needs."""
    made: list[Explain] = []

    async def answer(question: Question) -> Explanation:
        if not made:
            made.append((await asyncio.to_thread(import_module, "tocsin.app.explain")).answering(node))
        return await made[0](question)

    return answer


def opening(node: NodeFile, services: Sequence[Services]) -> Callable[[], ArchiveView]:
    """The archive's questions are loaded when somebody first asks one: they bring an engine along."""
    made: list[ArchiveView] = []
    lock = threading.Lock()

    def opened() -> ArchiveView:
        with lock:
            if not made:
                library = import_module("tocsin.app.library")
                made.append(library.Library(node.layout.archive, node.layout.data / "cache", lambda: services[0].layers))
            return made[0]

    return opened


def reporting(services: Sequence[Services], archive: Callable[[], ArchiveView], view: AlertsView) -> MakeReport:
    """Reports, likewise loaded when first asked for."""

    def make(asked: ReportQuestion, patience: Patience) -> Report:
        module = import_module("tocsin.app.reports")
        return cast(
            Report,
            module.Reports(lambda: services[0].city, archive, lambda: services[0].layers, alerts, services[0].clock.now).make(
                asked, patience
            ),
        )

    def alerts(wanted: Filter) -> list[dict[str, Any]]:
        start, stop = EARLIEST if wanted.start is None else wanted.start, LATEST if wanted.stop is None else wanted.stop
        return view.whole(start, stop, REPORTED_ALERTS)

    return make


def not_ready(journal: Journal) -> Sequence[str]:
    return () if journal.connected else (f"the journal is away: {journal.problem}",)


def hearing(board: HealthBoard) -> Callable[[Reply], Awaitable[None]]:
    async def heard(message: Reply) -> None:
        try:
            board.put(message.data)
        except Skippable as fault:
            log.warning("%s", fault)

    return heard


def retrying(journal: Journal) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """Asks ingest to try a quarantined record again."""

    async def retry(record: str) -> dict[str, Any]:
        return await ask_ingest(journal, "ctl.quarantine.retry", {"id": record})

    return retry


async def follow_events(journal: Journal, recent: RecentEvents, changed: Callable[[Entry], Awaitable[None]]) -> None:
    start = max(1, await last_seq(journal) - RECENT_ENTRIES)
    begun = start == 1
    async for entry in read(journal, start, exercise=True):
        if not begun and entry.subject != CONFIG:
            recent.starts_at(entry.ingest)
            begun = True
        recent.add(entry)
        if entry.subject in (CONFIG, BEGIN, END):
            await changed(entry)


async def report(journal: Journal, services: Services, store: AlertStore) -> None:
    """`health.serve`, once a second."""
    while True:
        body = {
            "process": "serve",
            "start": steps(),
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "config": services.config,
            "state": "; ".join(state_troubles(store)),
            "metrics": journal_metrics(journal, "serve") + state_metrics(store),
        }
        await journal.publish("health.serve", json.dumps(body).encode())
        await asyncio.sleep(HEALTH_SECONDS)
