"""One replay: a clock, what was read so far, and a live hub that tells it in the frames of the live stream.

Going to another moment makes a new stage, as if that moment had just begun; viewers are told by the stage's number and load again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from tocsin.api.block import Entry
from tocsin.api.eventjson import Json
from tocsin.api.feeds import declared_feeds
from tocsin.api.live import LiveHub
from tocsin.api.recent import RecentEvents
from tocsin.api.services import AlertsThen, Past, Services
from tocsin.api.status import clock_json
from tocsin.kernel.fault import Retriable
from tocsin.model.time import MINUTE, to_iso

from .clock import ReplayClock
from .feeds import ReplayedFeeds

log = logging.getLogger(__name__)

#: What one session keeps of events.
MAX_ROWS: Final = 100_000
MAX_BYTES: Final = 64 << 20
#: Entries taken in before others get a turn.
_TURN: Final = 64
#: Seconds between two looks at what became known of the alerts, and the longest sleep.
_STEP: Final = 0.1
_LONGEST: Final = 0.25


@dataclass(frozen=True, slots=True)
class Wish:
    """What to play. Instants in µs of city time. `by`: `known` (as it was learnt) or `event` (as it happened)."""

    start: int
    stop: int
    at: int
    speed: float = 1.0
    by: str = "known"
    playing: bool = True


class ReplayedEvents(RecentEvents):
    """The events view of a replay: its rate is of the replay's own clock."""

    def __init__(self, clock: ReplayClock) -> None:
        super().__init__(MAX_ROWS, MAX_BYTES)
        self._city, self._minute = clock, deque[tuple[int, int]]()

    def heard(self, at: int, entry: Entry) -> None:
        """An entry that came at `at`."""
        self.add(entry)
        if entry.batch is not None:
            self._minute.append((at, len(entry.batch)))

    def per_minute(self, now: float | None = None) -> int:  # noqa: ARG002  # the live view is asked for a moment of wall time
        """Events of the last minute of city time."""
        since = self._city.now() - MINUTE
        while self._minute and self._minute[0][0] <= since:
            self._minute.popleft()
        return sum(count for _, count in list(self._minute))


class Stage:
    """What is shown from one moment on."""

    def __init__(self, number: int, session: Session, live: Services) -> None:
        wish = session.wish
        self.number = number
        self.clock = ReplayClock(wish.at, wish.stop, wish.speed, wish.playing)
        self.recent = ReplayedEvents(self.clock)
        self.alerts: AlertsThen = session.past.alerts()
        self.feeds = ReplayedFeeds(live.city.feeds, declared_feeds(live.city), self.clock)
        self.services = replace(live, clock=self.clock, recent=self.recent, alerts=self.alerts, board=self.feeds, replay=session.to_json)
        self.hub = LiveHub(self.recent, self.alerts, self.feeds.feeds, lambda: clock_json(self.services), live.limits)
        self.changed = asyncio.Event()
        self.notes: list[str] = []
        self.loading = True
        self.tasks: list[asyncio.Task[None]] = []

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.hub.close()


class Session:
    """`past`: where events and alerts are read from. Everything runs on the event loop of the API."""

    def __init__(self, wish: Wish, live: Services, past: Past) -> None:
        self.id = secrets.token_hex(8)
        self.wish, self.past = wish, past
        self.failure = ""
        self.touched = time.monotonic()
        self._live = live
        self._sweeping: list[asyncio.Task[None]] = []
        self.stage = self._staged(1)

    def _staged(self, number: int) -> Stage:
        stage = Stage(number, self, self._live)
        self.stage = stage
        self.failure = ""
        stage.tasks = [
            asyncio.create_task(self._play(stage), name=f"replay {self.id} events"),
            asyncio.create_task(self._tell(stage), name=f"replay {self.id} alerts"),
            asyncio.create_task(stage.hub.run(), name=f"replay {self.id} hub"),
        ]
        return stage

    def change(self, *, at: int | None, speed: float | None, playing: bool | None, by: str | None) -> None:
        """Another moment or another order begins a new stage; another speed goes on from here."""
        clock = self.stage.clock
        running = clock.playing if playing is None else playing
        jump = at is not None or (by is not None and by != self.wish.by)
        self.wish = replace(
            self.wish, at=clock.now() if at is None else at, speed=speed or clock.rate, by=by or self.wish.by, playing=running
        )
        if jump:
            self.stage.close()
            self._staged(self.stage.number + 1)
            return
        clock.set(speed=speed, playing=playing)
        self.stage.changed.set()
        self.stage.hub.tell_clock()

    @property
    def watched(self) -> bool:
        return bool(self.stage.hub.viewers)

    def touch(self) -> None:
        self.touched = time.monotonic()

    def to_json(self) -> Json:
        """The session as the API tells it."""
        stage, wish = self.stage, self.wish
        return {
            "id": self.id,
            "from": to_iso(wish.start),
            "to": to_iso(wish.stop),
            "at": to_iso(stage.clock.now()),
            "speed": stage.clock.rate,
            "by": wish.by,
            "playing": stage.clock.playing,
            "ended": stage.clock.ended,
            "loading": stage.loading,
            "stage": stage.number,
            "notes": [*stage.notes, *([self.failure] if self.failure else [])],
        }

    def close(self) -> None:
        self.stage.close()

    async def _play(self, stage: Stage) -> None:
        """Hands over what becomes due; reads no further ahead than one entry."""
        wish = self.wish
        try:
            async with contextlib.aclosing(self.past.events(wish.at, wish.stop, wish.by, stage.notes)) as entries:
                await self._hand_over(stage, wish, entries)
        except Retriable as fault:
            self.failure = f"the journal could not be read on: {fault}"
            log.warning("replay %s: %s", self.id, self.failure)
        stage.clock.read_to(wish.stop)
        stage.loading = False
        stage.hub.tell_clock()

    async def _hand_over(self, stage: Stage, wish: Wish, entries: AsyncIterator[tuple[int, Entry]]) -> None:
        taken, clock = 0, stage.clock
        async for due, entry in entries:
            if due > wish.stop:
                return
            if stage.loading and due > wish.at:
                stage.loading = False
                stage.hub.tell_clock()
            clock.read_to(due)
            await self._until(stage, due)
            if not taken and entry.batch is not None:
                stage.recent.starts_at(min(due, wish.at))
            stage.recent.heard(due, entry)
            if entry.batch is not None:
                stage.feeds.took(due, entry.batch)
                taken += 1
                if taken % _TURN == 0:
                    await asyncio.sleep(0)

    async def _until(self, stage: Stage, due: int) -> None:
        while not stage.loading and stage.clock.now() < due:
            stage.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(stage.clock.wait_for(due), _LONGEST)):
                    await stage.changed.wait()

    async def _tell(self, stage: Stage) -> None:
        """The alerts follow the clock."""
        await asyncio.to_thread(stage.alerts.jump, stage.clock.now())
        while True:
            stage.hub.alerts_changed()
            await asyncio.sleep(_STEP)
            await asyncio.to_thread(stage.alerts.advance, stage.clock.now())
