"""The whole plug-in API: a feed is a transport (how bytes come) and a format (bytes to events).

A format is pure: no clock, no I/O, no logging of payloads. A transport never looks inside a payload; it hands messages to
its sink and confirms to the outside only after the sink has returned, because then the batch is durable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from tocsin.model.feed import FeedSpec


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes as received. `received`: city time, microseconds. `origin`: where from, for people (`POST 127.0.0.1`, a file:line)."""

    body: bytes
    received: int
    origin: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be decoded. `index`: its place in the message, from 0. `size`: bytes it had when `raw` is only
    its beginning, else 0."""

    index: int
    raw: bytes
    reason: str
    where: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """`events`: a batch of `model.event.event_schema`, `ingest_time` null. `index[i]`: the record that row i came from."""

    events: pa.RecordBatch
    index: tuple[int, ...] | range = ()
    rejects: tuple[Reject, ...] = ()


class Format(Protocol):
    """bytes -> events. Raises `Skippable` only when the message as a whole is unreadable (truncated XML, not UTF-8)."""

    def decode(self, body: bytes, spec: FeedSpec) -> Decoded: ...


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record: `accepted`, `duplicate`, `conflict` (same id, other content; ignored) or `rejected`."""

    index: int
    status: str
    id: str | None = None
    reason: str = ""


@dataclass(slots=True)
class Receipt:
    """What became of a message. Accepted events are durable in the journal when this exists."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    results: list[Result] = field(default_factory=list)  # everything not accepted, in order; all when asked for


class EventLog(Protocol):
    """The journal as the feeds see it."""

    async def append(self, feed: str, batch: pa.RecordBatch, wall_ns: int) -> int:
        """Returns the first `seq` when the batch is durable. `wall_ns`: wall clock at receipt, for latency figures only."""
        ...


class Sink(Protocol):
    """Where a transport delivers."""

    async def deliver(self, message: Message, every: bool = False) -> Receipt:
        """Returns when the events are durable and the rejects quarantined; raises `Retriable` when that is not possible now.
        `every`: the receipt lists accepted records too."""
        ...

    async def refuse(self, message: Message, reason: str, size: int) -> None:
        """Quarantines a message that must not be decoded: a line over the limit, of which only the beginning is at hand.
        `size`: bytes it had."""
        ...

    def heard(self) -> None:
        """The source answers, though it has nothing new: the feed is not failing."""
        ...


class Transport(Protocol):
    """How bytes come. `run` ends when the source is exhausted (replay), raises `Retriable` to be restarted with backoff,
    and is cancelled to stop."""

    async def run(self, sink: Sink) -> None: ...
