"""Messages of a stream in order from a sequence number on, for ever: each once, over reconnects and server restarts.

An unacknowledged pull consumer of our own is thrown away and made anew after the last message handed out whenever the
connection or the order is in doubt, so nothing depends on what the server remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import nats.errors
import orjson

from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Retriable

from . import streams
from .connection import Journal
from .link import Link, Lost, Reply

BATCH = 512
MAX_BYTES = 24 << 20
EXPIRES = 30.0
HEARTBEAT = 1.0
#: Without a message or heartbeat for this long the consumer is taken for dead.
DEAD = 4.0
NS = 10**9


@dataclass(frozen=True, slots=True)
class Raw:
    """A stored message. `seq`: stream sequence; `pending`: messages behind it when it was sent."""

    seq: int
    subject: str
    data: bytes
    headers: dict[str, str]
    pending: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequence numbers `first`..`last` that the stream does not hold (any more)."""

    first: int
    last: int


class Stale(Exception):
    """This consumer can no longer be trusted; make a new one."""


@dataclass(slots=True)
class _Consumer:
    """One server-side consumer on one link, and what arrived from it."""

    link: Link
    stream: str
    name: str
    inbox: str
    arrived: deque[Reply] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    room: int = 0
    delivered: int = 0
    idle: bool = False
    subscription: Any = None

    async def take(self, message: Reply) -> None:
        self.arrived.append(message)
        self.news.set()

    async def ask(self) -> None:
        """Keeps the server's pipe filled: asks again when half of the last request is used up."""
        if self.room > BATCH // 2:
            return
        body = {
            "batch": BATCH - self.room,
            "max_bytes": MAX_BYTES,
            "expires": int(EXPIRES * NS),
            "idle_heartbeat": int(HEARTBEAT * NS),
        }
        self.room = BATCH
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.name}"
        try:
            await self.link.client.publish(subject, orjson.dumps(body), self.inbox)
        except Exception as error:
            raise Stale(str(error)) from None

    async def wait(self) -> None:
        """Returns when something has arrived. Raises Stale when the link or the consumer is silent."""
        self.news.clear()
        if self.arrived:
            return
        closed = asyncio.ensure_future(self.link.closed.wait())
        news = asyncio.ensure_future(self.news.wait())
        try:
            done, _ = await asyncio.wait({closed, news}, timeout=DEAD, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            news.cancel()
        if news not in done:
            raise Stale("connection lost" if closed in done else "no heartbeat")

    async def exhausted(self, until: int) -> bool:
        """`until` was written, but the server has nothing more for this consumer: what is still wanted is missing there."""
        self.idle = False
        state = await streams.state(self.link, self.stream)
        if state is None or state.last < until:
            return False
        info = await streams.api(self.link, f"CONSUMER.INFO.{self.stream}.{self.name}")
        return bool(info["num_pending"] == 0 and info["delivered"]["consumer_seq"] == self.delivered and not self.arrived)

    async def close(self) -> None:
        """Best effort: the server forgets an idle consumer by itself."""
        with contextlib.suppress(Lost, nats.errors.Error, OSError):
            if self.subscription is not None:
                await self.subscription.unsubscribe()
            await self.link.publish(f"$JS.API.CONSUMER.DELETE.{self.stream}.{self.name}", b"")


async def pull(journal: Journal, stream: str, start: int, until: int | None = None) -> AsyncIterator[Raw | Gap]:
    """Messages from sequence `start` on, and the gaps between them; ends after `until` when given. Waits while the journal is away."""
    backoff, position = Backoff(base=0.05, cap=2.0), max(start, 1)
    while until is None or position <= until:
        consumer: _Consumer | None = None
        try:
            link = await journal.ready(3600.0)
            consumer = await _open(link, stream, position)
            async for found in _drain(consumer, position, until):
                yield found
                position = (found.last if isinstance(found, Gap) else found.seq) + 1
                backoff.reset()
                if until is not None and position > until:
                    break
        except (Stale, Lost, Retriable, streams.ApiRefused) as error:
            journal.problem = str(error)
            await asyncio.sleep(backoff.next())
        finally:
            if consumer is not None:
                await consumer.close()


async def _open(link: Link, stream: str, start: int) -> _Consumer:
    name = f"tocsin-{secrets.token_hex(8)}"
    config = {
        "name": name,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start,
        "ack_policy": "none",
        "replay_policy": "instant",
        "inactive_threshold": int(60 * NS),
        "mem_storage": True,
        "num_replicas": 1,
        "max_deliver": 1,
    }
    consumer = _Consumer(link, stream, name, link.inbox())
    consumer.subscription = await link.subscribe(consumer.inbox, consumer.take)
    try:
        await streams.api(link, f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
    except BaseException:
        await consumer.close()
        raise
    return consumer


async def _drain(consumer: _Consumer, position: int, until: int | None) -> AsyncIterator[Raw | Gap]:
    while True:
        if until is not None and consumer.idle and await consumer.exhausted(until):
            yield Gap(position, until)
            return
        await consumer.ask()
        if not consumer.arrived:
            await consumer.wait()
        while consumer.arrived:
            message = consumer.arrived.popleft()
            if not message.reply.startswith("$JS.ACK."):
                _status(consumer, message)
                continue
            consumer.room -= 1
            consumer.idle = False
            raw, number = _raw(message)
            consumer.delivered += 1
            if number != consumer.delivered or raw.seq < position:
                raise Stale(f"messages out of order: {number} instead of {consumer.delivered}")
            if raw.seq > position:
                yield Gap(position, raw.seq - 1)
            yield raw
            position = raw.seq + 1
            if consumer.room <= BATCH // 2:
                await consumer.ask()


def _status(consumer: _Consumer, message: Reply) -> None:
    """100: heartbeat. 408, 409: a request ended, `Nats-Pending-Messages` of it will not come. Everything else ends the consumer."""
    status, text = message.headers.get("Status"), message.headers.get("Description", "")
    if status == "100":
        consumer.idle = True
        return
    left = message.headers.get("Nats-Pending-Messages")
    if left is not None and (status == "408" or (status == "409" and "MaxBytes" in text)):
        consumer.room = max(0, consumer.room - int(left))
        return
    raise Stale(f"{status} {text}")


def _raw(message: Reply) -> tuple[Raw, int]:
    """`$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; a domain and account may stand before."""
    fields = message.reply.split(".")
    seq, number, pending = int(fields[-4]), int(fields[-3]), int(fields[-1])
    if len(fields) >= 12:
        seq, number, pending = int(fields[7]), int(fields[8]), int(fields[10])
    return Raw(seq, message.subject, message.data, dict(message.headers), pending), number
