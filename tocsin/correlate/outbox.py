"""Alerts on their way to the journal: several at once, revisions of one alert in order, nothing forgotten.

Publishing waits for the disk; the kernels do not wait for publishing. A snapshot does: its state is safe to go on from only
when everything told before it is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tocsin.model.alert import Alert

Publish = Callable[[Alert], Awaitable[object]]


class Outbox:
    """`published`: alert id -> newest revision that is durable already; up to it nothing is published again after a crash.
    `done` is called after each publish. The first fault of `publish` is raised by the next `put` or `drain`."""

    def __init__(self, publish: Publish, published: Mapping[str, int], done: Callable[[Alert, int], None], at_once: int = 64) -> None:
        self.skipped = 0
        self._publish = publish
        self._published = dict(published)
        self._done = done
        self._slots = asyncio.Semaphore(at_once)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._fault: BaseException | None = None

    async def put(self, alert: Alert, wall: int) -> None:
        """Takes a revision; waits while too many are on their way. `wall`: ns, receipt of what caused it."""
        self._raise()
        if alert.revision <= self._published.get(alert.id, 0):
            self.skipped += 1
            return
        self._published.pop(alert.id, None)
        await self._slots.acquire()
        lane = asyncio.create_task(self._send(alert, wall, self._lanes.get(alert.id)))
        self._lanes[alert.id] = lane
        lane.add_done_callback(lambda task: self._ended(alert.id, task))

    async def drain(self) -> None:
        """Returns when all that was put is durable."""
        while self._lanes:
            await asyncio.wait(list(self._lanes.values()))
        self._raise()

    async def settled(self) -> None:
        """Returns when all that was put before this call is durable."""
        before = list(self._lanes.values())
        if before:
            await asyncio.wait(before)
        self._raise()

    async def close(self) -> None:
        """Abandons what is on its way; after a restart it is told again."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _send(self, alert: Alert, wall: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if self._fault is None:
            await self._publish(alert)
            self._done(alert, wall)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._slots.release()
        if self._lanes.get(name) is task:
            del self._lanes[name]
        if not task.cancelled() and task.exception() is not None and self._fault is None:
            self._fault = task.exception()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault
