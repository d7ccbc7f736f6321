"""Raw MQTT publishes of one feed, as the embedded server stored them; a message is gone from the server once confirmed.

Publishes of quality 1 and 2 come from `$MQTT_msgs` (see `mqtt.py`), those of quality 0 and plain NATS publishes from INBOX,
where copies of the former are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import Error as JetStreamError

from tocsin.kernel.fault import Retriable

from .connection import Journal
from .link import Lost
from .mqtt import ACK_WAIT, MAX_PENDING, MQTT_STREAM, PREFIX, keep_feed
from .nats_conf import subject_token
from .streams import INBOX, ApiRefused

FETCH = 256
QUALITY = "Nmqtt-Pub"
#: Copies are dropped only if they came clearly after `$MQTT_msgs` had begun to keep the feed's messages.
SETTLING = timedelta(seconds=5)

Delivery = tuple[bytes, Callable[[], Awaitable[None]]]


async def inbox(journal: Journal, feed: str) -> AsyncIterator[Delivery]:
    """(body, confirm) for every message on `in/<feed>/...`, until cancelled. Raises Retriable when the journal goes away."""
    link = await journal.ready()
    token = subject_token(feed)
    try:
        created = await keep_feed(link, feed)
    except (Lost, ApiRefused) as error:
        raise Retriable(f"the MQTT inbox of {feed} does not answer: {error}", after=1.0) from None
    since = datetime.fromisoformat(created[:19]).replace(tzinfo=UTC) + SETTLING if created else datetime.max.replace(tzinfo=UTC)
    context = link.client.jetstream()
    queue: asyncio.Queue[Msg] = asyncio.Queue(FETCH)
    sources = [asyncio.create_task(_fetch(context, INBOX, f"in.{token}.>", token, queue, since))]
    if created:
        sources.append(asyncio.create_task(_fetch(context, MQTT_STREAM, f"$MQTT.msgs.in.{token}.>", token, queue, None)))
    try:
        while True:
            message = await _next(queue, sources)
            yield message.data, _confirmation(message)
    except (nats.errors.Error, JetStreamError, OSError) as error:
        raise Retriable(f"the MQTT inbox of {feed} does not answer: {error or type(error).__name__}", after=1.0) from None
    finally:
        for source in sources:
            source.cancel()
        await asyncio.gather(*sources, return_exceptions=True)


async def _fetch(
    context: JetStreamContext, stream: str, subject: str, token: str, queue: asyncio.Queue[Msg], copies_since: datetime | None
) -> None:
    """Messages of one stream into the queue, for ever; with `copies_since`, without copies of what is stored elsewhere."""
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT, max_ack_pending=MAX_PENDING)
    subscription = await context.pull_subscribe(subject, durable=PREFIX + token, stream=stream, config=config)
    while True:
        try:
            messages = await subscription.fetch(FETCH, timeout=5)
        except (TimeoutError, nats.errors.TimeoutError):
            continue
        for message in messages:
            if copies_since is not None and _is_copy(message, copies_since):
                await message.ack()
            else:
                await queue.put(message)


def _is_copy(message: Msg, since: datetime) -> bool:
    quality = (message.headers or {}).get(QUALITY, "0")
    return quality[:1] in {"1", "2"} and message.metadata.timestamp > since


async def _next(queue: asyncio.Queue[Msg], sources: list[asyncio.Task[None]]) -> Msg:
    """The next message; raises what ended a source."""
    if not queue.empty():
        return queue.get_nowait()
    getter = asyncio.create_task(queue.get())
    done, _ = await asyncio.wait({getter, *sources}, return_when=asyncio.FIRST_COMPLETED)
    if getter in done:
        return getter.result()
    getter.cancel()
    for source in sources:
        if source in done:
            source.result()
    raise nats.errors.ConnectionClosedError


def _confirmation(message: Msg) -> Callable[[], Awaitable[None]]:
    async def confirm() -> None:
        # A lost confirmation only means a second delivery, which the feed's ids recognise.
        await asyncio.shield(message.ack())

    return confirm
