"""Messages of a stream in order from a sequence number on, for ever: each once, over reconnects and server restarts.

An unacknowledged pull consumer of our own is thrown away and made anew after the last message handed out whenever the
connection or the order is in doubt, so nothing depends on what the server remembers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Retriable

from . import streams
from .connection import Journal
from .consumer import NS, Consumer, Stale, wait
from .link import Link, Lost, Reply

FOR_EVER = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Raw:
    """A stored message with its stream sequence. `stored`: wall clock of the server when it took it, ns."""

    seq: int
    subject: str
    data: bytes
    headers: dict[str, str]
    stored: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequence numbers `first`..`last` that the stream does not hold (any more)."""

    first: int
    last: int


async def pull(journal: Journal, stream: str, start: int, until: int | None = None) -> AsyncIterator[Raw | Gap]:
    """Messages from sequence `start` on, and the gaps between them; ends after `until` when given. Waits while the journal is away."""
    backoff, position = Backoff(base=0.05, cap=2.0), max(start, 1)
    while until is None or position <= until:
        consumer: Consumer | None = None
        try:
            link = await journal.ready(FOR_EVER)
            consumer = await _open(link, stream, position)
            async for found in _drain(consumer, position, until):
                yield found
                position = (found.last if isinstance(found, Gap) else found.seq) + 1
                backoff.reset()
                if until is not None and position > until:
                    break
        except (Stale, Lost, Retriable, streams.ApiRefused) as error:
            journal.problem = str(error)
            journal.counters.reopened += 1
            await asyncio.sleep(backoff.next())
        finally:
            if consumer is not None:
                await consumer.close()


async def _open(link: Link, stream: str, start: int) -> Consumer:
    consumer = Consumer(link, stream, f"tocsin-{secrets.token_hex(8)}")
    await consumer.open(
        {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": start,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": 60 * NS,
            "mem_storage": True,
            "num_replicas": 1,
            "max_deliver": 1,
        }
    )
    return consumer


async def _drain(consumer: Consumer, position: int, until: int | None) -> AsyncIterator[Raw | Gap]:
    delivered = 0
    while True:
        consumer.news.clear()
        message = consumer.pop()
        await consumer.ask()
        if message is None:
            if until is not None and consumer.idle and await _over(consumer, until):
                yield Gap(position, until)
                return
            await wait(consumer.link, consumer.news)
            continue
        raw, number = _raw(message)
        delivered += 1
        if number != delivered or raw.seq < position:
            raise Stale(f"messages out of order: {number} instead of {delivered}")
        if raw.seq > position:
            yield Gap(position, raw.seq - 1)
        yield raw
        position = raw.seq + 1


async def _over(consumer: Consumer, until: int) -> bool:
    """`until` was written, but the server has nothing more: what is still wanted is missing there."""
    state = await streams.state(consumer.link, consumer.stream)
    return state is not None and state.last >= until and await consumer.exhausted()


def _raw(message: Reply) -> tuple[Raw, int]:
    """`$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; newer servers may put a domain
    and an account hash before the stream and a token at the end."""
    fields = message.reply.split(".")
    skipped = 2 if len(fields) >= 11 else 0
    seq, number, stored = int(fields[5 + skipped]), int(fields[6 + skipped]), int(fields[7 + skipped])
    return Raw(seq, message.subject, message.data, dict(message.headers), stored), number
