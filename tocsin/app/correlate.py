"""The correlate process: the engine over the journal, alerts back into the journal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from pathlib import Path

from tocsin.correlate import snapshots
from tocsin.correlate.worker import Correlator
from tocsin.journal.alerts import publish_alert, read_alerts
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import READ, TOLD, WALL, Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.reader import fetch, last_seq, read
from tocsin.kernel.fault import Fatal, Retriable, Skippable
from tocsin.model.alert import Alert

from . import inforce
from .ingest import HEALTH_SECONDS, endpoint_of, journal_metrics
from .layout import NodeFile
from .pauses import shorten
from .reconcile import Reconciliation

log = logging.getLogger(__name__)


async def run(node: NodeFile) -> None:
    marks = HighWater(Path(node.data) / "marks", "correlate")
    async with await connect(endpoint_of(node), name="correlate", high_water=marks) as journal:
        began = time.monotonic()
        correlator = await resumed(node, journal)
        start = correlator.seq + 1
        shorten()
        log.info("kernels ready after %.1f s; reading the journal from entry %d", time.monotonic() - began, start)

        async def publish(alert: Alert) -> None:
            await publish_alert(journal, alert, times=dict(zip((WALL, READ, TOLD), correlator.times(alert), strict=True)))

        async with asyncio.TaskGroup() as group:
            reconciliation = Reconciliation(journal, correlator)
            group.create_task(report(journal, correlator, reconciliation), name="health")
            group.create_task(reconciliation.run(), name="reconciliation")
            await correlator.run(read(journal, start), publish)
            raise Fatal("the journal ended")


async def published(journal: Journal) -> dict[str, int]:
    """Newest revision of every alert that is durable already: none of them is told again after a crash."""
    found: dict[str, int] = {}
    async for _, subject, content in read_alerts(journal, 1, follow=False):
        if subject.startswith("alert."):
            found[content["id"]] = max(found.get(content["id"], 0), content["revision"])
    return found


async def resumed(node: NodeFile, journal: Journal) -> Correlator:
    """A correlator that has loaded the snapshot, under the rules it was taken under; or one at the start of the journal."""
    known = snapshots.setting_of(snapshot_of(node))
    if known:
        try:
            found = await inforce.at_entry(journal, known, Path(node.city), node.layout)
        except Skippable as fault:
            log.warning("the rules of the snapshot are not in the journal any more, so it is not used: %s", fault)
        else:
            correlator = await correlator_for(node, found, journal)
            correlator.warm_up()
            if correlator.resume():
                return correlator
    correlator = await correlator_for(node, await inforce.at_entry(journal, 0, Path(node.city), node.layout), journal)
    correlator.warm_up()
    correlator.resume()
    return correlator


def snapshot_of(node: NodeFile) -> Path:
    return node.layout.snapshots / "engine"


async def correlator_for(node: NodeFile, found: inforce.InForce, journal: Journal) -> Correlator:
    async def again(seq: int) -> Entry:
        return await fetch(journal, seq)

    setting = inforce.setting(found)
    return Correlator(
        setting.plan,
        again,
        name_place=setting.name_place,
        published=await published(journal),
        snapshot=snapshot_of(node),
        corrects=setting.corrects,
        skews=setting.skews,
        lateness=setting.lateness,
        exercise=node.exercise_speed is not None,
        live_from=await last_seq(journal),
        in_force=(setting.entry, setting.version),
        configure=inforce.configure(Path(node.city), node.layout),
    )


async def behind(journal: Journal, seq: int) -> int | None:
    """Entries after `seq`; None while the journal is away, which is no reason to end."""
    try:
        return max(0, await last_seq(journal) - seq)
    except Retriable:
        return None


async def report(journal: Journal, correlator: Correlator, reconciliation: Reconciliation) -> None:
    """`health.correlate`, once a second."""
    while True:
        p50, p99 = (correlator.latency.quantile(share) for share in (0.5, 0.99))
        body = {
            "process": "correlate",
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "last_seq": correlator.seq,
            "config": correlator.setting.entry,
            "rules": len(correlator.setting.plan.rules),
            "behind": await behind(journal, correlator.seq),
            "ingest_to_alert_ms": {
                "p50": None if p50 is None else round(p50 * 1e3, 2),
                "p99": None if p99 is None else round(p99 * 1e3, 2),
            },
            "metrics": correlator.metrics() + reconciliation.metrics() + journal_metrics(journal, "correlate"),
        }
        await journal.publish("health.correlate", json.dumps(body).encode())
        await asyncio.sleep(HEALTH_SECONDS)
