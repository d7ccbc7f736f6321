"""What a web page elsewhere cannot do to this machine: name rebinding, cross-site requests, large bodies, foreign frames."""

import socket

import httpx
import pytest
from api_world import World

PROBLEM = "application/problem+json"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LOCALHOST:{port}"])
def test_our_names(world, client, host):
    assert client.get("/healthz", headers={"host": host.format(port=world.port)}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example:{port}",
        "localhost:{port}@evil",
        "",
        "localhost:{port}, x",
    ],
)
def test_rebound_names_are_refused(world, client, host):
    for path in ("/healthz", "/api/v1/status", "/", "/api/v1/stream"):
        reply = client.get(path, headers={"host": host.format(port=world.port)})
        assert (reply.status_code, reply.headers["content-type"]) == (421, PROBLEM)
        assert reply.json()["type"] == "urn:tocsin:problem:wrong-host"


def raw(world, text):
    with socket.create_connection(("127.0.0.1", world.port), timeout=60) as connection:
        connection.sendall(text.replace("\n", "\r\n").format(port=world.port).encode())
        reply = b""
        while chunk := connection.recv(65536):
            reply += chunk
        return reply.decode()


def test_no_host_and_two_hosts_are_refused(world):
    assert raw(world, "GET /healthz HTTP/1.0\n\n").startswith("HTTP/1.1 421 ")
    assert raw(world, "GET /healthz HTTP/1.1\nHost: 127.0.0.1:{port}\nHost: evil.example\n\n").startswith("HTTP/1.1 421 ")


def test_configured_names(tmp_path):
    with World(tmp_path, hosts=("Node.example", "other.example:8443")).serving() as world:
        answers = {
            host: httpx.get(world.base + "/healthz", headers={"host": host}, timeout=60).status_code
            for host in ("node.example", "node.example:1234", "other.example:8443", "other.example", "localhost")
        }
    assert answers == {"node.example": 200, "node.example:1234": 200, "other.example:8443": 200, "other.example": 421, "localhost": 421}


STEP = {"to": "acknowledged", "by": "me"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "https://evil.example:{port}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:{port}"},
    ],
)
def test_a_page_of_another_site_changes_nothing(world, client, raised, headers):
    world.quarantine.put("q1")
    headers = {key: value.format(port=world.port) for key, value in headers.items()}
    for path, body in ((f"/api/v1/alerts/{raised}/transitions", STEP), ("/api/v1/quarantine/q1/retry", None)):
        reply = client.post(path, json=body, headers=headers)
        assert (reply.status_code, reply.json()["type"]) == (403, "urn:tocsin:problem:cross-site")
    assert world.alerts.view.get(raised)["state"] == "open"
    assert world.quarantine.entries["q1"].state == "waiting"


@pytest.mark.parametrize("site", [None, "same-origin", "none"])
def test_our_own_page_and_a_script_may(world, client, raised, site):
    headers = {"origin": world.base, "sec-fetch-site": site} if site else {}
    assert client.post(f"/api/v1/alerts/{raised}/transitions", json=STEP, headers=headers).status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
def test_what_a_form_can_send_is_not_json(world, client, raised, kind):
    reply = client.post(f"/api/v1/alerts/{raised}/transitions", content=b'{"to":"acknowledged","by":"x"}', headers={"content-type": kind})
    assert (reply.status_code, reply.headers["content-type"]) == (415, PROBLEM)
    assert world.alerts.view.get(raised)["state"] == "open"


def test_large_bodies(client, raised):
    path = f"/api/v1/alerts/{raised}/transitions"
    announced = client.post(path, content=b" " * (2 << 20), headers={"content-type": "application/json"})
    counted = client.post(path, content=(b" " * 65536 for _ in range(32)), headers={"content-type": "application/json"})
    for reply in (announced, counted):
        assert (reply.status_code, reply.headers["content-type"]) == (413, PROBLEM)
        assert reply.json()["status"] == 413
    long_note = client.post(path, json={**STEP, "note": "x" * 5000})
    assert long_note.status_code == 422
    assert long_note.json()["errors"][0]["parameter"] == "note"


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/nowhere/at.all", "/metrics", "/api/v1/events?limit=x"])
def test_headers_on_every_reply(client, path):
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["worker-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("//" in value or "*" in value or "unsafe" in value for value in policy.values())
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_preflight_is_not_answered(client):
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    reply = client.options("/api/v1/alerts/x/transitions", headers=headers)
    assert reply.status_code == 405
    assert not any(name.startswith("access-control") for name in reply.headers)
