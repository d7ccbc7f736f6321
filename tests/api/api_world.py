"""A small city with everything the API asks for in memory, and a real server round it."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import msgspec
import orjson
import pyarrow as pa

from tocsin.accountability.access import authorize
from tocsin.alerts.known import KnownAlerts
from tocsin.alerts.store import AlertStore
from tocsin.alerts.view import AlertsView
from tocsin.api.app import create_app
from tocsin.api.health_board import HealthBoard
from tocsin.api.live import Limits
from tocsin.api.recent import RecentEvents
from tocsin.api.server import bind, make_server
from tocsin.api.services import Services
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Retriable
from tocsin.model.alert import Alert, Evidence
from tocsin.model.city import City
from tocsin.model.event import event_schema
from tocsin.model.explanation import Explanation, NoSuchRule
from tocsin.model.feed import Choice, FeedSpec
from tocsin.model.plan import AlertSpec, Cluster, Match, Plan, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity
from tocsin.model.time import from_iso

NOON = from_iso("2017-07-04T12:00:00Z")
SECOND = 1_000_000


@dataclass(frozen=True)
class Entry:
    seq: int
    subject: str
    ingest: int
    wall: int
    batch: pa.RecordBatch | None


def batch(rows, feed="calls", attrs=None):
    """Rows as dictionaries; what is missing gets a plain value."""
    attrs = {"units": "integer", "type": "string", "seen": "time"} if attrs is None else attrs
    schema = event_schema(attrs)
    full = {
        "feed": feed, "kind": "call.fire", "source": None, "event_time": NOON, "ingest_time": None, "lon": -122.33, "lat": 47.6,
        "area": None, "valid_until": None, "value": None, "unit": None, "severity": 0, "action": 0, "refers_to": None,
        "text": None, "attrs": None,
    }  # fmt: skip
    columns = {name: [{**full, "id": f"r{i}", **row}[name] for i, row in enumerate(rows)] for name in schema.names}
    made = pa.RecordBatch.from_pydict(columns, schema=schema)
    sink = pa.BufferOutputStream()  # as it comes from the journal: one IPC stream with one batch
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(made)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def alert(number, rule="smoke", revision=1, at=NOON, status="raised", **more):
    one = Evidence(
        seq=number << 20, feed="calls", id=f"r{number}", kind="call.fire", source="E10", event_time=at, ingest_time=at + SECOND,
        lon=-122.33, lat=47.6, value=None, unit=None, text="smoke", role="anchor", distance_m=0.0, gap_us=0,
    )  # fmt: skip
    made = Alert(
        id=f"{number:020x}", rule=rule, rule_version="aabbccddeeff", revision=revision, status=status, headline=f"Smoke {number}",
        severity=Severity.SEVERE, urgency="immediate", certainty="likely", opened=at, known_at=at, updated=at, lon=-122.33, lat=47.6,
        radius_m=300.0, place="Harborview, 230 m NE", count=revision, sources=1, evidence=(one,), reasons=("a reason",), seq=number << 20,
    )  # fmt: skip
    return replace(made, **more)


class Alerts:
    """The real view over a real store; `apply` is the alerts stream."""

    def __init__(self, folder, plan):
        self.store = AlertStore.open(f"sqlite:///{folder / 'alerts.db'}")
        self.view = AlertsView(self.store, {rule.name: rule for rule in plan.rules})

    def apply(self, *whats):
        messages = []
        for seq, what in enumerate(whats, self.store.position + 1):
            subject = f"alert.{what.rule}" if isinstance(what, Alert) else f"transition.{what.alert}"
            messages.append((seq, subject, msgspec.json.decode(msgspec.json.encode(what))))
        return self.store.apply(messages)


@dataclass
class MemoryQuarantine:
    entries: dict = field(default_factory=dict)
    down: bool = False

    def put(self, name, raw: bytes | None = b"{broken", **more):
        self.entries[name] = SimpleNamespace(
            **{
                "id": name, "feed": "calls", "received": NOON, "expires": NOON + 10**12, "seen": 1, "size": len(raw or b""), "state": "waiting",
                "personal": False, "reason": "no comma", "where": "line 3", "origin": "POST 127.0.0.1", "content_type": "application/json",
                "raw": raw, "whole": True, **more,
            }
        )  # fmt: skip

    async def list(self, feed, limit):
        return [entry for entry in self.entries.values() if feed in (None, entry.feed)][:limit]

    async def get(self, name):
        return self.entries.get(name)

    async def retry(self, name):
        if self.down:
            raise Retriable("ingest does not answer", after=3)
        self.entries[name].state = "retried"
        return {"id": name, "accepted": 1, "rejected": 0}


class MemoryPast:
    """Where replays read in these tests: entries as (due, entry), and the alerts of the world's own store."""

    def __init__(self, alerts):
        self.entries, self._alerts, self.asked, self.fault = [], alerts, [], None

    def put(self, seq, at, rows, feed="calls"):
        self.entries.append((at, Entry(seq, f"ev.sea.{feed}" if rows else "tick", at, 0, batch(rows, feed) if rows else None)))

    def alerts(self):
        return KnownAlerts(self._alerts.store, self._alerts.view)

    async def events(self, at, stop, by, notes):
        self.asked.append((at, stop, by))
        for due, entry in self.entries:
            yield due, entry
        if self.fault is not None:
            raise self.fault


