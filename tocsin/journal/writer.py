"""Events become durable: what a feed delivers within a few milliseconds is one entry, acknowledged after the fsync."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from tocsin.kernel.clock import Monotone
from tocsin.kernel.fault import Retriable, Skippable
from tocsin.model.ids import MAX_ROWS, event_seq

from .connection import Ack, Journal, Unsettled
from .doubts import Doubt, Doubts
from .encode import SENT, encode, entry_headers, merge, stamp
from .nats_conf import subject_token
from .streams import EVENTS

HEADER_ROOM = 1024
#: A tick that is later than this holds nothing up any more, µs.
OVERDUE = 5_000_000


@dataclass(slots=True)
class Part:
    """One `append`: its batch and the caller waiting for the number of its first event. `known`: that number, when the
    event was settled (`doubts.py`) before."""

    batch: pa.RecordBatch
    wall: int
    done: asyncio.Future[int]
    size: int = 0
    known: int | None = None

    def resolve(self, number: int) -> None:
        if not self.done.done():
            self.done.set_result(number if self.known is None else self.known)

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class Lane:
    """One feed. Its entries go out one after the other, so their order is the order of `append`; inside an entry see `in_time`."""

    feed: str
    waiting: list[Part] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    last_sent: float = float("-inf")
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    runner: asyncio.Task[None] | None = None


def in_time(parts: list[Part]) -> list[Part]:
    """What goes into one entry is known at one moment, and nobody has been told an order yet: it is put in the order of the newest event of each
    part, because a request that was held up on its way would otherwise leave samples out of order, which are judged again later. Where something
    is corrected, what came last counts, so nothing is moved."""
    if len(parts) < 2 or any(part.batch.column("action").to_numpy().any() for part in parts):
        return parts
    return sorted(parts, key=lambda part: int(part.batch.column("event_time").view(pa.int64()).to_numpy().max()))


class EventWriter:
    """Appends batches of events to the journal.

    A lone batch is sent at once. What several callers of a feed deliver together, or while an entry of it is on its way, is
    gathered: an entry at most every `max_wait` seconds, or as soon as `enough` rows are there, which are worth an fsync of their own;
    at most `max_rows` rows and `max_bytes` bytes.
    `patience`: seconds the journal may be away before callers get Unsettled (Retriable). `on_settled(feed, batch, first_seq)`: callers had
    been told to try again, but their events are stored now. `due`: the next tick, where it comes at a certain moment; None where it does not.
    """

    def __init__(
        self,
        journal: Journal,
        region: str,
        clock: Monotone,
        max_wait: float = 0.02,
        max_rows: int = 65_536,
        max_bytes: int = 4 << 20,
        *,
        enough: int = 256,
        patience: float = 10.0,
        on_settled: Callable[[str, pa.RecordBatch, int], None] | None = None,
    ) -> None:
        self.journal = journal
        self.region = subject_token(region)
        self.clock = clock
        self.max_wait = max_wait
        self.max_rows = min(max_rows, MAX_ROWS)
        self.max_bytes = max_bytes
        self.enough = min(enough, self.max_rows)
        self.patience = patience
        self._lanes: dict[str, Lane] = {}
        self._doubts = Doubts(on_settled)
        self._closing = False
        self.due: int | None = None
        journal.checks.append(self._doubts.settle)

    async def append(self, feed: str, batch: pa.RecordBatch, wall_ns: int) -> int:
        """Returns when durable, with the `seq` of the batch's first event.

        Raises Retriable (nothing is stored, or see `on_settled`), Skippable when a single event is too large for an entry.
        Cancelled before it was sent, it is not sent; cancelled later, its events may or may not be stored.
        """
        if self._closing:
            raise Retriable("the journal writer is closing", after=1.0)
        if not len(batch):
            raise ValueError("an empty batch has no first event")
        pieces = [batch.slice(start, self.max_rows) for start in range(0, len(batch), self.max_rows)]
        lane = self._lane(feed)
        loop = asyncio.get_running_loop()
        parts = [Part(piece, wall_ns, loop.create_future(), piece.nbytes) for piece in pieces]
        for part in parts:
            lane.waiting.append(part)
            lane.rows += len(part.batch)
            lane.size += part.size
        lane.wake.set()
        numbers = await asyncio.gather(*(part.done for part in parts), return_exceptions=True)
        for number in numbers:
            if isinstance(number, BaseException):
                raise number
        first = numbers[0]
        assert isinstance(first, int)
        return first

    async def tick(self, at: int | None = None, following: int | None = None) -> int:
        """Journals the clock, or the moment `at` that it has reached; `following`: when the next one is due. Returns the entry's stream sequence."""
        self.due = following
        headers = entry_headers(b"", self.clock.now() if at is None else at, 0, 0, secrets.token_hex(12))
        ack = await self.journal.append("tick", b"", headers, self.patience)
        return ack.seq

    async def close(self) -> None:
        """Sends what is waiting, then ends."""
        self._closing = True
        for lane in self._lanes.values():
            lane.wake.set()
        runners = [lane.runner for lane in self._lanes.values() if lane.runner is not None]
        await asyncio.gather(*runners)

    def _lane(self, feed: str) -> Lane:
        lane = self._lanes.get(feed)
        if lane is None:
            lane = self._lanes[feed] = Lane(feed)
            lane.runner = asyncio.create_task(self._run(lane), name=f"journal-lane-{feed}")
        return lane

    async def _run(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not lane.waiting:
                if self._closing:
                    return
                lane.wake.clear()
                await lane.wake.wait()
            if len(lane.waiting) > 1:  # several callers at once: worth waiting for the others of them
                await self._gather_more(lane, lane.last_sent + self.max_wait)
            try:
                await self.journal.ready(self.patience)
            except Exception as error:  # every waiting caller gets it
                for part in self._take(lane, everything=True):
                    part.fail(error)
                continue
            lane.last_sent = loop.time()
            parts = self._unsettled(lane.feed, self._take(lane))
            if parts:
                await self._send(lane.feed, in_time(parts))

    async def _gather_more(self, lane: Lane, until: float) -> None:
        """Waits until the moment `until` (loop time), or until there is enough for an entry."""
        loop = asyncio.get_running_loop()
        while lane.rows < self.enough and lane.size < self.max_bytes and not self._closing:
            left = until - loop.time()
            if left <= 0:
                return
            lane.wake.clear()
            try:
                async with asyncio.timeout(left):
                    await lane.wake.wait()
            except TimeoutError:
                return

    def _unsettled(self, feed: str, parts: list[Part]) -> list[Part]:
        """Without events that an entry in doubt has brought in already; a part of nothing else is answered at once."""
        left = []
        for part in parts:
            part.batch, part.known = self._doubts.trim(feed, part.batch)
            if len(part.batch):
                left.append(part)
            elif part.known is not None:
                part.resolve(part.known)
        return left

    def _take(self, lane: Lane, everything: bool = False) -> list[Part]:
        """The oldest parts that fit in one entry and share a schema (a feed's attributes change when its file does)."""
        lane.waiting = [part for part in lane.waiting if not part.done.cancelled()]
        if not lane.waiting:
            lane.rows = lane.size = 0
            return []
        taken, rows, size = 0, 0, 0
        schema = lane.waiting[0].batch.schema
        for part in lane.waiting:
            rows, size = rows + len(part.batch), size + part.size
            if taken and not everything and (rows > self.max_rows or size > self.max_bytes or not part.batch.schema.equals(schema)):
                break
            taken += 1
        parts = lane.waiting[:taken]
        del lane.waiting[:taken]
        lane.rows = sum(len(part.batch) for part in lane.waiting)
        lane.size = sum(part.size for part in lane.waiting)
        return parts

    async def _send(self, feed: str, parts: list[Part]) -> None:
        try:
            batch = merge([part.batch for part in parts])
            first = await self._store(feed, batch, min(part.wall for part in parts))
        except Skippable as error:
            await self._split(feed, parts, error)
        except Exception as error:  # every waiting caller gets it
            for part in parts:
                part.fail(error)
        else:
            row = 0
            for part in parts:
                part.resolve(event_seq(first, row))
                row += len(part.batch)

    async def _split(self, feed: str, parts: list[Part], error: Skippable) -> None:
        """Too large for one entry: halves of it, down to single events."""
        if len(parts) > 1:
            half = len(parts) // 2
            await self._send(feed, parts[:half])
            await self._send(feed, parts[half:])
            return
        part = parts[0]
        if len(part.batch) == 1:
            part.fail(error)
            return
        half = len(part.batch) // 2
        loop = asyncio.get_running_loop()
        halves = [Part(piece, part.wall, loop.create_future()) for piece in (part.batch.slice(0, half), part.batch.slice(half))]
        for piece in halves:
            await self._send(feed, [piece])
        results = await asyncio.gather(*(piece.done for piece in halves), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                part.fail(result)
                return
        part.resolve(halves[0].done.result())

    def _now(self) -> int:
        """The time of an entry. Before the tick that is due and not on its way yet: so what deadlines are told at does not depend on which of the two
        is sent first, and a history without ticks tells the same (`correlate/past/ticks.py`)."""
        now = self.clock.now()
        return now if self.due is None or not self.due <= now < self.due + OVERDUE else self.due - 1

    async def _store(self, feed: str, batch: pa.RecordBatch, wall: int) -> int:
        """One entry. Returns its stream sequence."""
        ingest = self._now()
        stamped = stamp(batch, ingest)
        payload = encode(stamped)
        link = await self.journal.ready(self.patience)
        if len(payload) + HEADER_ROOM > link.max_payload:
            raise Skippable(f"an entry of {len(payload):,} bytes; the journal takes {link.max_payload:,}", where=f"feed {feed}")
        headers = entry_headers(payload, ingest, wall, len(batch), secrets.token_hex(12)) | {SENT: str(time.time_ns())}
        subject = f"ev.{self.region}.{subject_token(feed)}"
        after = self.journal.last.get(EVENTS, 0)
        try:
            ack: Ack = await self.journal.append(subject, payload, headers, self.patience)
        except Unsettled as unsettled:
            if unsettled.in_doubt:
                self._doubts.open.append(Doubt(feed, subject, payload, headers, stamped, after))
                await self.journal.reconnect()
            raise
        return ack.seq
