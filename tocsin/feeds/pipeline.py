"""What happens to every message, whatever it came by: admit, decode, deduplicate, append, quarantine, answer.

The answer is given when the events are durable in the journal and the rejects in the quarantine, never before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Retriable, Skippable, TocsinError
from tocsin.model.feed import FeedSpec

from .admission import MB, Budget
from .contract import Decoded, EventLog, Format, Message, Receipt, Reject, Result
from .dedup import CONFLICT, DUPLICATE, FRESH, Claim, Dedup
from .health import FeedHealth
from .limits import KEPT_OF_LARGER, MAX_MESSAGE, without_giants
from .quarantine import Entry, Quarantine, Rejected

log = logging.getLogger(__name__)

#: Above this a message is decoded in a thread, so that the event loop serves the other feeds meanwhile.
THREAD_ABOVE: Final = 1 * MB
#: What a message on its way costs besides its bytes, so that many tiny ones are bounded too.
MESSAGE_COST: Final = 8 << 10
#: Rows per claim and append: a bound on how long the event loop is held, and far below `model.ids.MAX_ROWS`.
SLICE: Final = 16_384
NOTHING: Final = pa.RecordBatch.from_pylist([], pa.schema([]))


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sinks of a node use together."""

    log: EventLog
    quarantine: Quarantine
    clock: Clock
    budget: Budget = field(default_factory=Budget)
    decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "decode"))


