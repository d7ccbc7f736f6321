"""The correlate process: the engine over the journal, alerts back into the journal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tocsin.correlate import snapshots
from tocsin.correlate.engine import Engine
from tocsin.correlate.recent import Entry as Recorded
from tocsin.correlate.shards.desk import Desk
from tocsin.correlate.shards.regions import Regions
from tocsin.correlate.shards.together import gathered_engine
from tocsin.correlate.worker import Correlator
from tocsin.journal.alerts import publish_alert, read_alerts
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import READ, TOLD, WALL, Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.reader import fetch, last_seq, read
from tocsin.kernel.fault import Fatal, Retriable, Skippable
from tocsin.model.alert import Alert

from . import inforce
from .exercising import ExerciseEngine
from .gathering import Gathering
from .handover import Handover
from .health import HEALTH_SECONDS, endpoint_of, journal_metrics
from .layout import NodeFile
from .pauses import shorten
from .reconcile import Reconciliation
from .steps import step, steps
from .turn import Turn, turn

log = logging.getLogger(__name__)


def prepare() -> None:
    """The kernels are loaded, or compiled, before there is anything to read."""
    Engine.warm_up()


async def run(node: NodeFile) -> None:
    """The one correlator of a node; or, where several processes may be it, this one when its turn comes."""
    name = node.process or "correlate"
    marks = HighWater(Path(node.data) / "marks", name)
    async with await connect(endpoint_of(node), name=name, high_water=marks) as journal:
        step("connected")
        if not node.taken_in_turn:
            await _correlate(node, journal, None, Told())
            return
        Engine.warm_up()
        told = Told()
        mine = await turn(node, journal, "correlate", "alerts", lambda: told.follow(journal))
        try:
            await _correlate(node, journal, mine, told)
        finally:
            await mine.baton.close()


async def _correlate(node: NodeFile, journal: Journal, mine: Turn | None, told: Told) -> None:
    """`mine`: this process's turn, None where it is the only one."""
    began = time.monotonic()
    handover = None if mine is None else Handover(journal, mine.work, snapshot_of(node))
    if handover is not None:
        await handover.fetch()
    desk = Desk() if node.shards else None
    correlator = await resumed(node, journal, await told.all(journal), desk)
    gathering = None if desk is None else Gathering(journal, node.shards, desk)
    if gathering is not None:
        await gathering.prepare()
    start = correlator.seq + 1
    step("state")
    shorten()
    step("tidied")
    log.info("kernels ready after %.1f s; reading the journal from entry %d", time.monotonic() - began, start)

    async def publish(alert: Alert) -> None:
        times = dict(zip((WALL, READ, TOLD), correlator.times(alert), strict=True))
        await publish_alert(journal, alert, times=times, fence=None if mine is None else mine.fence)

    async with asyncio.TaskGroup() as group:
        reconciliation = Reconciliation(journal, correlator)
        exercises = ExerciseEngine(node, journal)
        more = [part.metrics for part in (reconciliation, gathering, handover, exercises) if part is not None]
        group.create_task(report(journal, correlator, more), name="health")
        group.create_task(reconciliation.run(), name="reconciliation")
        group.create_task(exercises.run(), name="exercises")
        if mine is not None and handover is not None:
            group.create_task(mine.watch(), name="turn")
            group.create_task(handover.run(), name="hand over")
        entries: AsyncIterator[Recorded] = read(journal, start)
        if gathering is not None:
            group.create_task(gathering.run(), name="matches")
            entries = gathering.entries(entries)
        await correlator.run(entries, publish)
        raise Fatal("the journal ended")


class Told:
    """Newest revision of every alert that is durable already: none of them is told again after a crash."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._seq = 0

    async def follow(self, journal: Journal) -> None:
        """For ever, while somebody else tells alerts: so that little is left to read when this process's turn comes."""
        async for message in read_alerts(journal, 1):
            self._note(*message)

    async def all(self, journal: Journal) -> dict[str, int]:
        """Up to what is in the journal now."""
        async for message in read_alerts(journal, self._seq + 1, follow=False):
            self._note(*message)
        return self._newest

    def _note(self, seq: int, subject: str, content: dict[str, Any]) -> None:
        self._seq = seq
        if subject.startswith("alert."):
            self._newest[content["id"]] = max(self._newest.get(content["id"], 0), content["revision"])


