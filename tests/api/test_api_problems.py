"""RFC 9457 for everything that goes wrong, also where the framework speaks."""

import logging

import httpx
import pytest
from api_world import World

MEMBERS = {"type", "title", "status", "detail", "instance"}


def problem(reply, status):
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    body = reply.json()
    assert body.keys() >= MEMBERS
    assert body["status"] == status
    assert body["title"]
    assert body["detail"].endswith((".", "soon", ")")) or status in (422, 503)
    assert body["instance"] == reply.request.url.path
    return body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/events", 404),
        ("POST", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/alerts", 405),
        ("POST", "/api/v1/status", 405),
        ("PUT", "/metrics", 405),
        ("GET", "/api/v1/alerts/x/transitions", 405),
        ("GET", "/tiles/none.pmtiles", 404),
        ("GET", "/tiles/none.png", 404),
        ("GET", "/api/v1/events?limit=0", 422),
    ],
)
def test_of_the_framework(client, method, path, status):
    reply = client.request(method, path)
    body = problem(reply, status)
    if status == 405:
        assert reply.headers["allow"]
        assert reply.headers["allow"].split(",")[0] in body["detail"]


def test_broken_json(client, raised):
    reply = client.post(f"/api/v1/alerts/{raised}/transitions", content=b'{"to": "open",', headers={"content-type": "application/json"})
    (error,) = problem(reply, 422)["errors"]
    assert (error["parameter"], error["found"]) == ("body", "character 14")
    reply = client.post(f"/api/v1/alerts/{raised}/transitions", content=b"\xff\xfe", headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    problem(reply, reply.status_code)


def test_a_defect_is_logged_with_a_number_and_says_nothing_of_the_inside(tmp_path, caplog):
    with World(tmp_path).serving() as world:

        def broken(*_):
            raise RuntimeError("secret inside")

        world.services.alerts.counts = broken
        with caplog.at_level(logging.ERROR, logger="tocsin.api.problem"), httpx.Client(base_url=world.base, timeout=60) as client:
            reply = client.get("/api/v1/status")
            assert client.get("/healthz").status_code == 200  # and goes on
        body = problem(reply, 500)
        assert "secret" not in reply.text
        assert body["number"] in body["detail"]
        (record,) = [record for record in caplog.records if body["number"] in record.getMessage()]
        assert "secret inside" in str(record.exc_info[1])
        assert reply.headers["content-security-policy"]
        assert 'route="/api/v1/status",status="500"' in world.app.meter.text()


def test_long_finds_are_shortened(client):
    (error,) = problem(client.get("/api/v1/events", params={"bbox": "9" * 5000}), 422)["errors"]
    assert len(error["found"]) < 100
