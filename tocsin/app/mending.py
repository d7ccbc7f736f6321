"""Damaged files of the archive, fetched again: whole from its mirror or another copy, else their rows from the journal (of the running node, or of one started for the purpose)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tocsin.archive.catalog import Catalog
from tocsin.archive.classes import classes_of
from tocsin.archive.compact import clock_of
from tocsin.archive.refetch import Peer, numbered, of_loss, unlike
from tocsin.archive.repair import Loss, Repair, damaged_rollups, losses, mend_rollups
from tocsin.archive.retention import Retention
from tocsin.archive.tombstones import Signer
from tocsin.config.load import load_city
from tocsin.journal.changes import newest_change
from tocsin.journal.connection import Journal, connect
from tocsin.journal.reader import last_seq, read
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.feed import FeedSpec
from tocsin.model.mirror import Address

from . import inforce
from .health import endpoint_of
from .importing import imported_parts
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


async def repair(
    city: Path, layout: Layout, catalog: Catalog, peer: Path | None = None, mirror: Address | None = None
) -> list[dict[str, Any]]:
    """What was fetched, class by class: `rows` were damaged, `fetched` are there again. Raises Fatal."""
    told = [] if mirror is None else _from_mirror(catalog, mirror)
    other = None if peer is None else Peer(peer)
    if other is not None and (mended := other.files(catalog)):
        told.append({"stream": "files", "rows": mended, "fetched": mended, "words": " (the same files, from the other copy)"})
    found = losses(catalog)
    if found:
        async with _journal(layout, found) as journal:
            unruled = journal is None or await newest_change(journal) is None
            feeds = load_city(city).feeds if journal is None or unruled else (await inforce.current(journal, city, layout)).city.feeds
            for loss in found:
                told.append(await _one(journal, catalog, loss, feeds, other))
    if damaged_rollups(catalog):
        replaced = mend_rollups(catalog)
        told.append({"stream": "rollups", "rows": replaced, "fetched": replaced, "words": " (files made again from the events)"})
    if other is not None:
        other.close()
    return told


def _from_mirror(catalog: Catalog, mirror: Address) -> list[dict[str, Any]]:
    """Files that are whole there. One that cannot be asked leaves the work to the others, and it is said."""
    from tocsin.archive.mirror.bucket import Bucket
    from tocsin.archive.mirror.restoring import mended

    damaged = len(catalog.files("gone IS NULL AND damaged IS NOT NULL"))
    try:
        done, why = mended(catalog, Bucket(mirror)), ""
    except (Fatal, Retriable) as fault:
        done, why = 0, f"; {fault}"
    return [{"stream": "files", "rows": damaged, "fetched": done, "words": f" (whole files, from the mirror){why}"}]


@contextlib.asynccontextmanager
async def _journal(layout: Layout, found: Sequence[Loss]) -> AsyncIterator[Journal | None]:
    """None where nothing that is lost was ever in one, or none was ever kept."""
    if layout.journal.is_dir() and any(one.file.last >= 0 for loss in found for one in loss.files):
        async with journal_of(layout) as journal:
            yield journal
    else:
        yield None


async def _one(journal: Journal | None, catalog: Catalog, loss: Loss, feeds: Sequence[FeedSpec], peer: Peer | None) -> dict[str, Any]:
    work = Repair(catalog, loss, classes_of(feeds), Retention(catalog, Signer(catalog.folder), clock_of(catalog)))
    if journal is not None:
        await _from_journal(journal, loss, work)
    reasons = await asyncio.to_thread(_from_files, catalog, loss, feeds, work)
    if peer is not None:
        for table in peer.rows(catalog, loss):
            work.take_rows(table)
    fetched = work.finish()
    words = ""
    if fetched < loss.rows:
        words = "".join(
            f"; {one}"
            for one in (
                "the others have lapsed, or the journal does not hold them any more",
                *reasons,
                "--peer names another copy of the archive, or its mirror",
            )
        )
    return {"stream": loss.stream, "rows": loss.rows, "fetched": fetched, "words": words}


async def _from_journal(journal: Journal, loss: Loss, work: Repair) -> None:
    waiting = []
    async for entry in read(journal, loss.first, until=min(loss.last, await last_seq(journal))):
        if entry.batch is not None:
            waiting.append((entry.seq, entry.batch))
        if len(waiting) >= TOGETHER:
            work.take(waiting)
            waiting = []
    work.take(waiting)


def _from_files(catalog: Catalog, loss: Loss, feeds: Sequence[FeedSpec], work: Repair) -> list[str]:
    """From the files that were imported, as far as they are still as they were; what stands in the way, in words."""
    specs = {spec.name: replace(spec, shift=0) for spec in feeds}
    reasons: dict[str, None] = {}
    for chunk in of_loss(catalog, loss):
        try:
            why = unlike(chunk) if chunk.feed in specs else f"feed {chunk.feed}, which {chunk.path} was imported for, is declared no more"
            if why is None:
                work.take_rows(numbered(chunk, list(imported_parts(chunk.path, specs[chunk.feed], chunk.part, chunk.parts, chunk.learnt))))
        except (Fatal, OSError) as fault:
            why = str(fault)
        if why is not None:
            reasons[why] = None
    return list(reasons)
