"""One hash over the final state of all alerts: equal for the same journal, rules and layers, whatever happened on the way.

It leaves out what may differ between two honest runs: wall times, revision numbers, when an amendment was told, and the journal
positions of events (a batch may have been cut differently).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from tocsin.model.alert import Alert


def alerts_hash(alerts: Iterable[Alert]) -> str:
    """sha256 (hex) of all alerts sorted by id; of several revisions of one alert the newest counts."""
    newest: dict[str, Alert] = {}
    for alert in alerts:
        known = newest.get(alert.id)
        if known is None or known.revision <= alert.revision:
            newest[alert.id] = alert
    digest = hashlib.sha256()
    for name in sorted(newest):
        digest.update(json.dumps(final_state(newest[name]), ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()


def final_state(alert: Alert) -> list[Any]:
    """What is compared of one alert. `raised` and `amended` are both standing: which of the two depends on when it was told."""
    return [
        alert.id,
        alert.rule,
        alert.rule_version,
        "retracted" if alert.status == "retracted" else "standing",
        alert.opened,
        alert.count,
        sorted([event.feed, event.id] for event in alert.evidence),
        int(alert.severity),
        alert.lon,
        alert.lat,
        *_parts(alert),
    ]


def _parts(alert: Alert) -> list[Any]:
    """Closing, folding, budget and context; nothing for an alert without any, so that its hash is what it was."""
    context = sorted([event.feed, event.id] for event in alert.context)
    parts = [alert.closed, alert.parent, alert.folded, alert.over_budget, context]
    return [parts] if any(parts) else []
