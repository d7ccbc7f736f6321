"""Raw MQTT publishes of one feed, as the embedded server stored them; a message is gone from the server once confirmed.

Publishes of quality 1 and 2 come from `$MQTT_msgs` (see `mqtt.py`), those of quality 0 and plain NATS publishes from INBOX,
where copies of the former are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.kernel.fault import Retriable

from .connection import Journal
from .consumer import Consumer, Stale, wait
from .link import Link, Lost, Reply
from .mqtt import MQTT_STREAM, durable, keep_feed
from .nats_conf import subject_token
from .streams import INBOX, ApiRefused

BATCH = 256
QUALITY = "Nmqtt-Pub"
#: Copies are dropped only if they came clearly after `$MQTT_msgs` had begun to keep the feed's messages.
SETTLING = timedelta(seconds=5)

Delivery = tuple[bytes, Callable[[], Awaitable[None]]]


async def inbox(journal: Journal, feed: str, opened: Callable[[], None] = lambda: None) -> AsyncIterator[Delivery]:
    """(body, confirm) for every message on `in/<feed>/...`, until cancelled. `opened` is called when it listens. Raises Retriable when
    the journal goes away."""
    link = await journal.ready()
    news = asyncio.Event()
    consumers: list[Consumer] = []
    try:
        kept_since = await _open(link, feed, news, consumers)
        opened()
        while True:
            news.clear()
            messages = [(consumer, message) for consumer in consumers if (message := consumer.pop()) is not None]
            for consumer in consumers:
                await consumer.ask()
            for consumer, message in messages:
                if consumer.stream == INBOX and kept_since is not None and _is_copy(message, kept_since):
                    await link.publish(message.reply, b"")
                else:
                    yield message.data, _confirmation(link, message)
            if not messages:
                await wait(link, news)
    except (Stale, Lost, ApiRefused) as error:
        raise Retriable(f"the MQTT inbox of {feed} does not answer: {error}", after=1.0) from None
    finally:
        for consumer in consumers:
            await consumer.close()


async def _open(link: Link, feed: str, news: asyncio.Event, consumers: list[Consumer]) -> datetime | None:
    """Opens the feed's consumers; since when `$MQTT_msgs` keeps its messages, None when the server speaks no MQTT."""
    token = subject_token(feed)
    created = await keep_feed(link, feed)
    sources: list[tuple[str, dict[str, Any]]] = [(INBOX, durable(feed, f"in.{token}.>"))]
    if created is not None:
        sources.append((MQTT_STREAM, durable(feed, f"$MQTT.msgs.in.{token}.>")))
    for stream, config in sources:
        consumer = Consumer(link, stream, config["durable_name"], news, lasting=True, batch=BATCH)
        consumers.append(consumer)
        await consumer.open(config)
    return datetime.fromisoformat(created[:19]).replace(tzinfo=UTC) + SETTLING if created else None


def _is_copy(message: Reply, kept_since: datetime) -> bool:
    """`$JS.ACK....<time in ns>.<pending>` says when it was stored."""
    fields = message.reply.split(".")
    stored = int(fields[9 if len(fields) >= 11 else 7]) / 1e9
    return message.headers.get(QUALITY, "0")[:1] in {"1", "2"} and stored > kept_since.timestamp()


def _confirmation(link: Link, message: Reply) -> Callable[[], Awaitable[None]]:
    async def confirm() -> None:
        # A lost confirmation only means a second delivery, which the feed's ids recognise.
        await link.publish(message.reply, b"")

    return confirm
