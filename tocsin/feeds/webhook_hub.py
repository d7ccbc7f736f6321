"""Where the webhook door finds the running feeds: a feed's transport puts its sink here while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tocsin.model.feed import FeedSpec

from .contract import Sink


@dataclass(frozen=True, slots=True)
class Door:
    """One running webhook feed. `max_body` in bytes. `broken`: a fault that must end the feed's run goes here."""

    spec: FeedSpec
    sink: Sink
    max_body: int
    broken: asyncio.Future[None]


@dataclass(slots=True)
class Hub:
    doors: dict[str, Door] = field(default_factory=dict)

    @contextmanager
    def open(self, door: Door) -> Iterator[None]:
        self.doors[door.spec.name] = door
        try:
            yield
        finally:
            del self.doors[door.spec.name]