async def resumed(node: NodeFile, journal: Journal, told: Mapping[str, int], desk: Desk | None) -> Correlator:
    """A correlator that has loaded the snapshot, under the rules it was taken under; or one at the start of the journal. `desk`: where
    it finds what shards found, None where it matches everything itself."""
    known = snapshots.setting_of(snapshot_of(node))
    if known:
        try:
            found = await inforce.at_entry(journal, known, Path(node.city), node.layout)
        except Skippable as fault:
            log.warning("the rules of the snapshot are not in the journal any more, so it is not used: %s", fault)
        else:
            correlator = await correlator_for(node, found, journal, told, desk)
            correlator.warm_up()
            if correlator.resume():
                return correlator
    correlator = await correlator_for(node, await inforce.at_entry(journal, 0, Path(node.city), node.layout), journal, told, desk)
    correlator.warm_up()
    correlator.resume()
    return correlator


def snapshot_of(node: NodeFile) -> Path:
    """The second process for the same work has a file of its own."""
    first = node.process in {"", "correlate"}
    return node.layout.snapshots / ("engine" if first else f"engine-{node.process}")


async def correlator_for(
    node: NodeFile, found: inforce.InForce, journal: Journal, told: Mapping[str, int], desk: Desk | None
) -> Correlator:
    async def again(seq: int) -> Entry:
        return await fetch(journal, seq)

    setting = inforce.setting(found)
    return Correlator(
        setting.plan,
        again,
        name_place=setting.name_place,
        published=told,
        snapshot=snapshot_of(node),
        corrects=setting.corrects,
        skews=setting.skews,
        lateness=setting.lateness,
        exercise=node.exercise_speed is not None,
        live_from=await last_seq(journal),
        engine=None if desk is None else gathered_engine(setting, desk, Regions(node.cuts)),
        in_force=(setting.entry, setting.version),
        configure=inforce.configure(Path(node.city), node.layout),
    )


async def behind(journal: Journal, seq: int) -> int | None:
    """Entries after `seq`; None while the journal is away, which is no reason to end."""
    try:
        return max(0, await last_seq(journal) - seq)
    except Retriable:
        return None


def said_of_forgotten(now: int, before: int) -> int:
    """Logs when more events gave way than `before`. Returns how many did in all."""
    if now > before:
        log.error(
            "%d events gave way that rules could still have needed, %d in all: more lie within their windows and the feeds' lateness than the store holds."
            " Alerts may be missing; narrow the windows, or the largest `lateness`",
            now - before,
            now,
        )
    return now


async def report(journal: Journal, correlator: Correlator, more: Sequence[Callable[[], str]]) -> None:
    """`health.correlate`, once a second. `more`: further metrics."""
    forgotten = 0
    while True:
        forgotten = said_of_forgotten(correlator.forgotten, forgotten)
        p50, p99 = (correlator.latency.quantile(share) for share in (0.5, 0.99))
        body = {
            "process": "correlate",
            "start": steps(),
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "last_seq": correlator.seq,
            "untold": correlator.untold,
            "config": correlator.setting.entry,
            "rules": len(correlator.setting.plan.rules),
            "behind": await behind(journal, correlator.seq),
            "ingest_to_alert_ms": {
                "p50": None if p50 is None else round(p50 * 1e3, 2),
                "p99": None if p99 is None else round(p99 * 1e3, 2),
            },
            "metrics": correlator.metrics() + "".join(text() for text in more) + journal_metrics(journal, "correlate"),
        }
        await journal.publish("health.correlate", json.dumps(body).encode())
        await asyncio.sleep(HEALTH_SECONDS)
