"""What every process of a node does alike: reaches the journal, tells how it is, serves HTTP until it is to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tocsin.journal.connection import Journal
from tocsin.journal.endpoint import Endpoint
from tocsin.journal.link import Lost
from tocsin.kernel.fault import Retriable

from .layout import NodeFile

if TYPE_CHECKING:
    import uvicorn

HEALTH_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 15.0


def endpoint_of(node: NodeFile) -> Endpoint:
    """How a process of this node reaches the journal."""
    embedded = Path(node.data, "nats.conf").exists()
    store = str(Path(node.data, "journal")) if embedded else None
    return Endpoint(node.url, node.user or None, node.password or None, sync_always=embedded, replicas=node.replicas, store=store)


def journal_metrics(journal: Journal, process: str) -> str:
    """The journal connection's counters as Prometheus text."""
    told = {
        "published_entries": "Entries acknowledged as durable.",
        "retries": "Appends that had to be repeated.",
        "reconnects": "Times the connection to the journal went.",
        "damaged_entries": "Entries that could not be read.",
        "missing_entries": "Sequence numbers without an entry: lost, or left out after a loss.",
        "rewinds": "Times the server had forgotten entries it had acknowledged.",
    }
    counts = journal.counters
    values = (counts.published, counts.retried, counts.reconnects, counts.damaged, counts.missing, counts.rewinds)
    lines = []
    for (name, words), value in zip(told.items(), values, strict=True):
        full = f"tocsin_{process}_journal_{name}_total"
        lines += [f"# HELP {full} {words}", f"# TYPE {full} counter", f"{full} {value}"]
    return "\n".join(lines) + "\n"


async def ask_ingest(journal: Journal, subject: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Its answer. Raises Retriable when it gives none."""
    try:
        link = await journal.ready()
        reply = await link.request(subject, json.dumps(asked).encode(), within=_ANSWER_SECONDS)
    except Lost as fault:
        raise Retriable(f"ingest does not answer: {fault}", after=2.0) from None
    if reply.headers.get("Status") == "503":  # the server knows of nobody who listens
        raise Retriable("ingest does not answer: it is not running", after=2.0)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def serving(server: uvicorn.Server, **how: Any) -> None:
    """Serves until cancelled, then lets running requests end. Signals belong to the process, not to uvicorn."""
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve(**how))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise
