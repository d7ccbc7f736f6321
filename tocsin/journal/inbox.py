"""Raw MQTT publishes of one feed, as the embedded server stored them; a message is gone from the stream once confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import Error as JetStreamError

from tocsin.kernel.fault import Retriable

from .connection import Journal
from .nats_conf import subject_token
from .streams import INBOX

FETCH = 256
ACK_WAIT = 60.0  # seconds until an unconfirmed message is delivered again


async def inbox(journal: Journal, feed: str) -> AsyncIterator[tuple[bytes, Callable[[], Awaitable[None]]]]:
    """(body, confirm) for every message on `in.<feed>.>`, until cancelled. Raises Retriable when the journal goes away."""
    link = await journal.ready()
    token = subject_token(feed)
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT, max_ack_pending=4 * FETCH)
    try:
        stream = link.client.jetstream()
        subscription = await stream.pull_subscribe(f"in.{token}.>", durable=f"ingest-{token}", stream=INBOX, config=config)
        while True:
            try:
                messages = await subscription.fetch(FETCH, timeout=5)
            except (TimeoutError, nats.errors.TimeoutError):
                continue
            for message in messages:
                yield message.data, _confirmation(message)
    except (nats.errors.Error, JetStreamError, OSError) as error:
        raise Retriable(f"the MQTT inbox of {feed} does not answer: {error or type(error).__name__}", after=1.0) from None


def _confirmation(message: Msg) -> Callable[[], Awaitable[None]]:
    async def confirm() -> None:
        # A lost confirmation only means a second delivery, which the feed's ids recognise.
        await asyncio.shield(message.ack())

    return confirm
