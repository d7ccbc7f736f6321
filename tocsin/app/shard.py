"""A shard process: matches its part of the journal's entries and publishes what it finds; alerts are told by the correlate process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from pathlib import Path
from typing import Any, Final

from tocsin.correlate import snapshots
from tocsin.correlate.engine import Engine
from tocsin.correlate.meters import Counters
from tocsin.correlate.saving import Saver
from tocsin.correlate.shards.assign import Way
from tocsin.correlate.shards.matcher import Matcher
from tocsin.correlate.shards.matches import Matches
from tocsin.correlate.shards.regions import Regions
from tocsin.journal import matches as stream
from tocsin.journal.connection import Journal, connect
from tocsin.journal.encode import Entry
from tocsin.journal.epoch import HighWater
from tocsin.journal.fence import Fence
from tocsin.journal.reader import fetch, read
from tocsin.kernel.fault import Fatal, Skippable

from . import inforce
from .correlate import behind
from .handover import Handover
from .health import HEALTH_SECONDS, endpoint_of, journal_metrics
from .layout import NodeFile
from .pauses import shorten
from .turn import turn

log = logging.getLogger(__name__)

_SAY: Final = 0.1  # seconds between two words of how far we are while nothing happens
_BREATH: Final = 0.01  # seconds of work after which other tasks get a turn
_AHEAD: Final = 5000  # entries whose matches may wait to be stored


def prepare() -> None:
    """As correlate does."""
    Engine.warm_up()


async def run(node: NodeFile) -> None:
    shard = int(node.process.partition("-")[2].partition(".")[0])
    work = f"shard-{shard}"
    marks = HighWater(Path(node.data) / "marks", node.process)
    async with await connect(endpoint_of(node), name=node.process, high_water=marks) as journal:
        await stream.prepare(journal)
        Engine.warm_up()
        mine = await turn(node, journal, work, f"match.{shard}")
        try:
            await _work(node, journal, shard, work, mine)
        finally:
            await mine.baton.close()


async def _work(node: NodeFile, journal: Journal, shard: int, work: str, mine: Any) -> None:
    began = time.monotonic()
    handover = Handover(journal, work, node.layout.snapshots / node.process)
    await handover.fetch()
    matcher = await resumed(node, journal, shard)
    told, message = await stream.reached(journal, shard)
    post = Post(journal, mine.fence, shard, told, message)
    saver = Saver(node.layout.snapshots / node.process, matcher.version, 5.0, Counters())
    saver.seq = matcher.seq
    shorten()
    log.info("ready after %.1f s; reading the journal from entry %d", time.monotonic() - began, matcher.seq + 1)
    async with asyncio.TaskGroup() as group:
        group.create_task(mine.watch(), name="turn")
        group.create_task(post.run(), name="matches")
        group.create_task(handover.run(), name="hand over")
        group.create_task(report(journal, work, matcher, post, handover), name="health")
        try:
            await through(matcher, journal, post, saver)
        finally:
            await saver.close(False)
        raise Fatal("the journal ended")


async def through(matcher: Matcher, journal: Journal, post: Post, saver: Saver) -> None:
    """Every entry of the journal from where the matcher stands."""
    breath = time.perf_counter()
    async for entry in read(journal, matcher.seq + 1):
        found = await matcher.take(entry)
        if found is not None:
            await post.put(found)
        saver.version = matcher.version if not entry.batch else saver.version
        if saver.due(matcher.seq):
            saver.start(matcher.snapshot, matcher.seq, post.settled)
        if time.perf_counter() - breath > _BREATH:
            await asyncio.sleep(0)
            breath = time.perf_counter()


async def resumed(node: NodeFile, journal: Journal, shard: int) -> Matcher:
    """A matcher that goes on from the snapshot, or begins with the journal."""
    file = node.layout.snapshots / node.process
    known = snapshots.setting_of(file)
    if known is not None:
        try:
            matcher = await matcher_for(node, await inforce.at_entry(journal, known, Path(node.city), node.layout), journal, shard)
            found = snapshots.load(file, matcher.version)
            if found is not None:
                matcher.restore(found)
                return matcher
        except Skippable as fault:
            log.warning("the rules of the snapshot are not in the journal any more, so it is not used: %s", fault)
        except Fatal as fault:
            log.warning("snapshot %s is not used: %s", file, fault)
    return await matcher_for(node, await inforce.at_entry(journal, 0, Path(node.city), node.layout), journal, shard)


async def matcher_for(node: NodeFile, found: inforce.InForce, journal: Journal, shard: int) -> Matcher:
    async def again(seq: int) -> Entry:
        return await fetch(journal, seq)

    return Matcher(inforce.setting(found), shard, Regions(node.cuts), again, inforce.configure(Path(node.city), node.layout))


class Post:
    """Matches on their way into the stream, in order, as many entries in a message as are waiting. `told`: the journal entry up to which
    they are stored already, by whoever was at work before; `message`: stream sequence of the newest."""

    def __init__(self, journal: Journal, fence: Fence, shard: int, told: int, message: int) -> None:
        self.passed = 0  # everything found up to this entry is stored
        self.messages = 0
        self.repeated = 0  # entries whose matches were stored before
        self._journal, self._fence, self._shard = journal, fence, shard
        self._told, self._message = told, message
        self._waiting: list[tuple[int, bytes]] = []
        self._reached = 0
        self._news = asyncio.Event()
        self._done = asyncio.Condition()

    async def put(self, found: Matches) -> None:
        """What was found in an entry; waits while too much is on its way."""
        self._reached = found.entry
        if found and found.entry > self._told:
            self._waiting.append((found.entry, found.encode()))
        elif found:
            self.repeated += 1
        self._news.set()
        if len(self._waiting) > _AHEAD:
            await self.settled()

    async def settled(self) -> None:
        """Returns when all that was put before this call is stored."""
        wanted = self._reached
        async with self._done:
            await self._done.wait_for(lambda: self.passed >= wanted)

    async def run(self) -> None:
        """For ever: stores what waits, and says how far this shard is."""
        while True:
            self._news.clear()
            reached = self._reached
            while self._waiting:
                await self._send()
            async with self._done:
                self.passed = max(self.passed, reached)
                self._done.notify_all()
            await stream.say_passed(self._journal, self._shard, self.passed, self._message)
            try:
                async with asyncio.timeout(_SAY):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _send(self) -> None:
        parts: list[bytes] = []
        entry = 0
        while self._waiting and stream.room(parts):
            entry, part = self._waiting.pop(0)
            parts.append(part)
        self._message = await stream.publish(self._journal, self._fence, self._shard, parts, entry)
        self.messages += 1


async def report(journal: Journal, work: str, matcher: Matcher, post: Post, handover: Handover) -> None:
    """`health.<work>`, once a second."""
    while True:
        body = {
            "process": work,
            "pid": os.getpid(),
            "wall": time.time_ns(),
            "last_seq": post.passed,
            "config": matcher.setting.entry,
            "behind": await behind(journal, post.passed),
            "metrics": metrics(work, matcher, post) + handover.metrics() + journal_metrics(journal, work.replace("-", "_")),
        }
        await journal.publish(f"health.{work}", json.dumps(body).encode())
        await asyncio.sleep(HEALTH_SECONDS)


def metrics(work: str, matcher: Matcher, post: Post) -> str:
    """Prometheus text, one series a shard."""
    shard = work.partition("-")[2]
    told: list[tuple[str, str, str, float]] = [
        ("events_total", "counter", "Events that lay in the shard's region or halo, or came from its sources.", matcher.events),
        ("matches_total", "counter", "Matches found, those found again after a restart included.", matcher.found),
        ("messages_total", "counter", "Messages of matches stored.", post.messages),
        ("repeated_entries_total", "counter", "Entries whose matches had been stored by a process before this one.", post.repeated),
        ("last_sequence", "gauge", "Stream sequence of the last entry whose matches are stored.", post.passed),
        ("setting_sequence", "gauge", "Stream sequence of the entry that put the rules in force, 0 for none.", matcher.setting.entry),
        *(
            (f"rules_by_{way}", "gauge", f"Rules whose events are shared out by {way}.", matcher.rules(way))
            for way in (Way.PLACE, Way.SOURCE)
        ),
        *((f"engine_{name}", "gauge", f"Kernels: {name.replace('_', ' ')}.", value) for name, value in matcher.counters().items()),
    ]
    return "".join(
        f'# HELP tocsin_shard_{name} {words}\n# TYPE tocsin_shard_{name} {kind}\ntocsin_shard_{name}{{shard="{shard}"}} {value}\n'
        for name, kind, words, value in told
    )
