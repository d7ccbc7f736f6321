"""Follows a file that another program appends to; survives rotation, truncation and our own restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tocsin.feeds import formats
from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Message, Sink
from tocsin.feeds.options import Option
from tocsin.feeds.positions import Position
from tocsin.feeds.tailing import Piece, Place, Tail
from tocsin.kernel.fault import Misconfigured, Problem, Retriable
from tocsin.model.feed import FeedSpec
from tocsin.model.time import SECOND

from .delivery import deliver_patiently

OPTIONS: Final[Mapping[str, Option]] = {
    "path": Option("text", "the file, relative to the city directory", required=True),
    "poll": Option("span", "time between two looks at the file", default=SECOND // 2),
    "from_end": Option("flag", "at the very first start, skip what the file holds already", default=False),
    "max_line": Option("size", "longest line", default=1 << 20),
}


class FileTail:
    """The place in the file is written down after what stands before it is durable, so nothing is skipped; what was delivered
    just before a crash is delivered again and recognised by its ids."""

    def __init__(self, spec: FeedSpec, options: Mapping[str, Any], context: Context) -> None:
        framing = formats.framing(spec)
        if framing == "whole":
            words = (
                f"feed {spec.name}: file_tail reads lines, and {spec.format.name} messages are no lines; use http_poll, webhook or replay"
            )
            raise Misconfigured([Problem(spec.file, spec.line, words)])
        self._options = options
        self._path = context.root / options["path"]
        self._context = context
        self._with_header = framing == "header"
        self._quoted = spec.format.name == "csv"
        self._position = Position(context.data, spec.name)

    async def run(self, sink: Sink) -> None:
        """Follows the file until cancelled. Raises `Retriable` when it cannot be read."""
        place = self._position.load(Place)
        tail = Tail(self._path, place, self._options["max_line"], self._with_header, self._quoted)
        try:
            if place is None and self._options["from_end"]:
                await asyncio.to_thread(tail.skip_to_end)
                if tail.place is not None:
                    await asyncio.to_thread(self._position.save, tail.place)
            while True:
                await self._read(tail, sink)
                await asyncio.sleep(self._options["poll"] / SECOND)
        except OSError as error:
            raise Retriable(f"{self._path.name}: {error.strerror or error}") from error
        finally:
            tail.close()

    async def _read(self, tail: Tail, sink: Sink) -> None:
        """Everything that is there now."""
        while (piece := await asyncio.to_thread(tail.next_piece)) is not None:  # a disk may be slow, a line may have 100 MB
            await self._deliver(piece, sink)
            tail.took(piece)
            await asyncio.to_thread(self._position.save, piece.after)
        if tail.place is not None:
            sink.heard()

    async def _deliver(self, piece: Piece, sink: Sink) -> None:
        message = Message(piece.body, self._context.clock.now(), f"{self._path.name} up to byte {piece.after.offset}")
        if piece.size:
            await sink.refuse(
                message, f"a line of {piece.size} bytes; at most {self._options['max_line']} are read (option max_line)", piece.size
            )
        else:
            await deliver_patiently(sink, message)
