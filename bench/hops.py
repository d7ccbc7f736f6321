"""Where the time of a probe goes on its way through the node, read from the journal after a run: nothing is measured on the way.

Every entry and every alert carries wall clocks in its headers (docs/wiring.md), and the server stamps what it stores; the client's
clock ends the row. All of one machine, so they can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from bench.machine import table
from tocsin.journal.connection import Journal
from tocsin.journal.encode import READ, SENT, TOLD, WALL
from tocsin.journal.pull import Raw, pull
from tocsin.journal.reader import last_seq
from tocsin.journal.streams import ALERTS, EVENTS
from tocsin.model.ids import split_seq

#: What ends at each mark, in order: a name and what happens in it.
STEPS: Final = (
    ("received", "due -> body read by ingest (the generator's delay, HTTP)"),
    ("sent", "decode, deduplicate, gather, encode"),
    ("stored", "to the journal server (stamped before its fsync)"),
    ("read", "fsync, delivery to correlate, decode"),
    ("told", "rules, alert in words"),
    ("kept", "alert to the journal server (stamped before its fsync)"),
    ("seen", "fsync, delivery to serve, view, live stream, client"),
)


@dataclass(frozen=True, slots=True)
class Marks:
    """Last stream sequences when a step began."""

    events: int
    alerts: int


async def marks(journal: Journal) -> Marks:
    return Marks(await last_seq(journal, EVENTS), await last_seq(journal, ALERTS))


async def collect(journal: Journal, since: Marks, seen: Mapping[str, tuple[float, float]]) -> NDArray[np.float64]:
    """One row per probe, one column per step, ms. `seen`: alert id -> (due, received by the client), wall seconds."""
    entries = {raw.seq: (raw.headers, raw.stored) async for raw in _stored(journal, EVENTS, since.events + 1)}
    rows = []
    async for raw in _stored(journal, ALERTS, since.alerts + 1):
        if not raw.subject.startswith("alert.probe"):
            continue
        alert: dict[str, Any] = orjson.loads(raw.data)
        entry = entries.get(split_seq(alert["evidence"][0]["seq"])[0])
        if entry is None or alert["id"] not in seen or alert["revision"] != 1:
            continue
        due, client = seen[alert["id"]]
        headers, stored = entry
        clocks = (headers[WALL], headers[SENT], stored, raw.headers[READ], raw.headers[TOLD], raw.stored)
        rows.append(np.diff([due * 1e3, *(int(clock) / 1e6 for clock in clocks), client * 1e3]))
    return np.array(rows).reshape(-1, len(STEPS))


async def _stored(journal: Journal, stream: str, start: int) -> Any:
    end = await last_seq(journal, stream)
    if end < start:
        return
    async for found in pull(journal, stream, start, end):
        if isinstance(found, Raw):
            yield found


def summary(rows: NDArray[np.float64]) -> list[dict[str, Any]]:
    """p50, p99 and mean of each step, and of each step over the slowest hundredth of the probes: where the tail comes from."""
    if not len(rows):
        return []
    total = rows.sum(axis=1)
    slow = rows[total >= np.percentile(total, 99)].mean(axis=0)
    return [
        {"hop": name, "p50_ms": round(float(np.percentile(rows[:, i], 50)), 2), "p99_ms": round(float(np.percentile(rows[:, i], 99)), 2),
         "mean_ms": round(float(rows[:, i].mean()), 2), "slowest_ms": round(float(slow[i]), 2)}
        for i, (name, _) in enumerate(STEPS)
    ]  # fmt: skip


def show(hops: Sequence[Mapping[str, Any]]) -> str:
    words = dict(STEPS)
    head = ("until", "p50 ms", "p99 ms", "mean ms", "in the slowest 1 %", "what happens")
    return table(head, [(h["hop"], h["p50_ms"], h["p99_ms"], h["mean_ms"], h["slowest_ms"], words[h["hop"]]) for h in hops])
