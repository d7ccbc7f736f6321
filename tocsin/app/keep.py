"""The keep process: everything in the journal goes into the archive, exactly once; files are made, joined and let go in the background.

Alerts never wait for it. When the disk is full, the archive falls behind and says so, and goes on when there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa

from tocsin.archive.classes import classes_of
from tocsin.archive.compact import clock_of, compact
from tocsin.archive.keeper import Keeper
from tocsin.archive.retention import Retention, declare
from tocsin.archive.stock import stock
from tocsin.archive.sweep import sweep
from tocsin.archive.tombstones import Signer
from tocsin.journal.changes import SUBJECT as CONFIG
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.reader import DamagedEntry, last_seq, read
from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import DamagedStore, Retriable
from tocsin.kernel.priority import give_way
from tocsin.model.city import City

from . import inforce
from .health import HEALTH_SECONDS, endpoint_of, journal_metrics
from .keep_mirror import MirrorState, mirror
from .lapsing import Lapsing
from .layout import NodeFile
from .pauses import shorten

log = logging.getLogger(__name__)
T = TypeVar("T")

GATHER_SECONDS: Final = 0.5  # what comes within it is one commit
BUSY_ROWS: Final = 10_000  # more than these within it, and a commit takes longer, because large ones cost less for each row
BUSY_SECONDS: Final = 2.0
MOST_ROWS: Final = 400_000  # of one commit, a few entries more or less: what one may hold in memory
WAITING: Final = 10_000  # entries read and not yet looked at
QUIET_SECONDS: Final = 30.0  # the position moves on at least so often when nothing happens
LOOK_SECONDS: Final = 5.0  # between two looks at what is stored, for the figures
AGAIN_SECONDS: Final = 10.0  # between two looks at a damaged catalogue: it may have been mended
UPKEEP_SECONDS: Final = 60.0  # between two looks at what is to be joined or removed
TROUBLE: Final = (OSError, sqlite3.Error)


@dataclass(slots=True)
class State:
    """What is told of this process. `delayed`: why history is behind, None while it is not."""

    config: int = 0
    city: City | None = None
    position: int = 0
    newest: int = 0
    rows: int = 0
    doubles: int = 0
    joined: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    lapsed: int = 0
    delayed: str | None = None
    stored: dict[str, Any] = field(default_factory=dict)
    mirror: MirrorState = field(default_factory=MirrorState)

    @property
    def behind(self) -> int:
        return max(0, self.newest - self.position)


async def run(node: NodeFile) -> None:
    give_way()  # what alerts depend on comes first; history waits meanwhile, and says so
    pa.set_cpu_count(1)  # the other processor is for alerts
    marks = HighWater(Path(node.data) / "marks", "keep")
    async with await connect(endpoint_of(node), name="keep", high_water=marks) as journal:
        found = await inforce.current(journal, Path(node.city), node.layout)
        state = State(found.entry, found.city, 0, await last_seq(journal))
        while True:
            keeper = await opened(node, journal, state)
            shorten()
            await keeping(node, journal, keeper, state)
            await saying(journal, state, AGAIN_SECONDS)


async def opened(node: NodeFile, journal: Journal, state: State) -> Keeper:
    """The archive, as soon as its catalogue is sound; until then it is said what is wrong. Raises Retriable, Fatal."""
    while True:
        try:
            keeper = await asyncio.to_thread(Keeper, node.layout.archive, classes_of(state.city.feeds if state.city is not None else ()))
        except DamagedStore as fault:
            stalled(state, fault)
            await saying(journal, state, AGAIN_SECONDS)
        else:
            state.delayed, state.position = None, keeper.position
            return keeper


def stalled(state: State, fault: BaseException) -> None:
    if state.delayed != str(fault):
        log.error("the archive cannot be kept: %s", fault)
    state.delayed = str(fault)


async def saying(journal: Journal, state: State, seconds: float) -> None:
    """How it is, for so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await report(journal, state)


