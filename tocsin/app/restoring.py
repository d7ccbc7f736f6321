"""`tocsin archive restore`: a lost archive from its mirror, and what the journal must be so that history goes on exactly where it stopped."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tocsin.config.load import load_city
from tocsin.journal.connection import connect
from tocsin.journal.epoch import HighWater
from tocsin.journal.server import EmbeddedServer
from tocsin.journal.streams import EVENTS, StreamState
from tocsin.kernel.fault import Fatal
from tocsin.model.time import from_iso, to_iso

from .layout import Layout
from .mirroring import OWN, address_of

if TYPE_CHECKING:
    from tocsin.archive.mirror.head import Head
    from tocsin.archive.mirror.restoring import Restored

#: Numbers that a lost journal may have given out and the mirror has not heard of: five minutes of 3,000 entries a second.
AHEAD: Final = 1 << 20


def bring_back(arguments: argparse.Namespace, show: Callable[[argparse.Namespace, dict[str, Any], str], None]) -> int:
    """Raises Misconfigured, Fatal, Retriable, OSError: what was fetched until then stays, and the next run goes on."""
    from tocsin.archive.mirror.bucket import Bucket
    from tocsin.archive.mirror.restoring import published, restore

    from .archive import Progress

    layout = Layout((arguments.data or arguments.city / "var").resolve())
    bucket = Bucket(address_of(arguments.source or OWN, load_city(arguments.city), "ADDRESS"))
    head = published(bucket)
    layout.create()
    progress = Progress(arguments.json)
    with layout.lock():  # no node runs meanwhile
        found = asyncio.run(_journal(layout, head))
        try:
            done = restore(layout.archive, bucket, head, progress)
        finally:
            progress.end()
    told = {"from": bucket.address.place, **asdict(done), "journal": None if found is None else found.last}
    show(arguments, told, _words(bucket.address.place, done, found))
    return 1 if done.damaged else 0


async def _journal(layout: Layout, head: Head) -> StreamState | None:
    """The journal that the archive came from; None where that is lost: then an empty one is there, which begins beyond every number that the lost one may have given,
    as after any rewind (`journal/epoch.py`). Raises Fatal."""
    beyond = head.position + AHEAD
    marks = HighWater(layout.data / "marks", "restore")
    there = any(layout.journal.iterdir())
    if not there:
        marks.note(EVENTS, beyond)
    async with EmbeddedServer(layout.data, 0) as server, await connect(server.endpoint, name="restore", high_water=marks) as journal:
        found = await journal.state(EVENTS)
    if not there or found.first > beyond:  # an earlier run of this command may have made it
        return None
    if found.last >= head.position and from_iso(f"{found.created.rstrip('Z')[:26]}Z") <= head.at:
        return found
    raise Fatal(
        f"the journal in {layout.journal} (made {found.created[:19]}Z, reaches entry {found.last:,}) is not the one that this mirror's archive came from"
        f" (published {to_iso(head.at)}, reaches entry {head.position:,}); restore into a data directory without a journal, before its node is started"
    )


def _words(place: str, done: Restored, found: StreamState | None) -> str:
    lines = [
        f"{place}, published {done.published}: {done.files:,} files fetched ({done.bytes / 1e6:,.1f} MB) in {done.seconds:.1f} s, {done.there:,} were there"
    ]
    lines += [
        f"DAMAGED {name}: {why}; 'tocsin archive verify --repair' fetches again what can be had"
        for name, why in sorted(done.damaged.items())
    ]
    if found is None:
        lines.append(
            f"it reaches journal entry {done.position:,}; what came after it is lost with the journal, and the new journal begins beyond it, at a number that was never given"
        )
    else:
        missing = max(0, min(found.first - 1, found.last) - done.position)
        lines.append(f"it reaches journal entry {done.position:,}; the node takes in those up to {found.last:,} when it starts")
        if missing:
            lines.append(f"{missing:,} entries after it are no longer kept by the journal: history lacks them")
    if done.another_key:
        lines.append(
            "the signed record goes on under another key, as the former one is lost; keep tombstone.key of the archive where you keep other keys"
        )
    return "\n".join(lines)
