"""How every feed is doing: counters, state in words, the items of `GET /feeds` and the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.kernel.clock import Clock
from tocsin.model.feed import FeedSpec
from tocsin.model.time import SECOND, format_span, to_iso

from .contract import Receipt

OK, STALE, FAILING, ENDED, WAITING = "ok", "stale", "failing", "ended", "waiting"
STATES: Final = (OK, STALE, FAILING, ENDED, WAITING)

#: A feed that sends nothing but garbage is failing after this many messages in a row without one good record.
BAD_MESSAGES: Final = 3
STALE_AFTER: Final = 3  # times the expected interval


#: Metric family -> help. The first word is the counter's name in `FeedHealth`.
COUNTERS: Final = {
    "refused_messages": "Messages sent back for later under overload; their senders keep them.",
    "shed_messages": "Messages lost under overload because their protocol lets nobody keep them.",
    "restarts": "Restarts of a feed's transport after an error.",
}


class PerMinute:
    """Records of the last 60 seconds of wall time, because that is the minute of the person who reads it."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._seconds = [(0, 0)] * 60

    def add(self, count: int) -> None:
        second = int(self._wall())
        seen, total = self._seconds[second % 60]
        self._seconds[second % 60] = (second, total + count if seen == second else count)

    def total(self) -> int:
        oldest = int(self._wall()) - 60
        return sum(count for second, count in self._seconds if second > oldest)


@dataclass(slots=True)
class FeedHealth:
    """Counters of one feed since the process started. Counts are records, times city time in microseconds."""

    spec: FeedSpec
    clock: Clock
    rate: PerMinute = field(default_factory=lambda: PerMinute(time.monotonic))
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    refused: int = 0  # messages sent back with `Retriable`: nothing was lost, the sender keeps them
    shed: int = 0  # messages lost under overload, where the protocol gives the sender no way to keep them (MQTT QoS 0)
    restarts: int = 0
    last_event_time: int | None = None
    last_received: int | None = None
    started: int = 0
    error: str | None = None
    ended: bool = False
    progress: float | None = None  # of a recording, 0 to 1
    kinds: set[str] = field(default_factory=set)
    _bad_in_row: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    @property
    def received(self) -> int:
        return self.accepted + self.duplicates + self.conflicts + self.quarantined

    def took(self, received: int, receipt: Receipt) -> None:
        """A message was handled; `received` in city time."""
        good = receipt.accepted + receipt.duplicates + receipt.conflicts
        self.accepted += receipt.accepted
        self.duplicates += receipt.duplicates
        self.conflicts += receipt.conflicts
        self.quarantined += receipt.rejected
        self.rate.add(good + receipt.rejected)
        self.last_received = max(received, self.last_received or received)
        self._bad_in_row = self._bad_in_row + 1 if receipt.rejected and not good else 0
        if self._bad_in_row >= BAD_MESSAGES:
            self.error = f"the last {self._bad_in_row} messages held no record that could be decoded; the quarantine says why"
        else:
            self.error = None

    def heard(self) -> None:
        """The source answers: what was wrong with reaching it is over, what is wrong with its content is not."""
        if self._bad_in_row < BAD_MESSAGES:
            self.error = None

    def failed(self, error: str) -> None:
        self.error = error

    def state(self, now: int) -> str:
        if self.ended:
            return ENDED
        if self.error is not None:
            return FAILING
        expected = self.spec.expected_every
        if expected is not None and now - (self.last_received or self.started) > STALE_AFTER * expected:
            return STALE
        return WAITING if self.last_received is None else OK

    def item(self) -> dict[str, Any]:
        """One item of `GET /api/v1/feeds` (docs/wiring.md)."""
        spec = self.spec
        return {
            "name": spec.name,
            "title": spec.title,
            "purpose": spec.purpose,
            "owner": spec.owner,
            "retention": format_span(spec.retention),
            "sensitivity": spec.sensitivity,
            "transport": spec.transport.name,
            "format": spec.format.name,
            "state": self.state(self.clock.now()),
            "received": self.received,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "per_min": self.rate.total(),
            "last_event_time": _iso(self.last_event_time),
            "last_received": _iso(self.last_received),
            "expected_every_s": None if spec.expected_every is None else spec.expected_every / SECOND,
            "error": self.error,
            "exercise_shift_s": spec.shift / SECOND if spec.shift else None,
            "licence": spec.licence,
            "kinds": sorted(self.kinds),
        }


