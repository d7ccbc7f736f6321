"""Which sources most often stand behind alerts that came to nothing: retracted by what was learnt later, or closed by people as false."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from tocsin.model.reporting import Report

#: Words in the note of whoever closed an alert.
_FALSE: Final = re.compile(r"\b(false|fault|test|nuisance|burnt food|no fire|nothing found)\b", re.IGNORECASE)


def false_alarms(alerts: Iterable[Mapping[str, Any]]) -> Report:
    """Columns `feed`, `source`, `alerts`, `retracted`, `closed_as_false`, `share`; most first. `alerts`: single views, with evidence and history."""
    raised: Counter[tuple[str, str]] = Counter()
    retracted: Counter[tuple[str, str]] = Counter()
    false: Counter[tuple[str, str]] = Counter()
    for alert in alerts:
        sources = {(one["feed"], one["source"]) for one in alert["evidence"] if one["source"]}
        raised.update(sources)
        if alert["status"] == "retracted":
            retracted.update(sources)
        elif any(step["to"] == "resolved" and _FALSE.search(step["note"] or "") for step in alert["history"]):
            false.update(sources)
    rows: list[dict[str, Any]] = [
        {
            "feed": feed, "source": source, "alerts": count, "retracted": retracted[feed, source], "closed_as_false": false[feed, source],
            "share": (retracted[feed, source] + false[feed, source]) / count,
        }
        for (feed, source), count in raised.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (-(row["retracted"] + row["closed_as_false"]), -row["share"], row["feed"], row["source"]))
    words = "false, fault, test, nuisance, burnt food, no fire or nothing found"
    notes = (
        f"closed as false: the note of whoever resolved it says {words}; without such a note nothing is known",
        "a source is a thing (a detector, an address, a gauge), never a person",
    )
    return Report(
        "false-alarms", "Sources of alerts that came to nothing", pa.Table.from_pylist(rows, schema=_SCHEMA), (), notes, units=_UNITS
    )


_UNITS: Final = {"alerts": "alerts", "retracted": "alerts", "closed_as_false": "alerts", "share": "share of the alerts, 0 to 1"}
_SCHEMA: Final = pa.schema(
    [
        ("feed", pa.string()),
        ("source", pa.string()),
        ("alerts", pa.int64()),
        ("retracted", pa.int64()),
        ("closed_as_false", pa.int64()),
        ("share", pa.float64()),
    ]
)
