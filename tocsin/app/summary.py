"""What a run came to, as one JSON object: for `--json` and for tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import Journal
from tocsin.journal.reader import last_seq
from tocsin.model.alert import Alert

from .steps import steps

if TYPE_CHECKING:
    from .node import Running


async def final_alerts(journal: Journal) -> list[Alert]:
    """The newest revision of every alert in the journal."""
    newest: dict[str, Alert] = {}
    async for _, subject, content in read_alerts(journal, 1, follow=False):
        if subject.startswith("alert."):
            alert = msgspec.convert(content, Alert)
            held = newest.get(alert.id)
            if held is None or alert.revision >= held.revision:
                newest[alert.id] = alert
    return list(newest.values())


async def fell_silent(node: Running, patience: float = 10.0) -> bool:
    """Ends the feeds, and waits until correlate has read all that they brought and what it told of it is in the journal, too. Whether it came to that:
    it is waited for as long as it gets on, and given up when nothing has changed for `patience` seconds."""
    await node.children.stop("ingest")
    stood, waited = None, 0
    while waited < round(patience / 0.1):
        brought, correlated = node.health.get("ingest", {}), node.health.get("correlate", {})
        if brought.get("last") and correlated.get("last_seq", 0) >= await last_seq(node.journal) and not correlated.get("untold"):
            return True
        before, stood = stood, (bool(brought.get("last")), correlated.get("last_seq", 0), correlated.get("untold"))
        waited = waited + 1 if stood == before else 0
        await asyncio.sleep(0.1)
    return False


async def summary(node: Running) -> dict[str, Any]:
    """events, duplicates, quarantined, alerts, alerts_hash, ingest_to_alert_ms {p50, p99}, feeds. The node hears nothing more after it."""
    complete = await fell_silent(node)
    feeds = node.health.get("ingest", {}).get("feeds", [])
    alerts = await final_alerts(node.journal)
    correlate = node.health.get("correlate", {})
    return {
        "events": sum(feed["accepted"] for feed in feeds),
        "duplicates": sum(feed["duplicates"] for feed in feeds),
        "conflicts": sum(feed["conflicts"] for feed in feeds),
        "quarantined": sum(feed["quarantined"] for feed in feeds),
        "alerts": len(alerts),
        "alerts_hash": alerts_hash(alerts),
        "ingest_to_alert_ms": correlate.get("ingest_to_alert_ms", {"p50": None, "p99": None}),
        "correlated_to_the_end": complete,
        "ready_s": round(node.ready_seconds, 2),
        "start": {"node": steps()} | {name: told["start"] for name, told in node.health.items() if "start" in told},
        "feeds": {feed["name"]: {key: feed[key] for key in ("state", "accepted", "duplicates", "quarantined")} for feed in feeds},
    }