async def keeping(node: NodeFile, journal: Journal, keeper: Keeper, state: State) -> None:
    """Until the catalogue turns out to be damaged."""
    queue: asyncio.Queue[Entry | DamagedEntry] = asyncio.Queue(maxsize=WAITING)
    stopping = threading.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch(journal, keeper.position + 1, queue), name="journal")
            group.create_task(take_in(node, keeper, queue, state), name="take in")
            group.create_task(report(journal, state), name="health")
            group.create_task(look(keeper, journal, state), name="figures")
            group.create_task(mirrored(keeper, node, state), name="mirror")
            group.create_task(upkeep(keeper, journal, state, stopping.is_set), name="upkeep")
    except* DamagedStore as faults:
        stalled(state, faults.exceptions[0])
    finally:
        stopping.set()
        await asyncio.shield(asyncio.to_thread(keeper.close))


async def fetch(journal: Journal, start: int, queue: asyncio.Queue[Entry | DamagedEntry]) -> None:
    """Entries in order, and what could not be read in its place among them."""
    damaged: list[DamagedEntry] = []
    async for entry in read(journal, start, on_damage=damaged.append):
        for one in damaged:
            await queue.put(one)
        damaged.clear()
        await queue.put(entry)


async def take_in(node: NodeFile, keeper: Keeper, queue: asyncio.Queue[Entry | DamagedEntry], state: State) -> None:
    """Commits what comes, several entries together. What the disk does not take is tried again until it does."""
    written, clock = time.monotonic(), 0
    while True:
        found = await gathered(queue)
        entries = [one for one in found if isinstance(one, Entry)]
        for one in found:
            if isinstance(one, DamagedEntry) and one.kind != "expired":
                await patiently(state, partial(keeper.lost, one.first, one.last, one.kind, one.reason))
        for entry in entries:
            if entry.subject == CONFIG:
                adopt(keeper, state, await asyncio.to_thread(inforce.opened, entry, Path(node.city), node.layout))
        if not entries:
            continue
        events = [(entry.seq, entry.batch) for entry in entries if entry.batch is not None]
        last, clock = entries[-1].seq, max(clock, *(entry.ingest for entry in entries))
        if events or time.monotonic() - written > QUIET_SECONDS:
            state.rows += await patiently(state, partial(keeper.append, events, last, clock)) or 0
            state.doubles = keeper.doubles
            written = time.monotonic()
        state.position = last
        if await asyncio.to_thread(keeper.flush_due):
            await patiently(state, keeper.flush)


async def gathered(queue: asyncio.Queue[Entry | DamagedEntry]) -> list[Entry | DamagedEntry]:
    """What is taken in together: what half a second brings, or up to two when that is much."""
    found = [await queue.get()]
    rows, until = rows_of(found[0]), time.monotonic() + BUSY_SECONDS
    while True:
        await asyncio.sleep(GATHER_SECONDS)
        while rows < MOST_ROWS and not queue.empty():
            found.append(queue.get_nowait())
            rows += rows_of(found[-1])
        if not BUSY_ROWS <= rows < MOST_ROWS or time.monotonic() >= until:
            return found


def rows_of(entry: Entry | DamagedEntry) -> int:
    return len(entry.batch) if isinstance(entry, Entry) and entry.batch is not None else 0


def adopt(keeper: Keeper, state: State, found: inforce.InForce) -> None:
    keeper.classes = classes_of(found.city.feeds)
    state.config, state.city = found.entry, found.city


async def patiently(state: State, work: Callable[[], T]) -> T:
    """Until it is done. Meanwhile the archive says that it is delayed, and why."""
    backoff = Backoff(base=0.5, cap=10.0)
    while True:
        try:
            done = await asyncio.to_thread(work)
        except TROUBLE as fault:
            if state.delayed is None:
                log.error("the archive is delayed: %s; trying again", fault)
            state.delayed = str(fault)
            await asyncio.sleep(backoff.next())
        else:
            if state.delayed is not None:
                log.info("the archive goes on")
            state.delayed = None
            return done


