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
    """Bytes as received. `received`: city time, microseconds. `origin`: where from, for people (`POST 127.0.0.1`, a file:line).
    `final`: no more bytes of this payload follow."""

    body: bytes
    received: int
    origin: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be decoded. `index`: its place in the message, from 0."""

    index: int
    raw: bytes
    reason: str
    where: str = ""


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


class Sink(Protocol):
    """Where a transport delivers. Returns when durable; raises `Retriable` when the journal cannot take it now."""

    async def deliver(self, message: Message) -> Receipt: ...


class Transport(Protocol):
    """How bytes come. `run` ends when the source is exhausted (replay), raises `Retriable` to be restarted with backoff,
    and is cancelled to stop."""

    async def run(self, sink: Sink) -> None: ...
