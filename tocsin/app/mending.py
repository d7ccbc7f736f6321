"""Damaged files of the archive, fetched again from the journal: of the running node, or of one started for the purpose."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tocsin.archive.catalog import Catalog
from tocsin.archive.classes import classes_of
from tocsin.archive.compact import clock_of
from tocsin.archive.repair import Loss, Repair, damaged_rollups, losses, mend_rollups
from tocsin.archive.retention import Retention
from tocsin.archive.tombstones import Signer
from tocsin.journal.connection import Journal, connect
from tocsin.journal.reader import last_seq, read
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.fault import Fatal

from . import inforce
from .ingest import endpoint_of
from .layout import Layout, NodeFile

TOGETHER = 2_000  # journal entries at once


@contextlib.asynccontextmanager
async def journal_of(layout: Layout) -> AsyncIterator[Journal]:
    """Raises Fatal when there is no journal."""
    if not layout.journal.is_dir():
        raise Fatal(f"{layout.data} holds no journal; the archive cannot be repaired from it")
    try:
        lock = layout.lock()
    except Fatal:
        async with await connect(endpoint_of(NodeFile.read(layout)), name="repair") as journal:
            yield journal
        return
    try:
        async with EmbeddedServer(layout.data, 0) as server, await connect(server.endpoint, name="repair") as journal:
            yield journal
    finally:
        lock.close()


async def repair(city: Path, layout: Layout, catalog: Catalog) -> list[dict[str, Any]]:
    """What was fetched, class by class: `rows` were damaged, `fetched` are there again."""
    told = []
    found = losses(catalog)
    if found:
        async with journal_of(layout) as journal:
            classes = classes_of((await inforce.current(journal, city, layout)).city.feeds)
            for loss in found:
                told.append(await _one(journal, catalog, loss, classes))  # noqa: PERF401
    if damaged_rollups(catalog):
        replaced = mend_rollups(catalog)
        told.append({"stream": "rollups", "rows": replaced, "fetched": replaced, "words": " (files made again from the events)"})
    return told


async def _one(journal: Journal, catalog: Catalog, loss: Loss, classes: dict[str, int]) -> dict[str, Any]:
    work = Repair(catalog, loss, classes, Retention(catalog, Signer(catalog.folder), clock_of(catalog)))
    waiting = []
    async for entry in read(journal, loss.first, until=min(loss.last, await last_seq(journal))):
        if entry.batch is not None:
            waiting.append((entry.seq, entry.batch))
        if len(waiting) >= TOGETHER:
            work.take(waiting)
            waiting = []
    work.take(waiting)
    fetched = work.finish()
    words = ""
    if fetched < loss.rows:
        words = "; the others have lapsed, or the journal does not hold them any more"
        if loss.imported:
            words += "; rows that were imported are not in the journal: restore the file from a backup"
    return {"stream": loss.stream, "rows": loss.rows, "fetched": fetched, "words": words}
