"""The live hub without a network: what each viewer is sent, whatever it misses, and how little is kept for it."""

import asyncio
import json

from api_world import NOON, Entry, batch
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.api.live import Limits, LiveHub, parse_position
from tocsin.api.recent import RecentEvents


class Changes:
    """The alerts stream in memory: every change is of one alert; `changes` gives the newest state of each, as the real view does."""

    def __init__(self):
        self.log: list[str] = []
        self.asked = 0

    @property
    def last_seq(self):
        return len(self.log)

    def changes(self, since, limit):
        self.asked += 1
        newest = {name: seq for seq, name in enumerate(self.log, 1)}
        found = sorted((seq, name) for name, seq in newest.items() if seq > since)
        return [(seq, {"id": name, "at": seq}) for seq, name in found[:limit]]


class House:
    def __init__(self, **limits):
        self.alerts, self.recent, self.feeds, self.now, self.seq = Changes(), RecentEvents(), [], 0.0, 0
        self.hub = LiveHub(self.recent, self.alerts, lambda: self.feeds, lambda: {"now": self.now}, Limits(**limits))

    def step(self, seconds=0.0):
        self.now += seconds
        return self.hub.step(self.now)

    def change(self, *names):
        self.alerts.log += names

    def events(self, rows):
        self.seq += 1
        self.recent.add(Entry(self.seq, "ev.sea.calls", NOON, 0, batch([{"id": f"{self.seq}-{i}"} for i in range(rows)])))

    def take(self, viewer):
        """Everything there is for it now, as frames (alerts seq, events seq, event, data)."""
        found = []
        while text := self.hub.take(viewer, self.now):
            found += frames(text)
        return found


def frames(text):
    made = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            alerts, events = parse_position(fields["id"])
            made.append((alerts, events, fields["event"], json.loads(fields["data"])))
    return made


def of(event, found):
    return [frame for frame in found if frame[2] == event]


