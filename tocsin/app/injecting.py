"""Exercises in the ingest process: begun and ended on request, their events journaled when each is due, and gone on with after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from tocsin.journal.connection import Journal
from tocsin.journal.exercises import END, append_begin, append_end, append_events, marked, newest_run
from tocsin.journal.link import Reply
from tocsin.journal.reader import last_seq, read
from tocsin.journal.times import first_seq_at
from tocsin.kernel.clock import Monotone
from tocsin.kernel.fault import Misconfigured, Problem, Retriable, TocsinError, nearest
from tocsin.model.city import City
from tocsin.model.event import INSTANT
from tocsin.model.exercise import MARK, Run, Scenario, Span

from .written import to_batch

log = logging.getLogger(__name__)

#: Recorded events that one exercise may play again; more would not fit into memory.
RECORDED_ROWS: Final = 200_000
_STEP: Final = 0.25  # seconds between two looks at the clock, which may run fast


class Injection(NamedTuple):
    """A batch and when it is due: µs from the begin."""

    due: int
    batch: pa.RecordBatch


class Exercises:
    """One run at a time. `city` gives what is in force."""

    def __init__(self, journal: Journal, root: Path, clock: Monotone, city: Callable[[], City]) -> None:
        self._journal, self._root, self._clock, self._city = journal, root, clock, city
        self._news = asyncio.Event()
        self._run: Run | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """For ever: injects what the running exercise has, and waits for the next."""
        found = await self._last()
        self._run = found if found is not None and not found.end else None
        trouble = ""
        while True:
            run = self._run
            if run is None:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                if trouble:
                    await self._over(run, f"it could not go on: {trouble}")
                    trouble = ""
                else:
                    await self._inject(run)
            except Retriable as fault:
                log.warning("exercise %s: %s; trying again", run.name, fault)
                await asyncio.sleep(1.0)
            except Exception as fault:  # whatever is wrong with an exercise, real feeds go on
                log.exception("exercise %s cannot go on", run.name)
                trouble = trouble or str(fault) or type(fault).__name__
                await asyncio.sleep(1.0)

    async def _last(self) -> Run | None:
        """The newest run; an unreadable one is none. Waits while the journal is away."""
        while True:
            try:
                return await newest_run(self._journal)
            except Retriable as fault:
                log.warning("exercises: %s; trying again", fault)
                await asyncio.sleep(1.0)
            except (TocsinError, ValueError, KeyError, TypeError) as fault:
                log.error("exercises: the newest run cannot be read: %s", fault)
                return None

    @property
    def running(self) -> bool:
        return self._run is not None

    async def start(self, name: str, by: str) -> Run:
        """Raises Misconfigured: no such exercise, a mistake in a file, or one is running."""
        async with self._lock:
            if self._run is not None:
                raise Misconfigured([Problem("exercise", 0, f"{self._run.name!r} is running since {self._run.by} began it; stop it first")])
            scenario = await asyncio.to_thread(self._scenario, name)
            await self._injections(scenario, 0)  # what cannot be had is said before anything begins
            self._run = await append_begin(self._journal, scenario, self._clock.now(), by)
            self._news.set()
            return self._run

    async def stop(self, by: str) -> Run:
        """Raises Misconfigured when none is running."""
        run = self._run
        if run is None:
            raise Misconfigured([Problem("exercise", 0, "none is running")])
        await self._over(run, f"stopped by {by}")
        return run

    def _scenario(self, name: str) -> Scenario:
        from tocsin.config.exercises import load_exercises  # most nodes never need it, and it brings a reader of YAML along

        known = load_exercises(self._root, [rule.name for rule in self._city().plan.rules])
        if name not in known:
            hint = nearest(name, known) if known else "exercises/ has none"
            raise Misconfigured([Problem("exercises/", 0, f"there is no exercise {name!r}; {hint}")])
        return known[name]

    async def _inject(self, run: Run) -> None:
        injections = await self._injections(await asyncio.to_thread(self._scenario, run.name), run.at)
        sent = await self._sent(run)
        for number, one in enumerate(injections[sent:], sent):
            await self._until(run, run.at + one.due)
            if self._run is not run:
                return
            await append_events(self._journal, run, number, self._city().region, marked(one.batch), self._clock.now())
        await self._until(run, run.at + run.runs)
        if self._run is run:
            await self._over(run, "over")

    async def _over(self, run: Run, why: str) -> None:
        async with self._lock:
            if self._run is run:
                await append_end(self._journal, run, self._clock.now(), why)
                self._run = None
                self._news.set()

    async def _until(self, run: Run, moment: int) -> None:
        while self._run is run and (left := moment - self._clock.now()) > 0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_STEP, left / 1e6 / self._clock.clock.speed)):
                    await self._news.wait()

    async def _sent(self, run: Run) -> int:
        """How many injections are in the journal already."""
        sent = 0
        last = await last_seq(self._journal)
        async for entry in read(self._journal, run.seq, until=last, exercise=True):
            if entry.subject == END:
                break
            sent += entry.subject.startswith(MARK + "ev.")
        return sent

    async def _injections(self, scenario: Scenario, begin: int) -> list[Injection]:
        """In the order they are due. What was delivered a second time is not injected again, as in ingest."""
        city, found, seen = self._city(), list[Injection](), set[tuple[str, str]]()
        for event in sorted(scenario.events, key=lambda one: one.at + one.arrives):
            if (event.feed, event.id) not in seen:
                seen.add((event.feed, event.id))
                found.append(Injection(event.at + event.arrives, to_batch(event, city, begin)))
        for span in scenario.recorded:
            found += await self._recorded(span, begin)
        return sorted(found, key=lambda one: one.due)

    async def _recorded(self, span: Span, begin: int) -> list[Injection]:
        """A stretch of the journal, moved to its place in the exercise. Raises Misconfigured when the journal has nothing of it, or too much."""
        first, _ = await first_seq_at(self._journal, span.start)
        last, _ = await first_seq_at(self._journal, span.stop)
        found: list[Injection] = []
        rows = 0
        if first < last:
            async with contextlib.aclosing(read(self._journal, first, until=last - 1)) as entries:  # type: ignore[type-var]
                async for entry in entries:
                    if entry.batch is None or (span.feeds and entry.batch.column("feed")[0].as_py() not in span.feeds):
                        continue
                    rows += len(entry.batch)
                    if rows > RECORDED_ROWS:
                        raise Misconfigured([Problem("recorded", 0, f"the stretch holds more than {RECORDED_ROWS:,} events; shorten it")])
                    found.append(Injection(span.at + entry.ingest - span.start, moved(entry.batch, begin + span.at - span.start)))
        if not found:
            raise Misconfigured([Problem("recorded", 0, "the journal holds no events of that stretch")])
        return found


def moved(batch: pa.RecordBatch, by: int) -> pa.RecordBatch:
    """The batch with all its times `by` µs later."""
    for name in ("event_time", "valid_until"):
        index = batch.schema.get_field_index(name)
        times = batch.column(index).cast(pa.int64())
        later = pa.array(np.asarray(times.fill_null(0)) + by, mask=np.asarray(times.is_null())).cast(INSTANT)
        batch = batch.set_column(index, batch.schema.field(index), later)
    return batch


def answering(journal: Journal, exercises: Exercises) -> Callable[[Reply], Awaitable[None]]:
    """Answers `ctl.exercise` (request/reply, JSON `{do: start|stop, name, by}`) with `{ok, run, name, title}` or `{ok: false, reason}`."""

    async def answer(message: Reply) -> None:
        try:
            asked: dict[str, Any] = json.loads(message.data)
            by = str(asked.get("by") or "nobody named")
            run = await (exercises.start(str(asked["name"]), by) if asked.get("do") == "start" else exercises.stop(by))
            body: dict[str, Any] = {"ok": True, "run": run.id, "name": run.name, "title": run.title}
        except (TocsinError, ValueError, KeyError, OSError) as fault:
            body = {"ok": False, "reason": str(fault)}
        await journal.publish(message.reply, json.dumps(body).encode())

    return answer
