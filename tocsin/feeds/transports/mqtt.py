"""Devices publish straight to the embedded server; its stream keeps every message until it is decoded and journaled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Message, Receipt, Sink
from tocsin.feeds.options import Option
from tocsin.model.feed import FeedSpec

from .delivery import deliver_in_order, deliver_patiently

OPTIONS: Final[Mapping[str, Option]] = {
    "in_flight": Option("count", "messages on their way to the journal at the same time", default=256),
}

Published = tuple[bytes, Callable[[], Awaitable[None]]]


class Mqtt:
    """Topic `in/<feed>/...` of the embedded server. A message is confirmed (and deleted there) after it was delivered."""

    def __init__(self, spec: FeedSpec, options: Mapping[str, Any], context: Context) -> None:
        self._spec = spec
        self._in_flight: int = options["in_flight"]
        self._context = context

    async def run(self, sink: Sink) -> None:
        """Reads the inbox until cancelled. What is not confirmed by then, the stream delivers again."""

        async def deliver(published: Published) -> Receipt:
            return await deliver_patiently(sink, Message(published[0], self._context.clock.now(), f"in/{self._spec.name}"))

        async def confirm(published: Published) -> None:
            await published[1]()

        await deliver_in_order(self._context.inbox(self._spec.name, sink.heard), deliver, confirm, self._in_flight)
