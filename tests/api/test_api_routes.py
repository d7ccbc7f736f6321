"""Every resource over HTTP: the replies are what docs/wiring.md and the OpenAPI document say."""

import re
import threading
from pathlib import Path

import httpx
import pytest
from api_world import NOON, SECOND, World, alert
from pydantic import TypeAdapter

from tocsin.api import models
from tocsin.api.status import clock_json
from tocsin.geo.layers import load_layers
from tocsin.model.alert import TRANSITIONS
from tocsin.model.city import Exercise, Layer
from tocsin.model.time import HOUR, to_iso

WIRING = Path(__file__).parents[2] / "docs" / "wiring.md"


def holds(model, reply, status=200):
    """The reply is exactly of this model: strict JSON, nothing more, nothing less."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    TypeAdapter(model).validate_json(reply.content)
    missing = {field.alias or name for name, field in model.model_fields.items()} - reply.json().keys()
    assert not missing
    return reply.json()


def wrong(reply, parameter, status=422):
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    (error,) = reply.json()["errors"]
    assert error["parameter"] == parameter
    assert error["found"]
    assert error["valid"]
    return error


def documented(noun):
    """Field names of `event: {…}` and the like in docs/wiring.md."""
    text = re.search(rf"^{noun}: `(.*?)`( |$|\n)", WIRING.read_text(), re.MULTILINE | re.DOTALL)[1]
    for _ in range(3):
        text = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]|\"[^\"]*\"", "", text.strip("{}"))
    return {part.split(":")[0].strip() for part in text.split(",")}


@pytest.mark.parametrize(
    ("noun", "model"),
    [("event", models.EventOut), ("alert", models.AlertDetail), ("feed", models.FeedOut), ("rule", models.RuleOut)],
)
def test_the_models_are_the_contract(noun, model):
    assert set(model.model_fields) == documented(noun)


def test_status(tmp_path):
    with World(tmp_path).serving() as world, httpx.Client(base_url=world.base, timeout=60) as client:
        world.feed([{"id": "a"}, {"id": "b"}])
        for number in range(4):
            world.raise_alert(alert(number))
        assert client.post(f"/api/v1/alerts/{alert(0).id}/transitions", json={"to": "resolved", "by": "me"}).status_code == 201
        assert client.post(f"/api/v1/alerts/{alert(1).id}/transitions", json={"to": "acknowledged", "by": "me"}).status_code == 201
        status = holds(models.StatusOut, client.get("/api/v1/status"))
        assert status["events"] == {"total": 2, "per_min": 2, "last_seq": (1 << 20) + 1}
        assert status["alerts"] == {"open": 3, "unacknowledged": 2, "last_seq": 6}
        assert status["feeds"] == {"total": 2, "stale": 0}
        assert (status["mode"], status["exercise"], status["city"]["centre"]) == ("live", None, [-122.33, 47.6])
        world.report("ingest", feeds=[{"state": "ok"}, {"state": "stale"}, {"state": "failing"}])
        world.services.city = world.city.__class__(
            **{name: getattr(world.city, name) for name in world.city.__slots__}
            | {"exercise": Exercise(NOON, NOON + HOUR, 720.0, "The Fourth")}
        )
        status = holds(models.StatusOut, client.get("/api/v1/status"))
        assert status["feeds"] == {"total": 3, "stale": 2}
        assert status["mode"] == "exercise"
        assert status["exercise"] == {"title": "The Fourth", "start": "2017-07-04T12:00:00Z", "end": "2017-07-04T13:00:00Z"}


def test_events(world, client):
    first = world.feed(
        [
            {"id": "e1", "kind": "call.fire", "lon": -122.0, "lat": 47.0, "event_time": NOON},
            {"id": "e2", "kind": "call.medical", "lon": -121.0, "lat": 47.0, "event_time": NOON + HOUR},
            {"id": "e3", "kind": "fire.smoke", "lon": None, "lat": None, "event_time": NOON + 2 * HOUR},
        ]
    )
    world.feed([{"id": "q1", "kind": "quake"}], feed="quakes", attrs={})

    def ids(**params):
        return [event["id"] for event in holds(models.EventsOut, client.get("/api/v1/events", params=params))["items"]]

    assert ids() == ["q1", "e3", "e2", "e1"]
    assert ids(kind="call") == ["e2", "e1"]
    assert ids(kind=["fire", "call.medical"]) == ["e3", "e2"]
    assert ids(feed="quakes") == ["q1"]
    assert ids(bbox="-122.1,46.9,-121.9,47.1") == ["e1"]
    assert ids(bbox="170,46,-121.5,48", feed="calls") == ["e1"]
    assert ids(**{"from": "2017-07-04T13:00:00Z"}) == ["e3", "e2"]
    assert ids(**{"from": "2017-07-04T06:00:00-07:00", "to": "2017-07-04T14:00:00Z"}) == ["e2"]
    assert client.get("/api/v1/events?from=2017-07-04T15:00:00+02:00&kind=call").json()["items"][0]["id"] == "e2"  # a + not encoded
    page = client.get("/api/v1/events", params={"limit": 3}).json()
    assert [event["id"] for event in page["items"]] == ["q1", "e3", "e2"]
    world.feed([{"id": "new"}])
    following = client.get("/api/v1/events", params={"limit": 3, "cursor": page["next"]}).json()
    assert ([event["id"] for event in following["items"]], following["next"], following["complete_from"]) == (["e1"], None, None)
    one = holds(models.EventOut, client.get(f"/api/v1/events/{(first << 20) + 1}"))
    assert (one["id"], one["event_time"]) == ("e2", "2017-07-04T13:00:00Z")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("bbox=1,2,3", "bbox"),
        ("bbox=1,2,3,x", "bbox"),
        ("bbox=0,10,1,5", "bbox"),
        ("bbox=0,0,181,5", "bbox"),
        ("bbox=nan,0,1,5", "bbox"),
        ("from=yesterday", "from"),
        ("from=2017-07-04", "from"),
        ("to=2017-07-04T12:00:00", "to"),
        ("to=1969-07-04T12:00:00Z", "to"),
        ("to=9999-12-31T23:59:59-23:00", "to"),
        ("kind=Call", "kind"),
        ("kind=call.", "kind"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=-1", "cursor"),
        ("limits=5", "limits"),
        ("kinds=call", "kinds"),
    ],
)
def test_wrong_event_queries_say_what_is_valid(client, query, parameter):
    error = wrong(client.get(f"/api/v1/events?{query}"), parameter)
    if parameter in ("limits", "kinds"):
        assert f"(did you mean {parameter[:-1]!r}?)" in error["valid"]


def test_events_that_are_not_there(client):
    assert client.get("/api/v1/events/77").json()["detail"] == "There is no event with seq 77."
    wrong(client.get("/api/v1/events/x"), "seq")
    wrong(client.get("/api/v1/events/99999999999999999999"), "seq")


def test_history_that_is_gone_is_said(tmp_path):
    with World(tmp_path).serving() as world:
        world.recent.starts_at(NOON)
        assert httpx.get(world.base + "/api/v1/events", timeout=60).json()["complete_from"] == "2017-07-04T12:00:00Z"
        assert httpx.get(world.base + "/api/v1/timeline", timeout=60).json()["complete_from"] == "2017-07-04T12:00:00Z"
        assert "known since 2017-07-04T12:00:00Z" in httpx.get(world.base + "/api/v1/events/1", timeout=60).json()["detail"]


def test_timeline(world, client):
    start = NOON + 1000 * HOUR
    world.feed(
        [
            {"id": str(i), "kind": kind, "event_time": start + i * 10 * SECOND}
            for i, kind in enumerate(["call.fire", "call.x", "quake", "call.fire"])
        ]
    )
    reply = client.get("/api/v1/timeline", params={"from": to_iso(start), "to": to_iso(start + 40 * SECOND), "buckets": 2})
    found = holds(models.TimelineOut, reply)
    assert found["step_s"] == 20
    assert found["rows"] == [{"kind": "call", "counts": [2, 1]}, {"kind": "quake", "counts": [0, 1]}]
    assert holds(models.TimelineOut, client.get("/api/v1/timeline"))["step_s"] == 180
    wrong(client.get("/api/v1/timeline", params={"from": to_iso(start), "to": to_iso(start)}), "from")
    wrong(client.get("/api/v1/timeline?buckets=0"), "buckets")


def test_alerts(world, client):
    names = [
        world.raise_alert(alert(900, rule="smoke", at=NOON)),
        world.raise_alert(alert(901, rule="two-smokes", at=NOON + HOUR)),
        world.raise_alert(alert(902, rule="two-smokes", at=NOON + 2 * HOUR)),
    ]

    def ids(**params):
        found = holds(models.AlertsOut, client.get("/api/v1/alerts", params={"limit": 1000, **params}))
        return [one["id"] for one in found["items"] if one["id"] in names]

    assert ids() == names[::-1]
    assert ids(rule="smoke") == [names[0]]
    assert ids(state="open,acknowledged", severity=["severe", "minor"]) == names[::-1]
    assert ids(state="resolved") == []
    assert ids(at=to_iso(NOON + HOUR)) == [names[1], names[0]]
    assert ids(at=to_iso(NOON - 1)) == []
    one = holds(models.AlertDetail, client.get(f"/api/v1/alerts/{names[0]}"))
    assert (one["title"], one["why"], one["rank"], len(one["evidence"]), one["reasons"]) == ("Smoke", "because", 2, 1, ["a reason"])
    page = client.get("/api/v1/alerts", params={"limit": 1}).json()
    world.raise_alert(alert(903, rule="smoke", at=NOON + 3 * HOUR))
    assert client.get("/api/v1/alerts", params={"limit": 1, "cursor": page["next"]}).json()["items"][0]["id"] == names[1]
    wrong(client.get("/api/v1/alerts?state=opened"), "state")
    wrong(client.get("/api/v1/alerts?rule=smokes"), "rule")
    wrong(client.get("/api/v1/alerts?severity=bad"), "severity")
    wrong(client.get("/api/v1/alerts?at=now"), "at")
    wrong(client.get("/api/v1/alerts?cursor=1"), "cursor")
    assert client.get("/api/v1/alerts/none").status_code == 404


def step(client, name, to, **more):
    return client.post(f"/api/v1/alerts/{name}/transitions", json={"to": to, "by": "officer", **more})


def test_transitions(world, client, raised):
    done = step(client, raised, "acknowledged", note="on our way", owner="E10", revision=1)
    found = holds(models.AlertDetail, done, 201)
    assert (found["state"], found["owner"]) == ("acknowledged", "E10")
    assert done.headers["location"] == f"/api/v1/alerts/{raised}"
    last = found["history"][-1]
    assert (last["from"], last["to"], last["by"], last["note"]) == ("open", "acknowledged", "officer", "on our way")
    assert client.get(f"/api/v1/alerts/{raised}").json() == found


@pytest.mark.parametrize("state", TRANSITIONS)
def test_every_step_from_every_state(world, client, raised, state):
    """201 where the state machine allows it, 409 with the ways out where it does not."""
    ways = {
        "open": (),
        "acknowledged": ("acknowledged",),
        "in_progress": ("in_progress",),
        "on_hold": ("in_progress", "on_hold"),
        "resolved": ("resolved",),
        "retracted": (),
    }
    for to in ways[state]:
        assert step(client, raised, to).status_code == 201
    if state == "retracted":
        world.raise_alert(alert(int(raised, 16), revision=2, status="retracted"))
    for to in TRANSITIONS:
        if to not in TRANSITIONS[state]:
            refused = step(client, raised, to)
            assert (refused.status_code, refused.json()["state"], tuple(refused.json()["allowed"])) == (409, state, TRANSITIONS[state])
    assert step(client, raised, TRANSITIONS[state][0]).status_code == 201


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"to": "closed", "by": "me"}, "to"),
        ({"by": "me"}, "to"),
        ({"to": "resolved"}, "by"),
        ({"to": "resolved", "by": ""}, "by"),
        ({"to": "resolved", "by": 3}, "by"),
        ({"to": "resolved", "by": "me", "revision": "x"}, "revision"),
        ({"to": "resolved", "by": "me", "reason": "x"}, "reason"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_wrong_steps_say_what_is_valid(client, raised, body, parameter):
    wrong(client.post(f"/api/v1/alerts/{raised}/transitions", json=body), parameter)
    assert client.get(f"/api/v1/alerts/{raised}").json()["state"] == "open"


def test_a_step_on_an_alert_that_has_changed(world, client, raised):
    world.raise_alert(alert(int(raised, 16), revision=2, status="amended"))
    refused = step(client, raised, "resolved", revision=1)
    assert (refused.status_code, refused.json()["revision"]) == (409, 2)
    assert step(client, raised, "resolved", revision=2).status_code == 201


def test_two_officers_at_once(world, client, raised):
    """Both see an open alert; the journal decides who was first, the other is told."""
    replies, start = [], threading.Barrier(2)

    def officer(by):
        with httpx.Client(base_url=world.base, timeout=60) as own:
            start.wait()
            replies.append(own.post(f"/api/v1/alerts/{raised}/transitions", json={"to": "resolved", "by": by}))

    threads = [threading.Thread(target=officer, args=(by,)) for by in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status_code for reply in replies) == [201, 409]
    history = client.get(f"/api/v1/alerts/{raised}").json()["history"]
    assert [one["to"] for one in history].count("resolved") == 1


def test_a_view_that_does_not_follow_is_said(world, client, raised, monkeypatch):
    monkeypatch.setattr("tocsin.api.alerts.APPLY_TIMEOUT", 0.1)
    world.lost = True
    try:
        late = step(client, raised, "resolved")
    finally:
        world.lost, world.published = False, 0
    assert (late.status_code, late.headers["retry-after"]) == (503, "2")
    assert "in the journal" in late.json()["detail"]


def test_feeds(world, client):
    before = holds(models.FeedsOut, client.get("/api/v1/feeds"))["items"]
    assert [(feed["name"], feed["state"], feed["expected_every_s"]) for feed in before] == [
        ("calls", "waiting", 60),
        ("quakes", "waiting", 60),
    ]
    said = {**before[0], "state": "ok", "received": 5, "kinds": ["call.fire"], "last_received": "2017-07-04T12:00:00Z"}
    world.report("ingest", feeds=[said])
    assert holds(models.FeedsOut, client.get("/api/v1/feeds"))["items"] == [said]
    world.board.heard.clear()


def test_rules(world, client):
    found = {rule["name"]: rule for rule in holds(models.RulesOut, client.get("/api/v1/rules"))["items"]}
    before = found["two-smokes"]["alerts"]
    world.raise_alert(alert(5000, rule="two-smokes"))
    found = {rule["name"]: rule for rule in client.get("/api/v1/rules").json()["items"]}
    assert (found["two-smokes"]["operator"], found["two-smokes"]["alerts"]) == ("cluster", before + 1)
    assert (found["smoke"]["operator"], found["smoke"]["severity"], found["smoke"]["rank"]) == ("match", "severe", 2)


def test_layers(tmp_path):
    (tmp_path / "a.csv").write_text("lon,lat,name\n-122.3,47.6,Mercy\n")
    layers = load_layers([Layer("hospitals", "Hospitals", "points", tmp_path / "a.csv", "CC0", places=True)])
    with World(tmp_path, layers=layers).serving() as world, httpx.Client(base_url=world.base, timeout=60) as client:
        (item,) = holds(models.LayersOut, client.get("/api/v1/layers"))["items"]
        assert (item["features"], item["bbox"], item["name_field"], item["url"]) == (
            1,
            [-122.3, 47.6] * 2,
            "name",
            "/api/v1/layers/hospitals",
        )
        found = client.get(item["url"])
        assert found.headers["content-type"] == "application/geo+json"
        assert found.content == layers["hospitals"].body
        again = client.get(item["url"], headers={"if-none-match": f'"x", {found.headers["etag"]}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", found.headers["etag"])
        assert client.get("/api/v1/layers/hospital").json()["detail"].endswith("(did you mean 'hospitals'?).")


def test_quarantine(world, client):
    world.quarantine.put("q1", b'{"broken": "\xc3\xa9"')
    world.quarantine.put("q2", b"\xff\x00", feed="quakes")
    world.quarantine.put("q3", raw=None)
    listed = holds(models.QuarantineList, client.get("/api/v1/quarantine"))["items"]
    assert [one["id"] for one in listed] == ["q1", "q2", "q3"]
    assert [one["id"] for one in client.get("/api/v1/quarantine?feed=quakes").json()["items"]] == ["q2"]
    one = holds(models.QuarantineDetail, client.get("/api/v1/quarantine/q1"))
    assert (one["raw"], one["raw_encoding"], one["reason"], one["where"]) == ('{"broken": "é"', "utf-8", "no comma", "line 3")
    two = holds(models.QuarantineDetail, client.get("/api/v1/quarantine/q2"))
    assert (two["raw"], two["raw_encoding"]) == ("/wA=", "base64")
    assert holds(models.QuarantineDetail, client.get("/api/v1/quarantine/q3"))["raw"] is None
    wrong(client.get("/api/v1/quarantine?feed=call"), "feed")
    assert client.get("/api/v1/quarantine/none").status_code == 404
    assert client.post("/api/v1/quarantine/none/retry").status_code == 404
    assert client.post("/api/v1/quarantine/q1/retry").json() == {"id": "q1", "accepted": 1, "rejected": 0}
    assert world.quarantine.entries["q1"].state == "retried"
    world.quarantine.down = True
    down = client.post("/api/v1/quarantine/q2/retry", json={})
    assert (down.status_code, down.headers["retry-after"], down.json()["detail"]) == (503, "3", "ingest does not answer")
    world.quarantine.down = False


def test_health(tmp_path):
    waits = []
    with World(tmp_path, not_ready=lambda: waits).serving() as world, httpx.Client(base_url=world.base, timeout=60) as client:
        now = [100.0]
        world.board.now = lambda: now[0]
        holds(models.HealthOut, client.get("/healthz"))
        early = client.get("/readyz")
        assert early.status_code == 503
        assert early.json()["waiting_for"] == ["ingest has not reported yet", "correlate has not reported yet"]
        world.report("ingest")
        world.report("correlate")
        assert holds(models.ReadyOut, client.get("/readyz"))["ready"] is True
        waits.append("the journal is away")
        assert client.get("/readyz").json()["waiting_for"] == ["the journal is away"]
        waits.clear()
        now[0] += 4
        world.report("ingest")
        now[0] += 2
        late = client.get("/readyz")
        assert (late.status_code, late.json()["waiting_for"]) == (503, ["correlate was last heard 6 s ago"])


def test_what_keeps_the_picture_from_being_whole_is_said_in_status_and_stream(tmp_path):
    waits = []
    with World(tmp_path, not_ready=lambda: waits).serving() as world, httpx.Client(base_url=world.base, timeout=60) as client:

        def told():
            found = holds(models.StatusOut, client.get("/api/v1/status"))["troubles"]
            assert clock_json(world.services)["troubles"] == found
            return found

        now = [0.0]
        world.board.now, world.board.began = lambda: now[0], 0.0
        assert told() == []  # a node that has just begun is not in trouble
        now[0] = 6.0
        assert [words.partition(",")[0] for words in told()] == ["nothing new comes in: ingest", "new alerts do not ring: correlate"]
        world.report("ingest")
        world.report("correlate")
        assert told() == []
        waits.append("the journal is away")
        assert told() == ["the journal is away"]
        waits.clear()
        world.report("correlate", behind=5_000)
        world.report("keep", archive={"delayed": "the disk is full"})
        assert told() == [
            "new alerts ring late: correlate, which finds them, has not kept up with what comes in",
            "history is delayed: the disk is full; alerts go on",
        ]
        now[0] = 12.0
        assert [words.partition(":")[0] for words in told()] == ["nothing new comes in", "new alerts do not ring"]
