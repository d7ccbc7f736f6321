"""How the feeds were at the clock of a replay, as far as the events tell: when each was last heard, and whether it was overdue."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.api.eventjson import Json
from tocsin.api.health_board import HealthBoard
from tocsin.model.feed import FeedSpec
from tocsin.model.time import MINUTE, to_iso

from .clock import ReplayClock

#: A feed is stale after so many times its expected interval, as in `feeds/health.py`.
STALE_AFTER: Final = 3


class FeedLog:
    """What has been heard of one feed so far. Times in µs of city time."""

    __slots__ = ("accepted", "kinds", "last_event", "last_heard", "recent")

    def __init__(self) -> None:
        self.accepted = 0
        self.last_heard = 0
        self.last_event = 0
        self.kinds: set[str] = set()
        self.recent: deque[tuple[int, int]] = deque()  # when, how many: the last minute

    def heard(self, at: int, batch: pa.RecordBatch) -> None:
        self.accepted += len(batch)
        self.last_heard = max(self.last_heard, at)
        self.last_event = max(self.last_event, int(pc.max(batch.column("event_time").cast(pa.int64())).as_py()))
        self.kinds.update(pc.unique(batch.column("kind").dictionary_decode()).to_pylist())
        self.recent.append((at, len(batch)))
        while self.recent and self.recent[0][0] <= at - MINUTE:
            self.recent.popleft()

    def per_minute(self, now: int) -> int:
        return sum(count for at, count in self.recent if at > now - MINUTE)


class ReplayedFeeds(HealthBoard):
    """The health board of a replay: no process reports to it, and `feeds` follows from the events. `declared`: items as of a feed never heard."""

    def __init__(self, specs: Sequence[FeedSpec], declared: Sequence[Json], clock: ReplayClock) -> None:
        super().__init__()
        self._expected = {spec.name: spec.expected_every for spec in specs}
        self._declared, self._clock = declared, clock
        self._logs: dict[str, FeedLog] = {}

    def took(self, at: int, batch: pa.RecordBatch) -> None:
        """A batch of one feed came at `at`."""
        name = batch.column("feed")[0].as_py()
        self._logs.setdefault(name, FeedLog()).heard(at, batch)

    def feeds(self) -> list[Json]:
        """The items of `GET /feeds`."""
        now = self._clock.now()
        return [self._item(dict(item), now) for item in self._declared]

    def _item(self, item: Json, now: int) -> Json:
        log, expected = self._logs.get(item["name"]), self._expected.get(item["name"])
        if log is None:
            return item | {"state": "waiting"}
        overdue = expected is not None and now - log.last_heard > STALE_AFTER * expected
        return item | {
            "state": "stale" if overdue else "ok",
            "received": log.accepted,
            "accepted": log.accepted,
            "per_min": log.per_minute(now),
            "last_event_time": to_iso(log.last_event),
            "last_received": to_iso(log.last_heard),
            "kinds": sorted(log.kinds),
        }
