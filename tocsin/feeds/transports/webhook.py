"""HTTP push: the sender POSTs to us. The door itself is `feeds/webhook_app.py`; this opens it for one feed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Sink
from tocsin.feeds.options import Option
from tocsin.feeds.webhook_hub import Door
from tocsin.model.feed import FeedSpec

OPTIONS: Final[Mapping[str, Option]] = {
    "max_body": Option("size", "largest body, unpacked", default=16 << 20),
}


class Webhook:
    def __init__(self, spec: FeedSpec, options: Mapping[str, Any], context: Context) -> None:
        self._spec = spec
        self._max_body: int = options["max_body"]
        self._hub = context.hub

    async def run(self, sink: Sink) -> None:
        """Open until cancelled, or until a delivery meets a fault that must not be answered and forgotten."""
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._hub.open(Door(self._spec, sink, self._max_body, broken)):
            await broken
