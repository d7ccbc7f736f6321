"""Replays: the live routes over a moment of the past, which change nothing that is live."""

import time
from datetime import datetime

import httpx
import pytest
from api_world import NOON, SECOND, World, alert
from test_api_stream import Reader

from tocsin.api.live import Limits
from tocsin.api.replay.clock import ReplayClock
from tocsin.api.replay.sessions import Sessions
from tocsin.kernel.fault import Retriable
from tocsin.model.alert import Transition
from tocsin.model.time import to_iso

MINUTE = 60 * SECOND
FIRST = "/api/v1/replays"


def at(minutes):
    return to_iso(NOON + round(minutes * MINUTE))


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """An hour: an event a minute, an alert at minute 10 that is acknowledged at 20 and amended at 30."""
    limits = Limits(frame_every=0.02, clock_every=0.1, feeds_every=0.05, heartbeat=0.2)
    with World(tmp_path_factory.mktemp("past"), limits=limits).serving() as world:
        for minute in range(60):
            world.past.put(minute + 1, NOON + minute * MINUTE, [{"id": f"m{minute}", "event_time": NOON + (minute - 1) * MINUTE}])
        first = alert(1, at=NOON + 10 * MINUTE)
        moved = Transition(first.id, "acknowledged", "ann", NOON + 20 * MINUTE)
        later = alert(1, revision=2, status="amended", at=NOON + 10 * MINUTE, updated=NOON + 30 * MINUTE)
        world.raise_alert(first, moved, later, alert(2, at=NOON + 40 * MINUTE))
        yield world


@pytest.fixture
def client(past):
    with httpx.Client(base_url=past.base, timeout=60) as made:
        yield made


@pytest.fixture
def begin(client):
    begun = []

    def make(**body):
        reply = client.post(FIRST, json={"from": at(0), "to": at(60)} | body)
        assert reply.status_code == 201, reply.text
        begun.append(reply.json()["id"])
        return f"{FIRST}/{begun[-1]}"

    yield make
    for name in begun:
        client.delete(f"{FIRST}/{name}")


def settled(client, url, wanted):
    """The session once `wanted` holds of it."""
    for _ in range(12_000):
        found = client.get(url).json()
        if wanted(found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"it never came to that: {found}")


def loaded(client, url):
    return settled(client, url, lambda found: not found["loading"])


def queue(client, url, **query):
    return {item["id"][-1]: (item["state"], item["revision"]) for item in client.get(f"{url}/alerts", params=query).json()["items"]}


def until_known(client, url, wanted):
    for _ in range(12_000):
        if queue(client, url) == wanted:
            return
        time.sleep(0.01)
    raise AssertionError(f"the queue is {queue(client, url)}, wanted {wanted}")


@pytest.mark.parametrize(
    ("minutes", "events", "known"),
    [
        (5, 6, {}),
        (15, 16, {"1": ("open", 1)}),
        (25, 26, {"1": ("acknowledged", 1)}),
        (45, 46, {"1": ("acknowledged", 2), "2": ("open", 1)}),
    ],
)
def test_the_picture_is_that_of_the_moment(client, begin, minutes, events, known):
    url = begin(at=at(minutes), playing=False)
    assert loaded(client, url)["at"] == at(minutes)
    until_known(client, url, known)
    found = client.get(f"{url}/events?limit=1000").json()["items"]
    assert [one["id"] for one in found] == [f"m{minute}" for minute in range(events - 1, -1, -1)]
    status = client.get(f"{url}/status").json()
    assert (status["mode"], status["clock"], status["replay"]["by"]) == (
        "replay",
        status["clock"] | {"now": at(minutes), "speed": 0},
        "known",
    )
    assert status["alerts"]["unacknowledged"] == sum(state == "open" for state, _ in known.values())
    feeds = {feed["name"]: feed for feed in client.get(f"{url}/feeds").json()["items"]}
    assert (feeds["calls"]["accepted"], feeds["calls"]["state"], feeds["quakes"]["state"]) == (events, "ok", "waiting")
    assert sum(sum(row["counts"]) for row in client.get(f"{url}/timeline").json()["rows"]) == events


def test_the_single_alert_knows_no_more_than_was_known(client, begin, past):
    url = begin(at=at(25), playing=False)
    until_known(client, url, {"1": ("acknowledged", 1)})
    found = client.get(f"{url}/alerts/{alert(1).id}").json()
    assert [step["to"] for step in found["history"]] == ["open", "acknowledged"]
    assert found["count"] == 1
    assert client.get(f"{url}/alerts/{alert(2).id}").status_code == 404
    assert client.get(f"/api/v1/alerts/{alert(2).id}").status_code == 200
    assert queue(client, url, at=at(15)) == {"1": ("open", 1)}
    assert queue(client, url, at=at(59)) == {"1": ("acknowledged", 1)}, "the future is not looked into"


def test_it_plays_the_frames_of_the_live_stream(client, begin, past):
    url = begin(at=at(9.9), speed=60, playing=False)
    loaded(client, url)
    reader = Reader(past.base, path=f"{url}/stream")
    client.post(url, json={"playing": True})
    reader.wait(lambda: reader.of("alert"), "the first alert")  # twenty seconds before it is amended
    client.post(url, json={"speed": 1000})
    reader.wait(lambda: {data["id"][-1] for _, data in reader.of("alert")} == {"1", "2"}, "both alerts")
    assert reader.of("alert")[0][1]["revision"] == 1
    settled(client, url, lambda found: found["ended"])
    reader.wait(lambda: any(event["id"] == "m59" for _, data in reader.of("events") for event in data["items"]), "the last event")
    reader.wait(lambda: any(data["replay"]["ended"] for _, data in reader.of("clock")), "the end")
    times = [datetime.fromisoformat(data["now"]) for _, data in reader.of("clock")]
    assert times == sorted(times)
    assert reader.of("feeds")
    reader.close()


