"""The live hub: one broadcaster, any number of viewers, none of which can hurt the others.

Every change is encoded once. A viewer is two cursors and nothing else: it is sent what lies between its cursors and the
present whenever its connection takes more, so a slow one costs one pending chunk, never a queue. Alerts are never left out,
though one who falls far behind is given only the newest state of each; of events only the newest frame is sent, with the
number left out.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import orjson

from tocsin.kernel.fault import Retriable

from .eventjson import Json
from .recent import RecentEvents

TOPICS: Final = ("alerts", "events", "feeds")


class AlertChanges(Protocol):
    """What the hub asks of the alerts view. Sequence numbers are those of the alerts stream: every change has its own."""

    @property
    def last_seq(self) -> int: ...

    def changes(self, since: int, limit: int) -> Sequence[tuple[int, Json]]:
        """Alerts changed after `since` as (sequence number of the change, list view), ascending; of an alert that changed
        several times at least its newest state."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Spans in seconds, sizes in bytes."""

    frame_every: float = 0.2  # at most five event frames a second
    frame_events: int = 200
    clock_every: float = 1.0
    feeds_every: float = 2.0
    heartbeat: float = 10.0
    chunk: int = 64 << 10  # sent to one viewer at a time
    ring_frames: int = 4096  # encoded alert changes kept for all viewers
    ring_bytes: int = 8 << 20
    viewers: int = 256
    stall: float = 20.0  # one chunk not taken for this long: the viewer has stopped reading
    patience: float = 60.0  # never caught up for this long: the viewer is too slow


@dataclass(frozen=True, slots=True)
class _EventFrame:
    body: bytes  # without the count of events left out, which differs by viewer
    count: int
    seq: int
    total: int


@dataclass(eq=False, slots=True)
class Viewer:
    """One connection: its cursors, and the versions of the conflated frames it has seen."""

    topics: frozenset[str]
    alerts: int
    events: int
    seen: int  # count of all events up to the cursor, to say how many were left out
    versions: dict[str, int] = field(default_factory=dict)
    first: _EventFrame | None = None  # for one who comes back: what was missed
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closed: str = ""  # why
    behind_since: float | None = None

    @property
    def id_line(self) -> bytes:
        return b"id: %d.%d\n" % (self.alerts, self.events)