def feed_spec(name):
    return FeedSpec(
        name=name, title=name.title(), purpose="test", owner="fire", retention=10**12, sensitivity="public",
        transport=Choice("webhook"), format=Choice("ndjson"), mapping={}, expected_every=60 * SECOND,
    )  # fmt: skip


def rule_plan(name, when):
    return RulePlan(
        name, "aabbccddeeff", name.title(), "because", when, AlertSpec("{count}", Severity.SEVERE), words="in words", text="rule: x"
    )


def city(tmp_path):
    fire = Selector("call.fire", text="call.fire")
    plan = Plan((rule_plan("smoke", Match(fire)), rule_plan("two-smokes", Cluster(fire, 300.0, 600 * SECOND, sources=2))))
    feeds = (feed_spec("calls"), feed_spec("quakes"))
    return City("testville", "Testville", "America/Los_Angeles", (-122.33, 47.6), 11.0, "sea", feeds, plan, (), tmp_path)


class World:
    """Services in memory. `feed()` adds an entry to the events view, `raise_alert()` to the alerts view."""

    def __init__(self, tmp_path, limits=None, **more):
        self.city = city(tmp_path)
        self.alerts, self.quarantine, self.recent = Alerts(tmp_path, self.city.plan), MemoryQuarantine(), RecentEvents()
        self.lost = False  # the alerts view no longer hears the stream
        self.board = HealthBoard()
        self.past = MemoryPast(self.alerts)
        self.seq = 0
        self.published = 0  # transitions on their way to the view
        self.services = Services(
            **{
                "city": self.city, "clock": Clock(), "recent": self.recent, "alerts": self.alerts.view,
                "publish_transition": self.publish, "board": self.board, "quarantine": self.quarantine,
                "retry_record": self.quarantine.retry, "explain": self.explain, "authorize": authorize, "past": self.past, "version": "0.1.0", "limits": limits or Limits(), **more,
            }
        )  # fmt: skip
        self.app = create_app(self.services)
        self.hub = self.app.state.hub
        self.loop = None
        self.base = ""
        self.port = 0

    def feed(self, rows, ingest=None, feed="calls", **more):
        self.seq += 1
        made = batch(rows, feed, **more) if rows else None
        subject = f"ev.sea.{feed}" if rows else "tick"
        self.recent.add(Entry(self.seq, subject, ingest or NOON + self.seq, time.time_ns(), made))
        return self.seq

    async def explain(self, question):
        """Nothing ever rang here."""
        known = [rule.name for rule in self.city.plan.rules]
        if question.rule not in known:
            raise NoSuchRule(f"there is no rule {question.rule!r}; known: {known}")
        place = (question.lon, question.lat, question.within)
        return Explanation(question.rule, "1", "", "", question.at, *place, question.span or SECOND, "then", "silent", "It did not ring")

    async def publish(self, transition):
        self.published += 1
        if not self.lost:
            asyncio.get_running_loop().call_later(0.02, self._apply, transition)  # durable now, read a little later
        return self.alerts.store.position + self.published

    def _apply(self, *entries):
        self.published = max(0, self.published - len(entries))
        self.alerts.apply(*entries)
        self.hub.alerts_changed()

    def raise_alert(self, *entries):
        """Thread-safe: as if they came from the journal. Returns the id of the first."""
        done = threading.Event()

        def work():
            self._apply(*entries)
            done.set()

        self.loop.call_soon_threadsafe(work)
        assert done.wait(60)
        return entries[0].id if isinstance(entries[0], Alert) else entries[0].alert

    def report(self, process, **more):
        self.board.put(orjson.dumps({"process": process, "pid": 1, "wall": 0, **more}))

    @contextmanager
    def serving(self, host="127.0.0.1"):
        """A real server on a free port, in a thread of its own."""
        listener = bind(host, 0)
        self.port = listener.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        server = self.server = make_server(self.app)

        async def main():
            self.loop = asyncio.get_running_loop()
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=lambda: server.config.get_loop_factory()().run_until_complete(main()), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()
            self.alerts.store.close()
