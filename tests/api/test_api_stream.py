"""The live stream over real connections: resuming, slow and dead readers, the end of the server."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from api_world import NOON, World, alert

from tocsin.api.live import Limits, parse_position
from tocsin.model.alert import Transition

PATIENCE = 60  # seconds a test waits before it says that something never came


class Reader:
    """A browser: reads frames in a thread, remembers the last id."""

    def __init__(self, base, query="", last="", path="/api/v1/stream"):
        self.frames, self.comments, self.last, self.ended = [], [], last, False
        self.changed = threading.Condition()
        self.client = httpx.Client(base_url=base, timeout=PATIENCE)
        headers = {"last-event-id": last} if last else {}
        self.reply = self.client.send(self.client.build_request("GET", f"{path}{query}", headers=headers), stream=True)
        if self.reply.status_code == 200:
            assert self.reply.headers["content-type"] == "text/event-stream; charset=utf-8"
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()
            self.wait(lambda: self.comments, "the greeting")

    def _read(self):
        fields = {}
        try:
            for line in self.reply.iter_lines():
                with self.changed:
                    if line.startswith(":"):
                        self.comments.append(line[2:])
                    elif line:
                        name, _, value = line.partition(": ")
                        fields[name] = value
                    elif "data" in fields:
                        self.last = fields["id"]
                        self.frames.append((parse_position(fields["id"]), fields["event"], json.loads(fields["data"])))
                        fields = {}
                    self.changed.notify_all()
        except httpx.TransportError:
            pass  # the connection was cut, by the server or by close()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"{what} never came"

    def of(self, event):
        return [(position, data) for position, name, data in list(self.frames) if name == event]

    def close(self):
        """As a browser that is closed: the connection just goes."""
        if not self.ended:
            self.reply.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE)
        self.client.close()


@contextmanager
def reading(world, query="", last=""):
    reader = Reader(world.base, query, last)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A world with short spans."""
    limits = Limits(frame_every=0.05, clock_every=0.2, feeds_every=0.1, heartbeat=0.2)
    with World(tmp_path_factory.mktemp("quick"), limits=limits).serving() as world:
        yield world


def settled(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} never happened"
        time.sleep(0.01)


def test_everything_that_happens_arrives(quick):
    with reading(quick, "?topics=alerts,events,feeds") as reader:
        name = quick.raise_alert(alert(1))
        quick.feed([{"id": "a"}, {"id": "b"}])
        quick.report("ingest", feeds=[{"name": "calls", "state": "ok"}])
        reader.wait(
            lambda: reader.of("alert") and reader.of("events") and len(reader.of("feeds")) > 1 and len(reader.of("clock")) > 1, "a frame"
        )
        (position, data), *_ = reader.of("alert")
        listed = {one["id"]: one for one in httpx.get(quick.base + "/api/v1/alerts", timeout=60).json()["items"]}
        assert (position[0], data) == (quick.alerts.store.position, listed[name])
        (position, data), *_ = reader.of("events")
        assert (position[1], [event["id"] for event in data["items"]], data["skipped"]) == (quick.recent.last_seq, ["a", "b"], 0)
        assert data["items"] == httpx.get(quick.base + "/api/v1/events", timeout=60).json()["items"][1::-1]
        assert reader.of("feeds")[-1][1] == {"items": [{"name": "calls", "state": "ok"}]}
        assert set(reader.of("clock")[-1][1]) == {"now", "speed", "per_min", "total", "config", "running", "troubles"}
        reader.wait(lambda: "here" in reader.comments, "a heartbeat")
        positions = [position for position, _, _ in reader.frames]
        assert positions == sorted(positions)


def test_only_the_topics_asked_for(quick):
    with reading(quick, "?topics=events") as reader:
        quick.raise_alert(alert(50))
        quick.feed([{"id": "x"}])
        reader.wait(lambda: reader.of("events") and reader.of("clock"), "an event")
        assert not reader.of("alert")
        assert not reader.of("feeds")


@pytest.mark.parametrize(
    ("query", "headers", "parameter"),
    [
        ("?topics=alarms", {}, "topics"),
        ("?since=1", {}, "since"),
        ("?since=1.x", {}, "since"),
        ("?since=-1.2", {}, "since"),
        ("", {"last-event-id": "abc"}, "Last-Event-ID"),
        ("?from=1.1", {}, "from"),
    ],
)
def test_wrong_requests(quick, query, headers, parameter):
    reply = httpx.get(f"{quick.base}/api/v1/stream{query}", headers=headers, timeout=60)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
    assert reply.json()["errors"][0]["parameter"] == parameter


def test_resuming_gives_every_alert_change_since(quick):
    with reading(quick) as reader:
        for number in range(100, 105):
            quick.raise_alert(alert(number))
        quick.feed([{"id": "before"}])
        reader.wait(lambda: len(reader.of("alert")) == 5 and reader.of("events"), "alerts and events")
        last = reader.last
    quick.raise_alert(alert(100, revision=2, status="amended"))
    for to in ("acknowledged", "in_progress"):
        quick.raise_alert(Transition(alert(101).id, to, "ann", NOON))
    quick.raise_alert(alert(105))
    quick.feed([{"id": f"missed-{i}"} for i in range(300)])
    settled(lambda: quick.hub._events_seq == quick.recent.last_seq, "the broadcast")
    with reading(quick, "?since=0.0", last=last) as back:  # a browser sends both; the id wins
        back.wait(lambda: len(back.of("alert")) >= 3 and back.of("events"), "what was missed")
        changed = {data["id"]: data for _, data in back.of("alert")}
        assert sorted(changed) == sorted(alert(number).id for number in (100, 101, 105))
        assert changed[alert(100).id]["revision"] == 2
        assert changed[alert(101).id]["state"] == "in_progress"
        _, events = back.of("events")[0]
        assert (len(events["items"]), events["skipped"], events["items"][-1]["id"]) == (200, 100, "missed-299")
        quick.raise_alert(alert(106))
        back.wait(lambda: alert(106).id in [data["id"] for _, data in back.of("alert")], "the next alert")
        assert len(back.of("alert")) == 4  # nothing of before came again


