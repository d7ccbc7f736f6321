"""The archive's routes over a served API: filters, pages, formats, faults in words, and nobody waits for a slow question."""

from __future__ import annotations

import io
import socket
import threading
import time

import httpx
import orjson
import pyarrow as pa
import pytest
from api_world import World, alert
from query_world import MONDAY, SmallArchive, row

from tocsin.app.library import Library
from tocsin.model.time import DAY, MINUTE, to_iso
from tocsin.query.rows import Limits

START = to_iso(MONDAY)


class SmallLibrary(Library):
    """A library over the small archive."""

    def __init__(self, archive, folder):
        super().__init__(folder / "none", folder / "cache", dict, Limits(rows=1000))
        self.holdings = archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = SmallArchive(tmp_path_factory.mktemp("files"))
    made.add(
        [
            row(
                n,
                event_time=MONDAY + n * MINUTE,
                lon=-122.33 + n / 10_000,
                value=n / 4,
                source=f"s{n % 5}",
                kind=("call.fire", "smoke")[n % 2],
            )
            for n in range(100)
        ]
    )
    made.keep([row(100, event_time=MONDAY + DAY, text="newest at Pike", lon=None, lat=None)])
    return made


@pytest.fixture(scope="module")
def library(archive, tmp_path_factory):
    made = SmallLibrary(archive, tmp_path_factory.mktemp("library"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, library):
    with World(tmp_path_factory.mktemp("world"), archive=lambda: library).serving() as served:
        yield served


@pytest.fixture(scope="module")
def client(world):
    with httpx.Client(base_url=f"{world.base}/api/v1", timeout=60) as made:
        yield made


def items(client, path, **parameters):
    reply = client.get(path, params=parameters)
    assert reply.status_code == 200, reply.text
    return reply.json()["items"]


def test_search_pages_and_says_what_made_it(client):
    first = client.get("/archive/search", params={"kind": "call", "limit": 3}).json()
    assert [one["seq"] for one in first["items"]] == [100, 98, 96] and first["items"][0]["text"] == "newest at Pike"
    second = client.get("/archive/search", params={"kind": "call", "limit": 3, "cursor": first["next"]}).json()
    assert [one["seq"] for one in second["items"]] == [94, 92, 90]
    assert first["query"].startswith("SELECT * FROM events WHERE kind >= 'call'") and first["plan"]["rows"] == 101
    found = client.post("/query", json={"sql": first["query"]}).json()
    assert [one["seq"] for one in found["items"]] == [100, 98, 96, 94], "the query that is shown is the query"


def test_filters_narrow_down(client):
    assert [one["seq"] for one in items(client, "/archive/search", text="pike")] == [100]
    assert len(items(client, "/archive/search", source="s3", kind="smoke")) == 10
    assert len(items(client, "/archive/search", bbox="-122.33,47,-122.3291,48")) == 10
    span = {"from": START, "to": to_iso(MONDAY + 5 * MINUTE)}
    assert len(items(client, "/archive/search", **span)) == 5


def test_around_a_place_an_event_and_an_alert(client, world):
    near = items(client, "/archive/around", near="-122.33,47.6", at=START, within="58 m", after="10 min")
    assert (
        [one["seq"] for one in near] == list(range(8))
        and near[1]["distance_m"] == pytest.approx(7.5, abs=0.1)
        and near[1]["gap_us"] == MINUTE
    )
    assert [one["seq"] for one in items(client, "/archive/around", event=50, within="5 m")] == [50]
    raised = world.raise_alert(alert(1))
    reply = client.get("/archive/around", params={"alert": raised, "within": "200 km"})
    assert reply.status_code == 200 and reply.json()["items"] == []
    for parameters, words in (
        ({}, "one of near"),
        ({"near": "1,2", "event": 3}, "one of near"),
        ({"near": "0,0", "within": "900 km"}, "200 km"),
    ):
        reply = client.get("/archive/around", params=parameters)
        assert reply.status_code == 422 and words in reply.json()["detail"]
    assert client.get("/archive/around", params={"event": 100}).json()["detail"].startswith("the event 100 has no place")
    assert client.get("/archive/around", params={"event": 999}).status_code == 404


def test_series_cells_and_history(client):
    rows = items(client, "/archive/series", step="hour", by="kind", zone="UTC")
    assert [(one["start"], one["kind"], one["rows"]) for one in rows[:2]] == [(MONDAY, "call.fire", 30), (MONDAY, "smoke", 30)]
    assert sum(one["rows"] for one in rows) == 101
    local = items(client, "/archive/series", step="hour-of-week")
    assert min(one["start"] for one in local) >= 0 and max(one["start"] for one in local) < 168
    top = items(client, "/archive/cells", zoom=16, limit=2)
    assert top[0]["rows"] >= top[1]["rows"] > 0
    assert [one["seq"] for one in items(client, "/archive/sources/calls/s3", limit=2)] == [98, 93]
    assert client.get("/archive/events/7").json()["seq"] == 7 and client.get("/archive/events/7777").status_code == 404


def test_points_and_tiles_are_binary(client):
    body = client.get("/archive/points").content
    length = int.from_bytes(body[:4], "little")
    assert orjson.loads(body[4 : 4 + length])["count"] == 100
    tile = client.get("/archive/tiles/10/164/357.mvt")
    assert tile.headers["content-type"] == "application/vnd.mapbox-vector-tile" and len(tile.content) > 100
    assert client.get("/archive/tiles/10/0/0.mvt").content == b""
    assert client.get("/archive/tiles/2/4/0.mvt").status_code == 422


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet", "gpkg", "fgb"])
def test_files_come_with_a_name_and_where_the_next_page_begins(client, form):
    reply = client.get("/archive/search", params={"format": form, "limit": 10})
    assert reply.status_code == 200 and "attachment" in reply.headers["content-disposition"]
    assert reply.headers["tocsin-rows"] == "10" and reply.headers["tocsin-next"] and reply.headers["tocsin-cut"] == "false"
    assert len(reply.content) > 500


def test_sql(client):
    reply = client.post("/query", json={"sql": "SELECT kind, count(*) AS n FROM events GROUP BY 1 ORDER BY 1"})
    assert reply.json()["items"] == [{"kind": "call.fire", "n": 51}, {"kind": "smoke", "n": 50}]
    arrow = client.post("/query", json={"sql": "SELECT 1 AS a", "format": "arrow"})
    assert pa.ipc.open_stream(io.BytesIO(arrow.content)).read_all().to_pylist() == [{"a": 1}]


@pytest.mark.parametrize(
    ("path", "parameters", "words"),
    [
        ("/archive/search", {"cursor": "x"}, "`next` of the page before"),
        ("/archive/search", {"kind": "Call!"}, "dotted prefix"),
        ("/archive/search", {"from": START, "to": START}, "before `to`"),
        ("/archive/search", {"format": "xls"}, "known: arrow, csv"),
        ("/archive/search", {"colour": "red"}, "one of bbox"),
        ("/archive/series", {"step": "minute"}, "known: day, hour, hour-of-week"),
        ("/archive/series", {"by": "zone:nowhere"}, "known:"),
        ("/archive/series", {"by": "cell:99"}, "4 to 16"),
        ("/archive/series", {"zone": "Mars/Olympus"}, "IANA"),
        ("/archive/series", {"by": "cell:²"}, "cell:4 to cell:16"),
        ("/archive/around", {"near": "-122.33,47.6", "before": "1000000 years"}, "a span of time that is not negative"),
        ("/archive/around", {"near": "-122.33,47.6", "after": f"{'9' * 400} s"}, "a span of time that is not negative"),
        ("/archive/around", {"near": "-122.33,47.6", "within": "3 kg"}, "a length in m, km, ft"),
        ("/archive/cells", {"zoom": 3}, "greater than or equal to 4"),
    ],
)
def test_what_cannot_be_asked_says_what_could(client, path, parameters, words):
    reply = client.get(path, params=parameters)
    assert reply.status_code == 422 and reply.headers["content-type"] == "application/problem+json"
    assert words in reply.json()["detail"]


def test_much_must_be_confirmed(client, library):
    kept, library.limits = library.limits, Limits(rows=10)
    try:
        for path in ("/archive/series?text=pike", "/archive/points"):
            reply = client.get(path)
            assert reply.status_code == 422 and reply.json()["type"].endswith("confirm") and reply.json()["plan"]["rows"] > 10
            assert client.get(path + ("&" if "?" in path else "?") + "confirm=true").status_code == 200
        said = client.post("/query", json={"sql": "SELECT count(*) FROM events"})
        assert said.status_code == 422 and said.json()["plan"]["whole"] and "WHERE" in said.json()["detail"]
    finally:
        library.limits = kept


def test_statements_that_change_anything_are_refused(client):
    for sql in ("DROP VIEW events", "COPY events TO '/tmp/x.parquet'", "SELECT 1; SELECT 2", "SELECT * FROM read_text('/etc/passwd')"):
        reply = client.post("/query", json={"sql": sql})
        assert reply.status_code == 422 and reply.json()["type"].endswith("invalid-request")


def test_whoever_hangs_up_ends_the_statement_and_nobody_waits_meanwhile(client, world):
    """The status answers while as many statements run as may; when the clients go, so do the sandboxes."""
    body = orjson.dumps({"sql": "SELECT count(*) FROM range(1000000000000) r WHERE hash(r.range) = 1", "seconds": 500})
    head = f"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    lines = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(2)]
    for line in lines:
        line.sendall(head.encode() + body)
    watched = lambda: sum(thread.name == "sandbox" for thread in threading.enumerate())  # noqa: E731
    until(lambda: watched() == 2)
    assert client.get("/status").status_code == 200
    assert watched() == 2
    for line in lines:
        line.close()
    until(lambda: watched() == 0)


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_an_archive_the_routes_say_so(tmp_path):
    with World(tmp_path).serving() as served:
        reply = httpx.get(f"{served.base}/api/v1/archive/search", timeout=60)
        assert reply.status_code == 503 and "no archive" in reply.json()["detail"]


def test_damaged_files_are_told(library, archive):
    from tocsin.model.asking import Patience, Search

    plain = archive._look
    archive._look = lambda *given: type(plain(*given))(plain(*given).files, plain(*given).tail, 0, [archive.files[0]])
    try:
        answer = library.search(Search(limit=1), Patience())
    finally:
        archive._look = plain
    assert answer.plan.damaged == 1 and "incomplete" in answer.notes[-1]
