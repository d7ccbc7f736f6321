"""Notices a server that went back in time, and keeps its sequence numbers from being given twice.

One flipped bit in a stream file can make a single nats-server cut the stream there at its next start and number on from the
cut, without a word. Every process that publishes therefore keeps a mark: the highest number it has seen, on disk. When a
server's last number is below the mark it has lost entries. The numbers up to the mark (and a margin for what the mark had
not yet noted) are then filled with markers on `lost.<stream>`, so that no number ever names two things and everything that
is left stays readable; the stream's epoch is raised and the alarm is given.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tocsin.kernel import durable
from tocsin.kernel.fault import Retriable
from tocsin.model.time import to_iso

from .link import Link
from .streams import ALERTS, EVENTS, StreamState, api, set_epoch, state

log = logging.getLogger(__name__)
#: Numbers acknowledged at most beyond what is on disk: an acknowledgement waits for the mark when this is reached.
MARGIN = 2048
WRITE_EVERY = 512
WRITE_SECONDS = 1.0
CHUNK = 256
LOST_SUBJECTS = {EVENTS: "lost.events", ALERTS: "lost.alerts"}


@dataclass(frozen=True, slots=True)
class Rewind:
    """The server had forgotten `first_lost`..`last_lost` (at least); the stream goes on after `resumes`. `at`: wall µs."""

    stream: str
    epoch: int
    first_lost: int
    last_lost: int
    resumes: int
    at: int

    def __str__(self) -> str:
        return (
            f"stream {self.stream} was rewound: entries {self.first_lost} to {self.last_lost} are gone from the server "
            f"(noticed {to_iso(self.at)}). Epoch {self.epoch} begins at {self.resumes + 1}; check the disk"
        )

    def to_json(self) -> bytes:
        return orjson.dumps({"alarm": str(self), "epoch": self.epoch, "first_lost": self.first_lost, "last_lost": self.last_lost})


class HighWater:
    """The highest numbers seen, in `folder/<process>.json`. Marks of all processes in the folder count at start."""

    def __init__(self, folder: Path, process: str) -> None:
        self.path = Path(folder) / f"{process}.json"
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._seen: dict[str, int] = {}
        self._saved: dict[str, int] = {}
        for path in sorted(Path(folder).glob("*.json")):
            for stream, seq in _read_mark(path).items():
                self._seen[stream] = max(self._seen.get(stream, 0), seq)
        self._written = 0.0
        self._writing: asyncio.Task[None] | None = None

    def known(self, stream: str) -> int:
        """0 when nothing was ever seen."""
        return self._seen.get(stream, 0)

    def note(self, stream: str, seq: int) -> None:
        """Something else knows this number (an acknowledgement, a snapshot, a view's position)."""
        self._seen[stream] = max(self._seen.get(stream, 0), seq)

    async def cover(self, stream: str, seq: int) -> None:
        """Notes `seq`; returns at once as long as the file on disk is not far behind."""
        self.note(stream, seq)
        behind = seq - self._saved.get(stream, 0)
        if behind >= WRITE_EVERY or time.monotonic() - self._written > WRITE_SECONDS:
            self._begin_write()
        while seq - self._saved.get(stream, 0) > MARGIN:
            self._begin_write()
            assert self._writing is not None
            await asyncio.shield(self._writing)

    def _begin_write(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(asyncio.to_thread(self._write), name="high-water")

    def _write(self) -> None:
        seen = dict(self._seen)
        durable.replace(self.path, orjson.dumps(seen))
        self._saved, self._written = seen, time.monotonic()

    async def close(self) -> None:
        """Writes what is not yet on disk. Where there is no room, the mark stays behind by less than `MARGIN`, as after a crash."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._seen != self._saved:
            try:
                await asyncio.to_thread(self._write)
            except OSError as error:
                log.error("journal: mark %s cannot be written: %s", self.path, error)


def _read_mark(path: Path) -> dict[str, int]:
    """A mark that cannot be read is no mark: it is replaced whole, so this is a foreign file or a broken disk."""
    try:
        return {str(stream): int(seq) for stream, seq in orjson.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError) as error:
        log.error("journal: mark %s cannot be read (%s); a rewind may go unnoticed", path, error)
        return {}


class Watchman:
    """Looks at one stream on a new link, before anybody publishes on it."""

    def __init__(self, link: Link, stream: str, high_water: HighWater, alarm: Callable[[Rewind], None]) -> None:
        self.link = link
        self.stream = stream
        self.high_water = high_water
        self.alarm = alarm

    async def inspect(self, found: StreamState) -> StreamState:
        """The stream as it is, or as it is after a rewind was repaired. Raises Retriable, Lost."""
        mark = self.high_water.known(self.stream)
        if found.last >= mark:
            self.high_water.note(self.stream, found.last)
            return found
        rewind = Rewind(self.stream, found.epoch + 1, found.last + 1, mark, mark + MARGIN, time.time_ns() // 1000)
        await set_epoch(self.link, self.stream, found.config, rewind.epoch)
        if found.messages == 0:
            await api(self.link, f"STREAM.PURGE.{self.stream}", {"seq": rewind.resumes})
        last = found.last if found.messages else rewind.resumes - 1
        while last < rewind.resumes:
            last = await self._fill(rewind, min(CHUNK, rewind.resumes - last))
        await self.high_water.cover(self.stream, rewind.resumes)
        self.alarm(rewind)
        after = await state(self.link, self.stream)
        return after or found

    async def _fill(self, rewind: Rewind, count: int) -> int:
        """Publishes `count` markers; returns the highest number they got. Another process doing the same does no harm.

        No expected number is sent along: a server that has just cut its stream still compares with the old one.
        """
        answers = await asyncio.gather(*(self._mark(rewind) for _ in range(count)))
        return max(answers)

    async def _mark(self, rewind: Rewind) -> int:
        reply = await self.link.request(LOST_SUBJECTS[self.stream], rewind.to_json(), {"T-Epoch": str(rewind.epoch)}, within=30.0)
        answer: dict[str, Any] = orjson.loads(reply.data) if reply.data else {}
        if "seq" not in answer:
            raise Retriable(
                f"filling the gap of {self.stream}: {(answer.get('error') or {}).get('description', 'JetStream does not answer')}"
            )
        return int(answer["seq"])
