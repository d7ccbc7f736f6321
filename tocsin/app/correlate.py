"""The correlate process: the engine over the journal, alerts back into the journal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from pathlib import Path

from tocsin.config.load import load_city
from tocsin.correlate.corrections import correcting
from tocsin.correlate.worker import Correlator
from tocsin.geo.layers import load_layers
from tocsin.geo.places import PlaceNames
from tocsin.journal.alerts import publish_alert, read_alerts
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import READ, TOLD, WALL, Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.reader import fetch, last_seq, read
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.alert import Alert
from tocsin.model.city import City

from .ingest import HEALTH_SECONDS, endpoint_of, journal_metrics
from .layout import NodeFile
from .pauses import shorten

log = logging.getLogger(__name__)


async def run(node: NodeFile) -> None:
    city = load_city(Path(node.city))
    marks = HighWater(Path(node.data) / "marks", "correlate")
    async with await connect(endpoint_of(node), name="correlate", high_water=marks) as journal:
        correlator = await correlator_for(city, journal, Path(node.data) / "snapshot" / "engine", node.exercise_speed is not None)
        began = time.monotonic()
        correlator.warm_up()
        start = correlator.resume() + 1
        shorten()
        log.info("kernels ready after %.1f s; reading the journal from entry %d", time.monotonic() - began, start)

        async def publish(alert: Alert) -> None:
            await publish_alert(journal, alert, times=dict(zip((WALL, READ, TOLD), correlator.times(alert), strict=True)))

        async with asyncio.TaskGroup() as group:
            group.create_task(report(journal, correlator), name="health")
            await correlator.run(read(journal, start), publish)
            raise Fatal("the journal ended")


async def published(journal: Journal) -> dict[str, int]:
    """Newest revision of every alert that is durable already: none of them is told again after a crash."""
    found: dict[str, int] = {}
    async for _, subject, content in read_alerts(journal, 1, follow=False):
        if subject.startswith("alert."):
            found[content["id"]] = max(found.get(content["id"], 0), content["revision"])
    return found


async def correlator_for(city: City, journal: Journal, snapshot: Path, exercise: bool) -> Correlator:
    async def again(seq: int) -> Entry:
        return await fetch(journal, seq)

    return Correlator(
        city.plan,
        again,
        name_place=PlaceNames(load_layers(layer for layer in city.layers if layer.places).values()).name,
        published=await published(journal),
        snapshot=snapshot,
        corrects=correcting(city.feeds),
        skews={feed.name: feed.skew for feed in city.feeds},
        exercise=exercise,
        live_from=await last_seq(journal),
    )


async def behind(journal: Journal, seq: int) -> int | None:
    """Entries after `seq`; None while the journal is away, which is no reason to end."""
    try:
        return max(0, await last_seq(journal) - seq)
    except Retriable:
        return None


async def report(journal: Journal, correlator: Correlator) -> None:
    """`health.correlate`, once a second."""
    while True:
        p50, p99 = (correlator.latency.quantile(share) for share in (0.5, 0.99))
        body = {
            "process": "correlate",
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "last_seq": correlator.seq,
            "behind": await behind(journal, correlator.seq),
            "ingest_to_alert_ms": {
                "p50": None if p50 is None else round(p50 * 1e3, 2),
                "p99": None if p99 is None else round(p99 * 1e3, 2),
            },
            "metrics": correlator.metrics() + journal_metrics(journal, "correlate"),
        }
        await journal.publish("health.correlate", json.dumps(body).encode())
        await asyncio.sleep(HEALTH_SECONDS)