class LiveHub:
    """`feeds` and `clock` give the bodies of those frames. `run()` is the broadcaster; everything runs on its event loop."""

    def __init__(
        self,
        recent: RecentEvents,
        alerts: AlertChanges,
        feeds: Callable[[], list[Json]],
        clock: Callable[[], Json],
        limits: Limits = Limits(),  # frozen
    ) -> None:
        self.limits = limits
        self.viewers: set[Viewer] = set()
        self.counters: Counter[str] = Counter()
        self._recent, self._alerts, self._feeds, self._clock = recent, alerts, feeds, clock
        self._wake = asyncio.Event()
        self._due: dict[str, float] = {}
        self._waiters: set[asyncio.Event] = set()
        self._alerts_seq = alerts.last_seq
        self._ring_seqs: list[int] = []
        self._ring: list[bytes] = []
        self._ring_from = self._alerts_seq  # every change after this one is in the ring
        self._ring_bytes = 0
        self._events_seq, self._events_total = recent.last_seq, recent.total
        self._frame: _EventFrame | None = None
        self._latest: dict[str, tuple[int, bytes]] = {}  # event name -> version, frame without its id

    # -- the broadcaster

    def alerts_changed(self) -> None:
        """The alerts view has applied something; call it on the hub's event loop."""
        self._wake.set()
        for waiter in self._waiters:
            waiter.set()

    def tell_clock(self) -> None:
        """The clock was changed: its frame does not wait for the next second."""
        self._due.pop("clock", None)
        self._wake.set()

    async def alerts_reach(self, seq: int) -> None:
        """Returns when the alerts view has applied the entry `seq` of the alerts stream."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            while self._alerts.last_seq < seq:
                await waiter.wait()
                waiter.clear()
        finally:
            self._waiters.discard(waiter)

    async def run(self) -> None:
        """Broadcasts until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            due = self.step(loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()

    def step(self, now: float) -> float:
        """Publishes alert changes at once and the rest as it falls due; returns when something falls due next (seconds)."""
        self._publish_alerts()
        limits = self.limits
        for name, publish, every in (
            ("events", self._publish_events, limits.frame_every),
            ("clock", self._publish_clock, limits.clock_every),
            ("feeds", self._publish_feeds, limits.feeds_every),
        ):
            if self._due.get(name, now) <= now:
                publish()
                self._due[name] = now + every
        return min(self._due.values())

    def _publish_alerts(self) -> None:
        if self._alerts.last_seq <= self._alerts_seq:
            return
        if not any("alerts" in viewer.topics for viewer in self.viewers):
            self._forget_ring(self._alerts.last_seq)
            return
        try:
            self._add_to_ring()
        except Retriable:  # the tables are away, and somebody has seen less than memory holds: tried again with the next step
            self.counters["tables_away"] += 1
        self._trim_ring()
        self._notify("alerts")

    def _add_to_ring(self) -> None:
        for _ in range(4):  # then the others have their turn
            changes = self._alerts.changes(self._alerts_seq, 500)
            if not changes:
                self._alerts_seq = max(self._alerts_seq, self._alerts.last_seq)
                return
            for seq, alert in changes:
                frame = _frame(b"alert", orjson.dumps(alert))
                self._ring_seqs.append(seq)
                self._ring.append(frame)
                self._ring_bytes += len(frame)
                self._alerts_seq = seq
        self._wake.set()

    def _trim_ring(self) -> None:
        """Keeps the ring in its bounds; drops half, so that the cost is spread."""
        while self._ring and (len(self._ring) > self.limits.ring_frames or self._ring_bytes > self.limits.ring_bytes):
            cut = (len(self._ring) + 1) // 2
            self._ring_from = self._ring_seqs[cut - 1]
            self._ring_bytes -= sum(map(len, self._ring[:cut]))
            del self._ring[:cut], self._ring_seqs[:cut]

    def _forget_ring(self, seq: int) -> None:
        self._ring.clear()
        self._ring_seqs.clear()
        self._ring_bytes, self._ring_from, self._alerts_seq = 0, seq, seq

    def _publish_events(self) -> None:
        seq, total = self._recent.last_seq, self._recent.total
        if seq <= self._events_seq:
            return
        if any("events" in viewer.topics for viewer in self.viewers):
            newest = self._recent.newest(self._events_seq, self.limits.frame_events, seq)
            self._frame = _EventFrame(orjson.dumps(newest.items), len(newest.items), seq, total)
        else:
            self._frame = None
        self._events_seq, self._events_total = seq, total
        self._notify("events")

    def _publish_clock(self) -> None:
        version = self._latest.get("clock", (0, b""))[0] + 1
        self._latest["clock"] = version, _frame(b"clock", orjson.dumps(self._clock()))
        for viewer in self.viewers:
            viewer.wake.set()

    def _publish_feeds(self) -> None:
        version, before = self._latest.get("feeds", (0, b""))
        frame = _frame(b"feeds", orjson.dumps({"items": self._feeds()}))
        if frame != before:
            self._latest["feeds"] = version + 1, frame
            self._notify("feeds")

    def _notify(self, topic: str) -> None:
        for viewer in self.viewers:
            if topic in viewer.topics:
                viewer.wake.set()

    # -- the viewers

    def join(self, topics: Sequence[str], since: tuple[int, int] | None = None) -> Viewer:
        """A new viewer, from (alerts, events) sequence numbers or from now. A number beyond the present belongs to a journal
        that is no more, so that viewer starts from the beginning. Raises `OverflowError` when there are too many viewers."""
        if len(self.viewers) >= self.limits.viewers:
            raise OverflowError(f"{len(self.viewers)} viewers are connected, which is the limit")
        alerts, events = since if since is not None else (self._alerts_seq, self._events_seq)
        alerts = alerts if alerts <= self._alerts.last_seq else 0
        events = events if events <= self._recent.last_seq else 0
        viewer = Viewer(frozenset(topics), alerts, events, self._events_total)
        if "events" in topics and events < self._events_seq:
            newest = self._recent.newest(events, self.limits.frame_events, self._events_seq)
            body, count = orjson.dumps(newest.items), len(newest.items)
            viewer.seen -= count + newest.skipped
            viewer.first = _EventFrame(body, count, self._events_seq, self._events_total)
        self.viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    def close(self) -> None:
        """Ends every stream with a comment; the browsers come back by themselves."""
        for viewer in self.viewers:
            viewer.closed = viewer.closed or "the server is stopping"
            viewer.wake.set()

    def take(self, viewer: Viewer, now: float) -> bytes:
        """What to send next, about a chunk at most; empty when the viewer has everything."""
        out: list[bytes] = []
        size = self._take_alerts(viewer, out)
        if viewer.alerts < self._alerts_seq and "alerts" in viewer.topics:
            viewer.behind_since = viewer.behind_since or now
            if now - viewer.behind_since > self.limits.patience:
                viewer.closed = f"too slow: not caught up for {self.limits.patience:g} s; reconnect and go on from the last id"
        else:
            viewer.behind_since = None
        if size < self.limits.chunk:
            self._take_events(viewer, out)
            self._take_latest(viewer, out)
        return b"".join(out)

    def _take_alerts(self, viewer: Viewer, out: list[bytes]) -> int:
        if "alerts" not in viewer.topics or viewer.alerts >= self._alerts_seq:
            return 0
        size = 0
        for seq, frame in self._alerts_after(viewer.alerts):
            viewer.alerts = seq
            out += (viewer.id_line, frame)
            size += len(frame)
            self.counters["alert"] += 1
            if size >= self.limits.chunk:
                break
        return size

    def _alerts_after(self, seq: int) -> Sequence[tuple[int, bytes]]:
        """Encoded changes after `seq`: from the ring, or, for one who fell out of it or comes back, from the view."""
        if seq >= self._ring_from:
            start = bisect_right(self._ring_seqs, seq)
            return list(zip(self._ring_seqs[start : start + 500], self._ring[start : start + 500], strict=True))
        self.counters["conflated"] += 1
        try:
            changes = self._alerts.changes(seq, 500)
        except Retriable:
            self.counters["tables_away"] += 1
            return []
        return [(number, _frame(b"alert", orjson.dumps(alert))) for number, alert in changes] or [(self._alerts_seq, b": no change\n\n")]

    def _take_events(self, viewer: Viewer, out: list[bytes]) -> None:
        if "events" not in viewer.topics:
            return
        for frame in (viewer.first, self._frame):
            if frame is not None and frame.seq > viewer.events:
                skipped = max(0, frame.total - viewer.seen - frame.count)
                viewer.events, viewer.seen = frame.seq, frame.total
                out += (viewer.id_line, b'event: events\ndata: {"items":', frame.body, b',"skipped":%d}\n\n' % skipped)
                self.counters["events"] += 1
                self.counters["skipped"] += skipped
        viewer.first = None

    def _take_latest(self, viewer: Viewer, out: list[bytes]) -> None:
        for name, (version, frame) in self._latest.items():
            if (name == "clock" or name in viewer.topics) and viewer.versions.get(name, 0) < version:
                viewer.versions[name] = version
                out += (viewer.id_line, frame)
                self.counters[name] += 1


def _frame(event: bytes, data: bytes) -> bytes:
    """A server-sent event (HTML Living Standard, 9.2) without its id. `data` holds no line break."""
    return b"event: %b\ndata: %b\n\n" % (event, data)


def parse_position(text: str) -> tuple[int, int]:
    """`<alerts seq>.<events seq>` -> both. Raises ValueError saying what is valid."""
    alerts, dot, events = text.partition(".")
    if not (dot and alerts.isascii() and alerts.isdigit() and events.isascii() and events.isdigit() and len(text) <= 40):
        raise ValueError(
            f"{text[:60]!r} is not a position; valid is '<alerts seq>.<events seq>' as in an id of the stream, like '41.1048576'"
        )
    return int(alerts), int(events)
