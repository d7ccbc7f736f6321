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


async def caught_up(node: Running, patience: float = 10.0) -> bool:
    """Waits until correlate has read all that is in the journal now."""
    last = await last_seq(node.journal)
    for _ in range(round(patience / 0.1)):
        if node.health.get("correlate", {}).get("last_seq", 0) >= last:
            return True
        await asyncio.sleep(0.1)
    return False


async def summary(node: Running) -> dict[str, Any]:
    """events, duplicates, quarantined, alerts, alerts_hash, ingest_to_alert_ms {p50, p99}, feeds."""
    complete = await caught_up(node)
    await asyncio.sleep(1.1)  # one more health report, so that the counts belong together
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