class FeedSink:
    """The way into the house for one feed: the `Sink` its transport delivers to."""

    def __init__(self, spec: FeedSpec, decoder: Format, shared: Shared, dedup: Dedup, health: FeedHealth) -> None:
        self.spec = spec
        self.health = health
        self.dedup = dedup
        self._format = decoder
        self._shared = shared
        self._one_thread = asyncio.Lock()  # a feed of large messages uses one decoding thread, not all
        self._writing: set[asyncio.Task[None]] = set()

    async def deliver(self, message: Message, every: bool = False) -> Receipt:
        """Raises `Retriable`; then the message may be delivered again, and what was durable already comes back as duplicate."""
        wall = time.time_ns()
        try:
            with self._shared.budget.hold(self.spec.name, self.spec.priority) as hold:
                hold.grow(len(message.body) + MESSAGE_COST)
                decoded = await self._decode(message)
                receipt = await self._take(message, decoded, wall, every)
        except Retriable:
            self.health.refused += 1
            raise
        self.health.took(message.received, receipt)
        return receipt

    async def _take(self, message: Message, decoded: Decoded, wall: int, every: bool) -> Receipt:
        """Appends what is good, then sets aside what is not: a full quarantine must not keep good records from the journal."""
        receipt = Receipt()
        rejects = decoded.rejects
        try:
            await self._append(decoded, receipt, wall, every)
        except Skippable as fault:  # the journal refuses an event for what it is: trying again would not help
            rejects = (*rejects, Reject(0, message.body, str(fault), fault.where))
        await self._set_aside(message, rejects, receipt)
        receipt.results.sort(key=lambda result: result.index)
        return receipt

    async def refuse(self, message: Message, reason: str, size: int) -> None:
        receipt = Receipt()
        await self._set_aside(message, (Reject(0, message.body, reason, size=size),), receipt)
        self.health.took(message.received, receipt)

    def heard(self) -> None:
        self.health.heard()

    async def redeliver(self, entry: Entry) -> Receipt:
        """Decodes a quarantined record with the mapping as it is now. Raises `Skippable` when that cannot be tried."""
        if entry.raw is None or not entry.whole:
            found = "its bytes are gone" if entry.raw is None else "only its beginning was kept"
            raise Skippable(f"record {entry.id} of {self.spec.name} cannot be retried: {found}")
        quarantine = self._shared.quarantine
        message = Message(entry.raw, self._shared.clock.now(), f"quarantine {entry.id}", entry.content_type)
        decoded = await self._decode(message)
        receipt = Receipt()
        await self._append(decoded, receipt, time.time_ns(), every=True)
        if not receipt.results and decoded.rejects:
            _note(receipt, decoded.rejects)
            await quarantine.amend(entry.id, decoded.rejects[0].reason, decoded.rejects[0].where)
            return receipt
        await self._set_aside(message, decoded.rejects, receipt)
        await quarantine.done(entry.id)
        self.health.took(message.received, receipt)
        return receipt

    async def _decode(self, message: Message) -> Decoded:
        size = len(message.body)
        if size > MAX_MESSAGE:
            reject = Reject(
                0, message.body[:KEPT_OF_LARGER], f"a message of {size} bytes; at most {MAX_MESSAGE} can be decoded at once", size=size
            )
            return Decoded(NOTHING, (), (reject,))
        if size <= THREAD_ABOVE:
            return self._decode_now(message.body)
        async with self._one_thread:
            return await asyncio.get_running_loop().run_in_executor(self._shared.decoders, self._decode_now, message.body)

    def _decode_now(self, body: bytes) -> Decoded:
        try:
            return without_giants(self._format.decode(body, self.spec), body)
        except Skippable as fault:
            return _all_rejected(body, str(fault), fault.where)
        except Exception as fault:  # a decoder that breaks on one message must not stop the feed: it is quarantined like any other
            log.error("the %s decoder broke on a message of %s: %s", self.spec.format.name, self.spec.name, type(fault).__name__)
            detail = "" if self.spec.personal else f": {fault}"
            return _all_rejected(body, f"the {self.spec.format.name} decoder broke ({type(fault).__name__}{detail})")

    async def _append(self, decoded: Decoded, receipt: Receipt, wall: int, every: bool) -> None:
        for start in range(0, decoded.events.num_rows, SLICE):
            rows = decoded.events.slice(start, SLICE)
            claim = await self.dedup.claim(rows)
            # Finished even when the caller is cancelled (a broker went away): what is on its way to the journal must end up
            # known or forgotten, else it would be written twice or wait for ever.
            writing = asyncio.create_task(self._write(rows, claim, wall))
            self._writing.add(writing)
            writing.add_done_callback(self._written)
            await asyncio.shield(writing)
            _tell(receipt, claim, decoded, start, every)

    def _written(self, writing: asyncio.Task[None]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # seen, also when nobody waits for it any more

    async def _write(self, rows: pa.RecordBatch, claim: Claim, wall: int) -> None:
        try:
            fresh = rows if claim.all_fresh else rows.filter(pa.array(claim.status == FRESH))
            if fresh.num_rows:
                await self._shared.log.append(self.spec.name, fresh, wall)
        except BaseException as fault:
            claim.forget()
            if isinstance(fault, TocsinError) or not isinstance(fault, Exception):
                raise
            raise Retriable(f"the journal cannot take events now: {type(fault).__name__}: {fault}", 1.0) from fault
        claim.keep(self._shared.clock.now())
        if fresh.num_rows:
            self._count(fresh)

    def _count(self, fresh: pa.RecordBatch) -> None:
        newest = int(fresh.column("event_time").cast(pa.int64()).to_numpy().max())
        self.health.last_event_time = max(newest, self.health.last_event_time or newest)
        self.health.kinds.update(fresh.column("kind").dictionary.to_pylist())

    async def _set_aside(self, message: Message, rejects: tuple[Reject, ...], receipt: Receipt) -> None:
        if not rejects:
            return
        spec = self.spec
        await self._shared.quarantine.put(
            Rejected(spec.name, bool(spec.personal), spec.retention, message.received, rejects, message.origin, message.content_type)
        )
        _note(receipt, rejects)


def _note(receipt: Receipt, rejects: tuple[Reject, ...]) -> None:
    receipt.rejected += len(rejects)
    receipt.results += [Result(reject.index, "rejected", None, f"{reject.where}: {reject.reason}".removeprefix(": ")) for reject in rejects]


def _tell(receipt: Receipt, claim: Claim, decoded: Decoded, start: int, every: bool) -> None:
    """Adds what became of one slice to the receipt."""
    status = claim.status
    duplicates, conflicts = int((status == DUPLICATE).sum()), int((status == CONFLICT).sum())
    receipt.accepted += len(status) - duplicates - conflicts
    receipt.duplicates += duplicates
    receipt.conflicts += conflicts
    rows: list[int] = list(range(len(status))) if every else status.nonzero()[0].tolist()
    if not rows:
        return
    ids = claim.prints.names.take(pa.array(rows, pa.int32())).to_pylist()
    for row, name in zip(rows, ids, strict=True):
        index = decoded.index[start + row] if decoded.index else start + row
        word, reason = OUTCOMES[int(status[row])]
        receipt.results.append(Result(index, word, name, reason))


OUTCOMES: Final = {
    FRESH: ("accepted", ""),
    DUPLICATE: ("duplicate", "this id was received before with the same content"),
    CONFLICT: ("conflict", "this id was received before with other content; the first one counts"),
}


def _all_rejected(body: bytes, reason: str, where: str = "") -> Decoded:
    return Decoded(NOTHING, (), (Reject(0, body, reason, where),))
