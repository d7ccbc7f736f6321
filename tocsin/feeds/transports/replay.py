"""Recorded files played at the speed of the node's clock: every record is received when the city's time reaches its event time.

The records go through the same decoder and the same sink as those of a live feed, as bytes. What is due already, from before the exercise
began or while the node was away, comes at once, all recordings in the order of their records, each received at its own time
(`feeds/turns.py`): catching up is not the lateness of the city.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tocsin.feeds import formats
from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Message, Sink
from tocsin.feeds.options import Option
from tocsin.feeds.positions import Position
from tocsin.feeds.recording import Recording, load
from tocsin.kernel.fault import Misconfigured, Problem
from tocsin.model.feed import FeedSpec
from tocsin.model.time import MINUTE

from .delivery import deliver_patiently

OPTIONS: Final[Mapping[str, Option]] = {
    "files": Option("texts", "recorded files, relative to the city directory", required=True),
    "from": Option("instant", "leave out what was recorded earlier, as in 2017-07-04T12:00:00Z", default=None),
    "to": Option("instant", "leave out what was recorded at or after this", default=None),
}
#: Wall seconds between two messages: what falls due meanwhile is sent as one.
GATHER: Final = 0.03
LONGEST_SLEEP: Final = 0.5  # the clock of an exercise may be changed meanwhile
AT_ONCE: Final = 2_000  # records of one message
TOGETHER: Final = MINUTE  # of the city's time that one message may stand for
SAVE_EVERY: Final = 1.0  # wall seconds


class Played(msgspec.Struct, frozen=True):
    """How far a recording was played. Another clock is another run and another digest another recording: both start over."""

    clock: dict[str, float]
    digest: str
    count: int


class Replay:
    def __init__(self, spec: FeedSpec, options: Mapping[str, Any], context: Context) -> None:
        self._spec = spec
        self._options = options
        self._context = context
        self._position = Position(context.data, spec.name)

    async def run(self, sink: Sink) -> None:
        """Ends when everything was received that belongs to the exercise."""
        async with self._context.turns.playing(self._spec.name):
            recording = await asyncio.to_thread(load, self._files(), self._spec, formats.make_format(self._spec))
            await self._play(recording, sink)

    async def _play(self, recording: Recording, sink: Sink) -> None:
        start, end = recording.between(*(self._shifted(self._options[name]) for name in ("from", "to")))
        end = max(start, min(end, recording.between(None, self._context.until)[1]))
        at = max(start, self._played(recording))
        sink.heard()
        saved = asyncio.get_running_loop().time()
        while at < end:
            at = await self._catch_up(recording, at, end, sink)
            self._context.turns.done(self._spec.name)
            self._context.progress(self._spec.name, (at - start) / (end - start))
            if asyncio.get_running_loop().time() - saved > SAVE_EVERY:
                await self._save(recording, at)
                saved = asyncio.get_running_loop().time()
            if at < end:
                await asyncio.sleep(self._pause(int(recording.due[at])))
        self._context.progress(self._spec.name, 1.0)
        await self._save(recording, at)

    async def _catch_up(self, recording: Recording, at: int, end: int, sink: Sink) -> int:
        """Delivers what is due now, a little at a time, in turn with other recordings. Returns the number of the record after it."""
        clock, turns, name = self._context.clock, self._context.turns, self._spec.name
        together = max(TOGETHER, round(GATHER * 1e6 * clock.speed))
        while at < end and (due := recording.moment(at)) <= clock.now():
            await turns.mine(name, due)
            stop = min(recording.between(None, min(clock.now(), due + together) + 1)[1], end, at + AT_ONCE)
            turns.until(name, recording.moment(stop - 1))
            while at < stop:
                body, origin, at = recording.message(at, stop)
                await deliver_patiently(sink, Message(body, turns.held(clock.now()), origin))
        return at

    def _pause(self, due: int) -> float:
        wait = self._context.clock.wall_seconds(due - self._context.clock.now())
        return min(max(wait, GATHER), LONGEST_SLEEP)

    def _shifted(self, recorded: int | None) -> int | None:
        """A recorded time as the event time it becomes."""
        return None if recorded is None else recorded + self._spec.shift

    def _files(self) -> list[Path]:
        """Raises `Misconfigured` for a name without a file."""
        files = [self._context.root / name for name in self._options["files"]]
        for path in files:
            if not path.is_file():
                words = f"feed {self._spec.name}: files: there is no file {path}"
                raise Misconfigured([Problem(self._spec.file, self._spec.line, words)])
        return files

    def _played(self, recording: Recording) -> int:
        played = self._position.load(Played)
        same = played is not None and played.clock == self._context.clock.to_json() and played.digest == recording.digest
        return played.count if played is not None and same else 0

    async def _save(self, recording: Recording, count: int) -> None:
        await asyncio.to_thread(self._position.save, Played(self._context.clock.to_json(), recording.digest, count))
