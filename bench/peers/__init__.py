"""The same jobs in other engines, each as it would reasonably be used, answering with (rule, anchor) pairs.

They get the columns in memory, in event-time order (`Stream` sorted, times distinct), which spares them late data; our engine
runs on the same columns in the comparison.
"""

from __future__ import annotations

from typing import Protocol

from bench.stream import Stream

Answer = set[tuple[int, int]]


class Peer(Protocol):
    """`push` takes events [start, stop) of the stream; `finish` decides what is still pending. Answers are (rule, position)."""

    name: str
    answers: Answer

    def push(self, stream: Stream, start: int, stop: int) -> None: ...

    def finish(self) -> None: ...
