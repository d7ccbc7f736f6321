"""A small city with everything the API asks for in memory, and a real server round it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from types import SimpleNamespace

import orjson
import pyarrow as pa

from tocsin.accountability.access import authorize
from tocsin.api.app import create_app
from tocsin.api.health_board import HealthBoard
from tocsin.api.live import Limits
from tocsin.api.recent import RecentEvents
from tocsin.api.server import bind, make_server
from tocsin.api.services import AlertFilter, Services
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Retriable
from tocsin.model.alert import TRANSITIONS, Alert, Evidence, Transition
from tocsin.model.city import City
from tocsin.model.event import event_schema
from tocsin.model.feed import Choice, FeedSpec
from tocsin.model.plan import AlertSpec, Cluster, Match, Plan, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity
from tocsin.model.time import from_iso, to_iso

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


class MemoryAlerts:
    """The alerts view as a list: slow and plainly right."""

    def __init__(self):
        self.log: list[tuple[int, int, Alert | Transition]] = []

    @property
    def last_seq(self):
        return self.log[-1][0] if self.log else 0

    def apply(self, entry, at=None):
        self.log.append((self.last_seq + 1, at or (entry.updated if isinstance(entry, Alert) else entry.at), entry))
        return self.last_seq

    def _views(self, until=None, at=None):
        views: dict[str, dict] = {}
        for seq, when, entry in self.log:
            if (at is not None and when > at) or (until is not None and seq > until):
                continue
            if isinstance(entry, Alert):
                view = views.setdefault(entry.id, {"history": [], "state": "open", "owner": None})
                view["alert"], view["changed"] = entry, seq
                if entry.status == "retracted":
                    view["state"] = "retracted"
            elif entry.to in TRANSITIONS[views[entry.alert]["state"]]:
                view = views[entry.alert]
                step = {"at": to_iso(entry.at), "from": view["state"], "to": entry.to, "by": entry.by, "note": entry.note}
                view["history"].append(step)
                view.update(state=entry.to, owner=entry.owner or view["owner"], changed=seq)
        return views

    def _json(self, view, whole=False):
        one = view["alert"]
        data = asdict(one)
        evidence = data.pop("evidence")
        data |= {
            "title": "Smoke", "why": "because", "instruction": "", "severity": one.severity.name.lower(), "rank": one.severity.rank,
            "state": view["state"], "owner": view["owner"], "reasons": list(one.reasons),
            **{name: to_iso(data[name]) for name in ("opened", "known_at", "updated")},
        }  # fmt: skip
        if whole:
            for item in evidence:
                item |= {"event_time": to_iso(item["event_time"]), "ingest_time": to_iso(item["ingest_time"])}
                item["gap_s"] = item.pop("gap_us") / 1e6
            data |= {"evidence": evidence, "history": view["history"]}
        return data

    def changes(self, since, limit):
        last = {entry.id if isinstance(entry, Alert) else entry.alert: seq for seq, _, entry in self.log if seq > since}
        views = self._views()
        return [(seq, self._json(views[name])) for name, seq in sorted(last.items(), key=lambda item: item[1])[:limit]]

    def find(self, wanted: AlertFilter, limit, cursor):
        if cursor is not None and not cursor.isdigit():
            raise ValueError(cursor)
        items = [
            self._json(view)
            for view in sorted(self._views(at=wanted.at).values(), key=lambda view: view["alert"].id, reverse=True)
            if (not wanted.states or view["state"] in wanted.states)
            and (not wanted.rules or view["alert"].rule in wanted.rules)
            and (not wanted.severities or view["alert"].severity.name.lower() in wanted.severities)
        ]
        start = int(cursor or 0)
        return items[start : start + limit], str(start + limit) if start + limit < len(items) else None

    def get(self, name):
        view = self._views().get(name)
        return view and self._json(view, whole=True)

    def counts(self):
        return Counter(view["state"] for view in self._views().values())

    def counts_by_rule(self):
        return Counter(view["alert"].rule for view in self._views().values())


@dataclass
class MemoryQuarantine:
    entries: dict = field(default_factory=dict)
    down: bool = False

    def put(self, name, raw=b"{broken", **more):
        self.entries[name] = SimpleNamespace(
            **{
                "id": name, "feed": "calls", "received": NOON, "expires": NOON + 10**12, "seen": 1, "size": len(raw), "state": "waiting",
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
        self.alerts, self.quarantine, self.recent = MemoryAlerts(), MemoryQuarantine(), RecentEvents()
        self.board = HealthBoard()
        self.seq = 0
        self.slow_view = False
        self.services = Services(
            **{
                "city": city(tmp_path), "clock": Clock(), "recent": self.recent, "alerts": self.alerts,
                "publish_transition": self.publish, "board": self.board, "quarantine": self.quarantine,
                "retry_record": self.quarantine.retry, "authorize": authorize, "version": "0.1.0", "limits": limits or Limits(), **more,
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

    async def publish(self, transition):
        seq = self.alerts.last_seq + 1
        asyncio.get_running_loop().call_later(0.02, self._apply, transition)  # durable now, read a little later
        return seq

    def _apply(self, entry):
        self.alerts.apply(entry)
        self.hub.alerts_changed()

    def raise_alert(self, one):
        """Thread-safe: as if it came from the journal."""
        done = threading.Event()

        def work():
            self._apply(one)
            done.set()

        self.loop.call_soon_threadsafe(work)
        assert done.wait(10)
        return one.id

    def report(self, process, **more):
        self.board.put(orjson.dumps({"process": process, "pid": 1, "wall": 0, **more}))

    @contextmanager
    def serving(self):
        """A real server on a free port, in a thread of its own."""
        listener = bind("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        server = make_server(self.app)

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
            thread.join(15)
            assert not thread.is_alive()