def test_it_can_be_steered(client, begin, past):
    url = begin(at=at(5), playing=False)
    before = loaded(client, url)
    found = client.post(url, json={"at": at(50), "speed": 10.0}).json()
    assert (found["at"], found["speed"], found["stage"], found["playing"]) == (at(50), 10.0, before["stage"] + 1, False)
    loaded(client, url)
    until_known(client, url, {"1": ("acknowledged", 2), "2": ("open", 1)})
    client.post(url, json={"at": at(12)})
    loaded(client, url)
    until_known(client, url, {"1": ("open", 1)})
    assert client.get(f"{url}/events?limit=1000").json()["items"][0]["id"] == "m12"
    assert client.post(url, json={"by": "event"}).json()["stage"] == before["stage"] + 3
    settled(client, url, lambda _: past.past.asked[-1][2] == "event")
    assert client.post(url, json={"playing": True, "speed": 1}).json()["stage"] == before["stage"] + 3, "it goes on from where it is"


def test_nothing_live_is_touched(client, begin, past):
    def live():
        status = client.get("/api/v1/status").json()
        return status["events"], status["alerts"], client.get("/api/v1/alerts").json(), past.recent.rows, status["mode"], status["replay"]

    before = live()
    url = begin(at=at(0), speed=1000)
    settled(client, url, lambda found: found["ended"])
    until_known(client, url, {"1": ("acknowledged", 2), "2": ("open", 1)})
    assert client.post(f"{url}/alerts/{alert(1).id}/transitions", json={"to": "resolved", "by": "ann"}).status_code in (404, 405)
    assert live() == before
    assert past.published == 0


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"from": at(0), "speed": 0}, "speed"),
        ({"from": at(0), "speed": 1001}, "speed"),
        ({"from": at(0), "by": "heart"}, "by"),
        ({"from": at(10), "to": at(10)}, "from"),
        ({"from": "tomorrow"}, "from"),
        ({"from": "2090-01-01T00:00:00Z"}, "from"),
    ],
)
def test_what_cannot_be_played_is_said(client, body, parameter):
    reply = client.post(FIRST, json=body)
    assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (422, parameter)


def test_a_moment_outside_is_refused(client, begin):
    reply = client.post(begin(), json={"at": at(61)})
    assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (422, "at")


def test_what_is_over_is_gone(client, begin):
    url = begin()
    assert [one["id"] for one in client.get(FIRST).json()["items"]] == [url.rpartition("/")[2]]
    assert client.delete(url).status_code == 204
    assert (client.get(url).status_code, client.delete(url).status_code, client.get(f"{url}/alerts").status_code) == (404, 404, 404)
    assert "Begin a new one" in client.get(f"{url}/status").json()["detail"]


def test_a_journal_that_goes_away_is_said(client, begin, past):
    past.past.fault = Retriable("no connection", after=1)
    try:
        url = begin(at=at(30), playing=False)
        client.post(url, json={"at": at(60)})
        assert settled(client, url, lambda found: found["notes"])["notes"] == ["the journal could not be read on: no connection"]
    finally:
        past.past.fault = None


class Idle:
    """A session as `Sessions` sees it."""

    def __init__(self, name, watched, touched):
        self.id, self.watched, self.touched, self.closed = name, watched, touched, False

    def touch(self):
        self.touched = 0.0

    def close(self):
        self.closed = True


def test_few_at_once_and_none_for_ever():
    clock = [0.0]
    sessions = Sessions(most=2, idle=600.0, now=lambda: clock[0])
    first, second, third = (sessions.make(lambda n=n: Idle(f"s{n}", n == 0, float(n))) for n in range(3))
    assert [one.id for one in sessions] == ["s0", "s2"]
    assert second.closed, "the one that nobody watches goes"
    third.watched = True
    with pytest.raises(OverflowError, match="2 replays are being watched"):
        sessions.make(lambda: first)
    third.watched = False
    clock[0] = 603.0
    sessions.sweep()
    assert [one.id for one in sessions] == ["s0"]
    assert third.closed


def test_the_clock_never_runs_ahead_of_what_was_read():
    wall = [0.0]
    clock = ReplayClock(0, 100 * SECOND, 10.0, True, lambda: wall[0])
    wall[0] = 5.0
    assert clock.now() == 0
    clock.read_to(20 * SECOND)
    assert (clock.now(), clock.wait_for(20 * SECOND)) == (0, 2.0)
    wall[0] = 6.0
    assert (clock.now(), clock.speed) == (10 * SECOND, 10.0)
    wall[0] = 60.0
    assert clock.now() == 20 * SECOND
    clock.read_to(1000 * SECOND)
    wall[0] = 61.0
    assert clock.now() == 30 * SECOND, "what it waited for is not caught up with"
    clock.set(speed=1.0)
    wall[0] = 62.0
    clock.set(playing=False)
    wall[0] = 90.0
    assert (clock.now(), clock.speed, clock.wait_for(50 * SECOND)) == (31 * SECOND, 0.0, float("inf"))
    clock.set(playing=True)
    wall[0] = 900.0
    assert (clock.now(), clock.ended, clock.speed) == (100 * SECOND, True, 0.0)
