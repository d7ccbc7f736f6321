"""Keeps every feed running: one task each, so that a silent, slow or broken feed changes nothing for the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Fatal, Misconfigured, Retriable, Skippable
from tocsin.model.feed import FeedSpec

from .catalog import Context, make_transport
from .contract import Format, Receipt, Transport
from .dedup import Dedup
from .health import FeedHealth, Health
from .pipeline import FeedSink, Shared

log = logging.getLogger(__name__)

PURGE_EVERY: Final = 60.0  # seconds

FormatOf = Callable[[FeedSpec], Format]
TransportOf = Callable[[FeedSpec, Context], Transport]


@dataclass(slots=True)
class _Feed:
    spec: FeedSpec
    sink: FeedSink
    health: FeedHealth
    backoff: Backoff


class Supervisor:
    """All feeds of the node. `run` ends when every feed has ended, and is cancelled to stop."""

    def __init__(
        self,
        specs: Iterable[FeedSpec],
        shared: Shared,
        context: Context,
        format_of: FormatOf,
        *,
        transport_of: TransportOf = make_transport,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        specs = tuple(specs)
        self.health = Health(specs, shared.clock)
        self._shared = shared
        self._context = replace(context, progress=self.health.progress, shed=self.health.shed)
        self._transport_of = transport_of
        self._feeds = {}
        for spec in specs:
            health = self.health.feeds[spec.name]
            sink = FeedSink(spec, format_of(spec), shared, Dedup(), health)
            self._feeds[spec.name] = _Feed(spec, sink, health, backoff())

    def remember(self, batch: pa.RecordBatch) -> None:
        """Before `run`: batches of the journal's tail, oldest first, so that what is known stays known after a restart."""
        feed = self._feeds.get(batch.column("feed")[0].as_py()) if batch.num_rows else None
        if feed is not None:
            feed.sink.dedup.remember(batch, self._shared.clock.now())

    async def run(self) -> None:
        """Raises `Fatal` when going on would lose or falsify data; nothing else stops it."""
        cleaning = asyncio.create_task(self._purge())
        try:
            async with asyncio.TaskGroup() as group:
                for feed in self._feeds.values():
                    group.create_task(self._keep(feed), name=f"feed {feed.spec.name}")
        except* Fatal as faults:
            raise faults.exceptions[0] from None
        finally:
            cleaning.cancel()

    async def retry(self, record: str) -> Receipt:
        """Decodes a quarantined record again and delivers it. Raises `Skippable` when it is not there or cannot be retried."""
        entry = await self._shared.quarantine.get(record)
        if entry is None:
            raise Skippable(f"there is no record {record!r} in quarantine; it may have expired")
        if entry.feed not in self._feeds:
            raise Skippable(f"record {record} came by the feed {entry.feed}, which is not declared any more")
        return await self._feeds[entry.feed].sink.redeliver(entry)

    def metrics(self) -> str:
        return self.health.metrics(self._shared.budget.held, self._shared.quarantine.dropped)

    async def _keep(self, feed: _Feed) -> None:
        """Runs one feed until it ends, restarting it after every fault."""
        loop = asyncio.get_running_loop()
        transport: Transport | None = None
        while True:
            started, taken = loop.time(), feed.health.received
            after: float | None = None
            try:
                transport = transport or self._transport_of(feed.spec, self._context)
                await transport.run(feed.sink)
            except Fatal:
                raise
            except Retriable as fault:
                after = fault.after
                if feed.health.error != str(fault):
                    log.warning("feed %s: %s", feed.spec.name, fault)
                feed.health.failed(str(fault))
            except Exception as fault:
                transport = None  # its state is not to be trusted any more
                self._show(feed, fault)
            else:
                feed.health.ended = True
                return
            if feed.health.received > taken or loop.time() - started > feed.backoff.cap:
                feed.backoff.reset()
            feed.health.restarts += 1
            wait = feed.backoff.next()
            await asyncio.sleep(wait if after is None else max(after, wait))

    def _show(self, feed: _Feed, fault: Exception) -> None:
        """A message may be quoted in the text of an unexpected error, so for feeds with personal fields only its kind is told."""
        told = str(fault) if not feed.spec.personal or isinstance(fault, Misconfigured) else ""
        words = f"{type(fault).__name__}: {told}".removesuffix(": ")
        again = feed.health.error == words
        feed.health.failed(words)
        log.error("feed %s: %s", feed.spec.name, words, exc_info=None if feed.spec.personal or again else fault)

    async def _purge(self) -> None:
        while True:
            try:
                await self._shared.quarantine.purge()
            except Retriable as fault:
                log.warning("%s", fault)
            await asyncio.sleep(PURGE_EVERY)