names = st.sampled_from("abcdefgh")
actions = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.lists(names, min_size=1, max_size=8)),
        st.tuples(st.just("step"), st.none()),
        st.tuples(st.just("take"), st.integers(0, 2)),
        st.tuples(st.just("break"), st.integers(0, 2)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(actions, st.sampled_from([1, 3, 1000]), st.sampled_from([10, 60, 100_000]))
def test_no_viewer_ever_misses_an_alert(done, ring_frames, chunk):
    """Three viewers read when they like, lose the connection where it hurts and come back: in the end each has the newest state
    of every alert, in order, and what it was told before is never told again."""
    house = House(ring_frames=ring_frames, chunk=chunk)
    viewers = [house.hub.join(["alerts"], (0, 0)) for _ in range(3)]
    told = [{} for _ in viewers]
    last = [0, 0, 0]

    def hear(number, found):
        for alerts, _, _, data in of("alert", found):
            assert alerts > last[number]
            assert data["at"] == alerts
            last[number], told[number][data["id"]] = alerts, alerts

    for action, what in done:
        if action == "change":
            house.change(*what)
        elif action == "step":
            house.step(0.05)
        elif action == "take":
            hear(what, frames(house.hub.take(viewers[what], house.now)))
        else:  # the last chunk is cut anywhere between two frames; the browser comes back with the last id it saw
            cut = frames(house.hub.take(viewers[what], house.now))
            hear(what, cut[: len(cut) // 2])
            house.hub.leave(viewers[what])
            viewers[what] = house.hub.join(["alerts"], (last[what], 0))
    house.step(1)
    newest = {name: seq for seq, name in enumerate(house.alerts.log, 1)}
    for number, viewer in enumerate(viewers):
        hear(number, house.take(viewer))
        assert told[number] == newest


def test_alerts_are_encoded_once_and_asked_for_once():
    house = House()
    viewers = [house.hub.join(["alerts"]) for _ in range(20)]
    house.change("a", "b")
    house.step()
    asked = house.alerts.asked
    assert all([frame[3]["id"] for frame in of("alert", house.take(viewer))] == ["a", "b"] for viewer in viewers)
    assert house.alerts.asked == asked
    assert house.hub.counters["conflated"] == 0


def test_who_fell_out_of_the_ring_gets_the_newest_state_of_each():
    house = House(ring_frames=4)
    slow, fast = house.hub.join(["alerts"]), house.hub.join(["alerts"])
    seen = 0
    for _ in range(50):
        house.change("a", "b", "c")
        house.step(0.01)
        seen += len(of("alert", house.take(fast)))
    assert seen == 150
    assert [(frame[0], frame[3]["id"]) for frame in of("alert", house.take(slow))] == [(148, "a"), (149, "b"), (150, "c")]
    assert house.hub.counters["conflated"] >= 1


def test_the_ring_is_bounded_in_bytes_and_empty_without_viewers():
    house = House(ring_bytes=1000)
    viewer = house.hub.join(["alerts"])
    for _ in range(100):
        house.change("a", "b", "c")
        house.step(0.01)
        assert sum(map(len, house.hub._ring)) == house.hub._ring_bytes <= 1000
    house.hub.leave(viewer)
    house.change("d")
    house.step(0.01)
    assert house.hub._ring == []
    again = house.hub.join(["alerts"], (300, 0))
    house.step(0.01)
    assert [frame[3]["id"] for frame in of("alert", house.take(again))] == ["d"]


def test_event_frames_are_conflated():
    house = House(frame_events=5)
    fast, slow = house.hub.join(["events"]), house.hub.join(["events"])
    house.step()
    counts = []
    for _ in range(6):
        house.events(4)
        house.events(4)
        house.step(0.2)
        ((_, seq, _, data),) = of("events", house.take(fast))
        assert seq == house.recent.last_seq
        counts.append((len(data["items"]), data["skipped"]))
    assert counts == [(5, 3)] * 6
    ((_, _, _, data),) = of("events", house.take(slow))  # one frame, however long it slept
    assert (len(data["items"]), data["skipped"]) == (5, 43)
    assert [item["id"] for item in data["items"]] == ["11-3", "12-0", "12-1", "12-2", "12-3"]
    assert house.hub.counters["skipped"] == 6 * 3 + 43


def test_at_most_five_event_frames_a_second():
    house = House()
    viewer = house.hub.join(["events"])
    house.step()
    seen = 0
    for _ in range(200):  # a step each 10 ms for 2 s, events all the time
        house.events(1)
        house.step(0.01)
        seen += len(of("events", house.take(viewer)))
    assert 9 <= seen <= 10


def test_nothing_is_made_for_nobody():
    house = House()
    viewer = house.hub.join(["alerts"])
    house.events(3)
    house.step(1)
    assert of("events", house.take(viewer)) == []
    late = house.hub.join(["events"])
    house.step(1)
    assert of("events", house.take(late)) == []
    house.events(1)
    house.step(1)
    ((_, _, _, data),) = of("events", house.take(late))
    assert (len(data["items"]), data["skipped"]) == (1, 0)


def test_coming_back_gives_the_newest_events_and_the_count_of_the_others():
    house = House(frame_events=3)
    viewer = house.hub.join(["events"])
    house.events(2)
    house.step(1)
    ((alerts, seq, _, _),) = of("events", house.take(viewer))
    house.hub.leave(viewer)
    house.events(10)
    house.step(1)
    back = house.hub.join(["events"], (alerts, seq))
    house.events(1)
    house.step(1)
    first, second = of("events", house.take(back))
    assert ([item["id"] for item in first[3]["items"]], first[3]["skipped"]) == (["2-7", "2-8", "2-9"], 7)
    assert ([item["id"] for item in second[3]["items"]], second[3]["skipped"]) == (["3-0"], 0)
    assert first[1] < second[1] == house.recent.last_seq


def test_a_position_of_another_journal_starts_from_the_beginning():
    house = House()
    house.change("a", "b")
    house.events(2)
    house.step(1)
    viewer = house.hub.join(["alerts", "events"], (9999, 1 << 50))
    found = house.take(viewer)
    assert [frame[3]["id"] for frame in of("alert", found)] == ["a", "b"]
    assert len(of("events", found)[0][3]["items"]) == 2


def test_clock_and_feeds():
    house = House()
    house.feeds = [{"name": "calls"}]
    both, neither = house.hub.join(["feeds"]), house.hub.join(["alerts"])
    house.step()
    assert [frame[2] for frame in house.take(both)] == ["clock", "feeds"]
    assert [frame[2] for frame in house.take(neither)] == ["clock"]
    house.step(5)
    assert [frame[2] for frame in house.take(both)] == ["clock"]  # the feeds have not changed
    house.feeds = [{"name": "calls", "state": "stale"}]
    house.step(5)
    assert of("feeds", house.take(both))[0][3] == {"items": house.feeds}


def test_what_falls_due_next():
    house = House()
    assert house.step() == 0.2
    assert house.step(0.15) == 0.2
    assert house.step(0.05) == 0.4


def test_a_viewer_that_never_catches_up_is_closed_with_the_reason():
    house = House(chunk=1, patience=10)
    viewer = house.hub.join(["alerts"])
    for second in range(12):
        house.change(*"abc")
        house.step(1)
        frames(house.hub.take(viewer, house.now))
        assert bool(viewer.closed) == (second > 10)
    assert "too slow" in viewer.closed
    assert "reconnect" in viewer.closed


def test_catching_up_in_between_starts_the_patience_anew():
    house = House(chunk=1, patience=10)
    viewer = house.hub.join(["alerts"])
    for second in range(40):
        house.change("a", "b")
        house.step(1)
        if second % 8 == 7:
            house.take(viewer)
        else:
            house.hub.take(viewer, house.now)
    assert viewer.closed == ""


async def test_waiting_for_the_view():
    house = House()
    waits = [asyncio.create_task(house.hub.alerts_reach(seq)) for seq in (0, 1, 3)]
    await asyncio.sleep(0)
    assert [task.done() for task in waits] == [True, False, False]
    house.change("a", "b")
    house.hub.alerts_changed()
    await waits[1]
    assert not waits[2].done()
    house.change("a")
    house.hub.alerts_changed()
    await waits[2]


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_positions(alerts, events):
    assert parse_position(f"{alerts}.{events}") == (alerts, events)
