"""A small house for tests of ingest: a journal in memory, a format of JSON lines, sinks put together as in the product."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyarrow as pa

from tocsin.feeds.contract import Decoded, Message, Reject
from tocsin.feeds.dedup import Dedup
from tocsin.feeds.health import FeedHealth
from tocsin.feeds.pipeline import FeedSink, Shared
from tocsin.feeds.quarantine import Quarantine
from tocsin.feeds.sealing import Seal
from tocsin.kernel.clock import Clock
from tocsin.model.event import event_schema
from tocsin.model.feed import Choice, FeedSpec
from tocsin.model.time import DAY, SECOND

SCHEMA = event_schema({"phone": "string"})
START = 1_499_202_000 * SECOND  # 2017-07-04T21:00:00Z


def make_spec(name: str = "levels", transport: str = "webhook", options: dict | None = None, **more) -> FeedSpec:
    return FeedSpec(
        name=name,
        title=name.title(),
        purpose="flood warning",
        owner="water board",
        retention=30 * DAY,
        sensitivity="internal",
        transport=Choice(transport, options or {}),
        format=more.pop("format", Choice("lines")),
        mapping=more.pop("mapping", {}),
        file=f"feeds/{name}.yaml",
        line=1,
        **more,
    )


def line(id_: str, t: int = START, **fields) -> bytes:
    return json.dumps({"id": id_, "t": t, **fields}).encode()


def batch(*lines: bytes, feed: str = "levels") -> pa.RecordBatch:
    rows = []
    for text in lines:
        record = json.loads(text)
        rows.append(
            {
                "id": record["id"],
                "feed": feed,
                "kind": record.get("kind", "water.level"),
                "source": record.get("source"),
                "event_time": record["t"],
                "value": record.get("value"),
                "action": 0,
                "text": record.get("text"),
                "attrs": {"phone": record.get("attr")},
            }
        )
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


class Lines:
    """One JSON object per line; a line `boom` breaks the decoder, a body `unreadable` is refused as a whole."""

    def decode(self, body: bytes, spec: FeedSpec) -> Decoded:
        from tocsin.kernel.fault import Skippable

        if body.startswith(b"unreadable"):
            raise Skippable("not readable at all", "byte 0")
        good, index, rejects = [], [], []
        for place, text in enumerate(text for text in body.split(b"\n") if text):
            if text == b"boom":
                raise KeyError(body.decode())
            try:
                record = json.loads(text)
                record["id"], record["t"]
            except (ValueError, KeyError, TypeError) as error:
                rejects.append(Reject(place, text, f"not a record: {error}", f"line {place + 1}"))
            else:
                good.append(text)
                index.append(place)
        return Decoded(batch(*good, feed=spec.name), tuple(index), tuple(rejects))


class MemoryLog:
    """The journal in memory. `hold` makes appends wait; `fail` makes the next ones raise."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, pa.RecordBatch]] = []
        self.hold: asyncio.Event | None = None
        self.fail: list[BaseException] = []
        self.appending = 0

    async def append(self, feed: str, batch: pa.RecordBatch, wall_ns: int) -> int:
        assert wall_ns > 0
        self.appending += 1
        await (self.hold.wait() if self.hold else asyncio.sleep(0))
        if self.fail:
            raise self.fail.pop(0)
        self.batches.append((feed, batch))
        return len(self.batches) << 20

    def ids(self, feed: str | None = None) -> list[str]:
        return [id_ for name, batch in self.batches if feed in (None, name) for id_ in batch.column("id").to_pylist()]


class House:
    def __init__(self, folder: Path, clock: Clock | None = None, **quarantine) -> None:
        self.folder = folder
        self.clock = clock or Clock()
        self.log = MemoryLog()
        self.quarantine = Quarantine(folder / "quarantine.db", Seal.from_file(folder / "quarantine.key"), **quarantine)
        self.shared = Shared(self.log, self.quarantine, self.clock)

    def sink(self, spec: FeedSpec | None = None, decoder=None) -> FeedSink:
        spec = spec or make_spec()
        return FeedSink(spec, decoder or Lines(), self.shared, Dedup(), FeedHealth(spec, self.clock))

    def close(self) -> None:
        self.quarantine.close()
        self.shared.decoders.shutdown()


def message(*lines: bytes, received: int = START) -> Message:
    return Message(b"\n".join(lines), received, "test")


async def until(true, seconds: float = 120.0) -> None:
    """Waits for something to become true; the deadline only ends a test that would hang."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)