async def upkeep(keeper: Keeper, journal: Journal, state: State, stop: Callable[[], bool]) -> None:
    """Joins files and removes what has lapsed, in the background. What somebody else is at, or the disk does not take, waits for the next time."""
    lapsing = Lapsing(journal)
    while True:
        if state.city is not None:
            restricted = {feed.name for feed in state.city.feeds if feed.sensitivity == "restricted"}
            spans = {feed.name: feed.retention for feed in state.city.feeds}
            try:
                state.joined += await asyncio.to_thread(tend, keeper, spans, stop, state.removed)
                gone = await lapsing.run(keeper.catalog, keeper.position, clock_of(keeper.catalog), restricted)
                state.lapsed += sum(gone.values())
            except (Retriable, *TROUBLE) as fault:
                log.warning("joining files and retention wait: %s", fault)
        await asyncio.sleep(UPKEEP_SECONDS)


def tend(keeper: Keeper, spans: dict[str, int], stop: Callable[[], bool], removed: dict[str, int]) -> int:
    """One round; rows written in joined files. Raises Retriable, OSError, sqlite3.Error. Before the journal has told the time there is none: by the
    wall clock, a node that plays 2017 would remove what it was given of 2017."""
    catalog = keeper.catalog
    declare(catalog, spans)
    if not catalog.get("clock"):
        return 0
    now = clock_of(catalog)
    for name, one in Retention(catalog, Signer(catalog.folder), now).run(stop).items():
        removed[name] = removed.get(name, 0) + one.rows
    written = compact(catalog, now, stop=stop)
    sweep(catalog)
    return written


async def mirrored(keeper: Keeper, node: NodeFile, state: State) -> None:
    """The second place of the archive, where the city declares one."""
    await mirror(keeper.catalog, Path(node.city), Path(node.data), lambda: None if state.city is None else state.city.mirror, state.mirror)


async def look(keeper: Keeper, journal: Journal, state: State) -> None:
    """What is stored, for the figures."""
    while True:
        with contextlib.suppress(Retriable):
            state.newest = await last_seq(journal)
        with contextlib.suppress(*TROUBLE):
            state.stored = await asyncio.to_thread(stock, keeper.catalog)
        await asyncio.sleep(LOOK_SECONDS)


async def report(journal: Journal, state: State) -> None:
    """`health.keep`, once a second."""
    while True:
        body = {
            "process": "keep",
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "config": state.config,
            "behind": state.behind,
            "last_seq": state.position,
            "archive": {"delayed": state.delayed, "behind": state.behind, "mirror": state.mirror.as_json(), **state.stored},
            "metrics": metrics(state) + journal_metrics(journal, "keep"),
        }
        await journal.publish("health.keep", json.dumps(body).encode())
        await asyncio.sleep(HEALTH_SECONDS)


def metrics(state: State) -> str:
    """Prometheus text."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    told: list[tuple[str, str, str, float]] = [
        ("rows_total", "counter", "Events taken into the archive since this process started.", state.rows),
        ("doubles_total", "counter", "Events left out because an import had brought them already.", state.doubles),
        ("joined_rows_total", "counter", "Events written again because files were joined.", state.joined),
        ("removed_rows_total", "counter", "Events removed because their retention was over.", sum(state.removed.values())),
        ("lapsed_entries_total", "counter", "Journal entries removed because their feed's retention was over.", state.lapsed),
        ("behind_entries", "gauge", "Journal entries that are not in the archive yet.", state.behind),
        ("delayed", "gauge", "1 while the archive cannot write what it should.", float(state.delayed is not None)),
        ("cpu_seconds_total", "counter", "Processor time of this process.", usage.ru_utime + usage.ru_stime),
        *state.mirror.metrics(),
        *((f"stored_{name}", "gauge", f"The archive's {name.replace('_', ' ')}.", float(value)) for name, value in state.stored.items()),
    ]
    lines = []
    for name, kind, words, value in told:
        full = f"tocsin_keep_{name}"
        lines += [f"# HELP {full} {words}", f"# TYPE {full} {kind}", f"{full} {value:g}"]
    return "\n".join(lines) + "\n"