def _iso(us: int | None) -> str | None:
    return None if us is None else to_iso(us)


class Health:
    """All feeds of the node."""

    def __init__(self, specs: Iterable[FeedSpec], clock: Clock) -> None:
        self.feeds = {spec.name: FeedHealth(spec, clock) for spec in specs}
        self.clock = clock

    def declare(self, specs: Iterable[FeedSpec]) -> None:
        """Other feeds are declared, in this order; those that were there before go on counting."""
        before, self.feeds = self.feeds, {}
        for spec in specs:
            health = self.feeds[spec.name] = before.get(spec.name) or FeedHealth(spec, self.clock)
            health.spec = spec

    def items(self) -> list[dict[str, Any]]:
        return [feed.item() for feed in self.feeds.values()]

    def progress(self, feed: str, part: float) -> None:
        if feed in self.feeds:  # a feed that is being stopped may still report
            self.feeds[feed].progress = part

    def shed(self, feed: str, count: int) -> None:
        if feed in self.feeds:
            self.feeds[feed].shed += count

    def metrics(self, held: Mapping[str, int], dropped: Mapping[str, int]) -> str:
        """Prometheus text exposition 0.0.4. `held`: bytes in flight per feed. `dropped`: records that the quarantine's bounds
        pushed out, per feed."""
        out = _Exposition()
        feeds = self.feeds.items()
        out.family("records_total", "counter", "Records received, by what became of them.")
        for name, feed in feeds:
            for result in ("accepted", "duplicates", "conflicts", "quarantined"):
                out.sample("records_total", getattr(feed, result), feed=name, result=result)
        for family, words in COUNTERS.items():
            out.family(f"{family}_total", "counter", words)
            for name, feed in feeds:
                out.sample(f"{family}_total", getattr(feed, family.partition("_")[0]), feed=name)
        out.family("feed_state", "gauge", "1 for the state the feed is in, 0 for the others.")
        for name, feed in feeds:
            now = feed.state(self.clock.now())
            for state in STATES:
                out.sample("feed_state", int(state == now), feed=name, state=state)
        out.family("last_received_timestamp_seconds", "gauge", "City time of the newest message.")
        for name, feed in feeds:
            if feed.last_received is not None:
                out.sample("last_received_timestamp_seconds", feed.last_received / SECOND, feed=name)
        out.family("in_flight_bytes", "gauge", "Bytes of messages received and not yet durable.")
        for name, _ in feeds:
            out.sample("in_flight_bytes", held.get(name, 0), feed=name)
        out.family("quarantine_dropped_records_total", "counter", "Records pushed out of the quarantine by its bounds.")
        for name, _ in feeds:
            out.sample("quarantine_dropped_records_total", dropped.get(name, 0), feed=name)
        out.family("replay_progress_ratio", "gauge", "How much of a recording was played, 0 to 1.")
        for name, feed in feeds:
            if feed.progress is not None:
                out.sample("replay_progress_ratio", feed.progress, feed=name)
        return out.text()


class _Exposition:
    PREFIX: Final = "tocsin_ingest_"

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, words: str) -> None:
        self._lines += [f"# HELP {self.PREFIX}{name} {words}", f"# TYPE {self.PREFIX}{name} {kind}"]

    def sample(self, name: str, value: float, **labels: str) -> None:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        self._lines.append(f"{self.PREFIX}{name}{{{told}}} {value!r}")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
