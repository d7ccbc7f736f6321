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
STOP_AGAIN: Final = 15.0  # seconds a transport has for its farewell

FormatOf = Callable[[FeedSpec], Format]
TransportOf = Callable[[FeedSpec, Context], Transport]


@dataclass(slots=True)
class _Feed:
    spec: FeedSpec
    sink: FeedSink
    health: FeedHealth
    backoff: Backoff
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of feeds: what a reload did."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    restarted: tuple[str, ...]


class Supervisor:
    """All feeds of the node. `run` ends when every feed has ended (`stay`: not even then), and is cancelled to stop."""

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
        self.health = Health((), shared.clock)
        self._shared = shared
        self._format_of = format_of
        self._backoff = backoff
        self._context = replace(context, progress=self.health.progress, shed=self.health.shed)
        self._transport_of = transport_of
        self._feeds: dict[str, _Feed] = {}
        self._memories: dict[str, Dedup] = {}  # of every feed there ever was: one that comes back knows its ids
        self._group: asyncio.TaskGroup | None = None
        specs = tuple(specs)
        self.health.declare(specs)
        for spec in specs:
            self._add(spec)

    def _add(self, spec: FeedSpec) -> None:
        health, memory = self.health.feeds[spec.name], self._memories.setdefault(spec.name, Dedup())
        sink = FeedSink(spec, self._format_of(spec), self._shared, memory, health)
        self._feeds[spec.name] = _Feed(spec, sink, health, self._backoff())

    async def reload(self, specs: Iterable[FeedSpec]) -> Changed:
        """Other feeds are declared. Those that are declared as before do not notice; of the others only the changed ones are stopped
        and begin again where they were, with the ids they know. Raises what making a format raises, before anything is stopped."""
        wanted = {spec.name: spec for spec in specs}
        for spec in wanted.values():
            self._format_of(spec)
        before = {name: _declared(feed.spec) for name, feed in self._feeds.items()}
        changed = [name for name, spec in wanted.items() if name in before and _declared(spec) != before[name]]
        removed = [name for name in before if name not in wanted]
        added = [name for name in wanted if name not in before]
        await asyncio.gather(*(self._stop(self._feeds[name]) for name in (*removed, *changed)))
        self.health.declare(wanted.values())
        kept = self._feeds
        self._feeds = {}
        for name, spec in wanted.items():
            if name in added or name in changed:
                self._add(spec)
                self.health.feeds[name].ended, self.health.feeds[name].error = False, None
                self._start(self._feeds[name])
            else:
                self._feeds[name] = kept[name]
        return Changed(tuple(added), tuple(removed), tuple(changed))

    async def _stop(self, feed: _Feed) -> None:
        """Cancels a feed's transport. What it had handed over is written all the same (`pipeline.py`). A library may swallow a cancellation
        (`asyncio.wait_for` of Python 3.11 does when its answer comes in the same moment), so who goes on is told again."""
        while feed.task is not None and not feed.task.done():
            feed.task.cancel()
            await asyncio.wait([feed.task], timeout=STOP_AGAIN)

    def _start(self, feed: _Feed) -> None:
        if self._group is not None:
            feed.task = self._group.create_task(self._keep(feed), name=f"feed {feed.spec.name}")

    def remember(self, batch: pa.RecordBatch) -> None:
        """Before `run`: batches of the journal's tail, oldest first, so that what is known stays known after a restart."""
        feed = self._feeds.get(batch.column("feed")[0].as_py()) if batch.num_rows else None
        if feed is not None:
            feed.sink.dedup.remember(batch, self._shared.clock.now())

    async def run(self, *, stay: bool = False) -> None:
        """Raises `Fatal` when going on would lose or falsify data; nothing else stops it."""
        cleaning = asyncio.create_task(self._purge())
        try:
            async with asyncio.TaskGroup() as self._group:
                for feed in self._feeds.values():
                    self._start(feed)
                if stay:
                    await asyncio.get_running_loop().create_future()
        except BaseExceptionGroup as faults:  # `except*` would wrap what it raises in a group again
            fatal = faults.subgroup(Fatal)
            if fatal is None:
                raise
            raise fatal.exceptions[0] from None
        finally:
            self._group = None
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


def _declared(spec: FeedSpec) -> FeedSpec:
    """A feed without where it is written."""
    return replace(spec, file="", line=0)