def dead_reader(world, receive=4096):
    """Asks for the stream and never reads a byte."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    connection.connect(("127.0.0.1", world.port))
    before = set(world.hub.viewers)
    connection.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\n\r\n".encode())
    settled(lambda: len(world.hub.viewers) == len(before) + 1, "the connection")
    (viewer,) = set(world.hub.viewers) - before
    return connection, viewer


def drained(connection):
    """Bytes that were still on their way when the connection ended."""
    connection.settimeout(PATIENCE)
    total = 0
    try:
        while chunk := connection.recv(65536):
            total += len(chunk)
    except ConnectionResetError:
        pass  # also an end
    return total


def flood(world, start, count, text="x" * 700):
    """Alerts and events until far more was sent than any buffer holds."""
    for number in range(start, start + count, 200):
        world.raise_alert(*(alert(i, headline=text) for i in range(number, number + 200)))
        world.feed([{"id": f"{i}", "text": text} for i in range(number, number + 200)])


def test_a_reader_that_never_reads_hurts_nobody(tmp_path):
    """One browser stops reading, another goes on: it gets every alert, the dead one costs a chunk and is then cut off."""
    limits = Limits(frame_every=0.02, stall=4.0, chunk=32 << 10, ring_bytes=1 << 20)
    with World(tmp_path, limits=limits).serving() as world, reading(world) as alive:
        dead, viewer = dead_reader(world)
        count = 4000
        flood(world, 10_000, count)  # 4,000 alerts of 1.7 kB and as many events: over 10 MB
        alive.wait(lambda: len(alive.of("alert")) >= count, "every alert for the reader that reads")
        told = [data["id"] for _, data in alive.of("alert")]
        assert told == [alert(number).id for number in range(10_000, 10_000 + count)]
        assert viewer.alerts < alive.of("alert")[-1][0][0]  # the dead one is far behind
        assert sum(map(len, world.hub._ring)) <= limits.ring_bytes
        assert httpx.get(world.base + "/api/v1/status", timeout=60).status_code == 200
        settled(lambda: viewer not in world.hub.viewers, "cutting off")
        assert world.hub.counters["stalled"] == 1
        assert 'tocsin_serve_stream_cut_off_total{reason="stalled"} 1' in httpx.get(world.base + "/metrics", timeout=60).text
        assert drained(dead) < 2 << 20  # what the kernel had taken; the rest was dropped, not kept until somebody reads
        dead.close()
        world.raise_alert(alert(99_999))
        alive.wait(lambda: alive.of("alert")[-1][1]["id"] == alert(99_999).id, "the next alert")


def test_what_is_kept_for_a_dead_reader_is_bounded(tmp_path):
    limits = Limits(frame_every=0.02, stall=3600, chunk=32 << 10)
    with World(tmp_path, limits=limits).serving() as world:
        readers = [dead_reader(world) for _ in range(5)]
        flood(world, 10_000, 2000)
        settled(lambda: world.hub._alerts_seq == 2000, "the broadcast")
        flood(world, 20_000, 2000)
        settled(lambda: world.hub._alerts_seq == 4000, "the broadcast")
        buffered = [connection.transport.get_write_buffer_size() for connection in world.server.server_state.connections]
        assert len(buffered) >= 5
        assert max(buffered) <= (64 << 10) + 2 * limits.chunk + (200 * 1200)  # high water, a chunk of alerts, one frame of events
        for connection, _ in readers:
            connection.close()
        settled(lambda: not world.hub.viewers, "noticing that they are gone")


def test_a_reader_that_is_too_slow_is_told_so(tmp_path):
    """It reads, but less than there is: after the patience it is sent a comment and the stream ends; it may come back."""
    limits = Limits(frame_every=0.05, chunk=2 << 10, patience=0.8, stall=60, ring_frames=50)
    with World(tmp_path, limits=limits).serving() as world:
        slow, viewer = dead_reader(world)
        stop = threading.Event()

        def more():
            number = 0
            while not stop.is_set():
                flood(world, number, 200)
                number += 200

        writer = threading.Thread(target=more)
        writer.start()
        received = b""
        try:
            while not viewer.closed:
                received += slow.recv(512)
                time.sleep(0.005)
        finally:
            stop.set()
            writer.join()
        slow.settimeout(PATIENCE)
        while not received.endswith(b"0\r\n\r\n"):  # the end of the chunked reply
            received += slow.recv(65536)
        assert b": too slow: not caught up for 0.8 s; reconnect and go on from the last id\n\n" in received
        slow.close()


def test_too_many_viewers(tmp_path):
    with World(tmp_path, limits=Limits(viewers=2)).serving() as world, reading(world), reading(world) as second:
        refused = httpx.get(world.base + "/api/v1/stream", timeout=60)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert refused.json()["type"] == "urn:tocsin:problem:too-many-viewers"
        second.close()
        settled(lambda: len(world.hub.viewers) == 1, "leaving")
        with reading(world):
            assert len(world.hub.viewers) == 2


def test_a_server_that_stops_ends_the_streams(tmp_path):
    with World(tmp_path).serving() as world:
        reader = Reader(world.base)
        dead, _ = dead_reader(world)
        flood(world, 1, 1000)
    reader.wait(lambda: reader.ended, "the end")
    assert reader.comments[-1] == "the server is stopping"
    reader.client.close()
    dead.close()
