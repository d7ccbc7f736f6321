"""What was told: alerts of the rule, and of the rules it looks at, as they were known at a journal clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tocsin.model.event import event_schema
from tocsin.model.ids import MAX_ROWS, event_seq

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """`alerts`: newest revision known of every alert, by id, in the order they were raised; times in µs, as journaled (`model.alert.Alert`).
    `states`: what operators made of them, by id."""

    alerts: Mapping[str, Json] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)

    def of(self, rule: str) -> list[Json]:
        """Alerts of a rule."""
        return [alert for alert in self.alerts.values() if alert["rule"] == rule]


def told(messages: Iterable[tuple[int, str, Json]], known: int) -> Told:
    """From messages of the ALERTS stream, in order: (stream sequence, subject, object). Those after journal clock `known` are left out."""
    alerts: dict[str, Json] = {}
    states: dict[str, str] = {}
    for _, subject, content in messages:
        if subject.startswith("transition."):
            if content["at"] <= known:
                states[content["alert"]] = content["to"]
        elif content.get("updated", 0) <= known and content["revision"] > alerts.get(content["id"], {"revision": 0})["revision"]:
            alerts[content["id"]] = content
    return Told(alerts, states)


def as_events(alerts: Sequence[Json]) -> pa.RecordBatch:
    """Alerts as events of kind `alert.<rule>` (SEMANTICS 21): time, place and words of the anchor; `seq` behind everything of the journal entry that
    completed them, in the order they were told."""
    rows = []
    for number, alert in enumerate(alerts):
        anchor: Json = next(iter(alert["evidence"]), {})
        message = alert["seq"]
        rows.append(
            {
                "id": alert["id"],
                "feed": anchor.get("feed", ""),
                "kind": f"alert.{alert['rule']}",
                "source": anchor.get("source"),
                "event_time": alert["opened"],
                "ingest_time": alert["known_at"],
                "lon": _number(alert["lon"]),
                "lat": _number(alert["lat"]),
                "area": None,
                "valid_until": None,
                "value": anchor.get("value"),
                "unit": anchor.get("unit"),
                "severity": alert["severity"],
                "action": 0,
                "refers_to": None,
                "text": anchor.get("text"),
                "seq": event_seq(message, MAX_ROWS - 1 - (len(alerts) - 1 - number)),
                "anchor": anchor.get("seq", -1),
            }
        )
    schema = event_schema().append(pa.field("seq", pa.int64())).append(pa.field("anchor", pa.int64()))
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def _number(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
