"""Batches of at most 20 ms, held against a clock that only the test moves: what callers bring together is one entry, and nobody waits longer for the others."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from journal_world import batch

from tocsin.journal import EventWriter
from tocsin.journal.connection import Ack
from tocsin.journal.encode import COUNT
from tocsin.kernel.clock import Clock, Monotone

MS = 0.001
LONGEST = 20 * MS
STORING = 5 * MS  # an fsync of the journal


class Timeless(selectors.DefaultSelector):
    """Waits no time, and says how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for everybody else"
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time goes on only when nothing is left to do."""

    def __init__(self) -> None:
        self._skipped = Timeless()
        super().__init__(self._skipped)

    def time(self) -> float:
        return self._skipped.now


@dataclass
class Book:
    """A journal that notes when it was handed an entry, and of how many events."""

    checks: list[Any] = field(default_factory=list)
    last: dict[str, int] = field(default_factory=dict)
    entries: list[tuple[float, int]] = field(default_factory=list)

    async def ready(self, _patience: float) -> Any:
        return SimpleNamespace(max_payload=8 << 20)

    async def append(self, _subject: str, _payload: bytes, headers: dict[str, str], _patience: float) -> Ack:
        self.entries.append((asyncio.get_running_loop().time(), int(headers[COUNT])))
        await asyncio.sleep(STORING)
        return Ack(len(self.entries))


def played(story: Callable[[EventWriter, Book], Coroutine[Any, Any, None]]) -> list[tuple[float, int]]:
    """The entries (when, how many events) that come of what a story appends."""
    book = Book()

    async def run() -> None:
        writer = EventWriter(book, "seattle", Monotone(Clock()))  # type: ignore[arg-type]
        await story(writer, book)
        await writer.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return book.entries


def test_what_comes_without_a_pause_is_an_entry_every_20_ms_and_no_event_waits_longer() -> None:
    waited: list[float] = []

    async def one(writer: EventWriter, number: int) -> None:
        began = asyncio.get_running_loop().time()
        await writer.append("gauges", batch(1, number), 1)
        waited.append(asyncio.get_running_loop().time() - began)

    async def story(writer: EventWriter, _: Book) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(one(writer, number))
                await asyncio.sleep(MS)

    entries = played(story)
    assert sum(rows for _, rows in entries) == len(waited) == 1000
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(entries)]
    assert gaps[:-1] == pytest.approx([LONGEST] * (len(gaps) - 1))  # all but the last, which goes as the writer closes
    assert max(waited) <= LONGEST + STORING + 1e-9


def test_after_a_pause_nobody_waits() -> None:
    async def story(writer: EventWriter, _: Book) -> None:
        for pause in (0.0, MS, 1.0):
            await asyncio.sleep(pause)
            await writer.append("gauges", batch(1), 1)  # alone: at once, however little time has gone by
        await asyncio.sleep(1.0)
        await asyncio.gather(*(writer.append("gauges", batch(1), 1) for _ in range(3)))

    entries = played(story)
    assert [rows for _, rows in entries] == [1, 1, 1, 3]
    assert [when for when, _ in entries] == pytest.approx([0.0, 6 * MS, 1.011, 2.016])


def test_enough_for_an_entry_is_not_kept_waiting() -> None:
    async def story(writer: EventWriter, _: Book) -> None:
        first = asyncio.create_task(writer.append("gauges", batch(1), 1))
        await asyncio.sleep(MS)
        await asyncio.gather(first, *(writer.append("gauges", batch(128), 1) for _ in range(2)))

    assert played(story) == [(0.0, 1), (pytest.approx(STORING), 256)]


def test_feeds_do_not_wait_for_one_another() -> None:
    async def story(writer: EventWriter, _: Book) -> None:
        await asyncio.gather(*(writer.append(f"feed-{number}", batch(1), 1) for number in range(5)))

    assert played(story) == [(0.0, 1)] * 5
