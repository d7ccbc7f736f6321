"""The access function: who is let in, and that no route is without it."""

import socket
from types import SimpleNamespace

import httpx
import pytest
from api_world import World
from fastapi.routing import APIRoute

from tocsin.accountability.access import authorize, is_loopback
from tocsin.api.doors import Access, known_parameters
from tocsin.model.access import Actor, Decision

#: Routes that anyone who can connect may use: they show no data. A new one must be argued for here.
OPEN = {"/healthz", "/readyz", "/{path:path}"}
#: Questions that are too long for an address: they change nothing.
ASKED = {"/api/v1/query"}


@pytest.mark.parametrize(
    ("address", "yes"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::1%lo", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("128.0.0.1", False),
        ("localhost", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_loopback(address, yes):
    assert is_loopback(address) is yes
    decision = authorize(Actor("a", address), "read", "alerts/1", "operations")
    assert decision.allowed is yes
    assert decision.reason


def test_default_deny():
    here = Actor("me", "127.0.0.1")
    assert authorize(here, "read", "x", "operations").allowed
    assert "is not an action; known: read, change" in authorize(here, "own", "x", "operations").reason
    assert "no purpose" in authorize(here, "read", "x", "").reason
    assert "proxy" in authorize(Actor("me", "127.0.0.1", relayed=True), "read", "x", "operations").reason
    assert not any(authorize(*question).allowed for question in ((here, "own", "x", "y"), (here, "read", "x", "")))


def test_every_route_asks_first(tmp_path):
    routes = World(tmp_path).app.routes
    assert all(isinstance(route, APIRoute) for route in routes), [route for route in routes if not isinstance(route, APIRoute)]
    calls = {(route.path, method): [one.call for one in route.dependant.dependencies] for route in routes for method in route.methods}
    without = {path for (path, _), found in calls.items() if not any(isinstance(call, Access) for call in found)}
    assert without == OPEN
    for (path, method), found in calls.items():
        if path in OPEN:
            continue
        assert isinstance(found[0], Access), f"{path} does something before it asks"
        assert known_parameters in found
        assert found[0].action == ("read" if method in ("GET", "HEAD") or path in ASKED else "change"), path
    assert len(calls) > 20


def test_the_resource_is_named_with_its_id():
    access = Access(None, "read", "alerts", "operations")
    assert access.named(SimpleNamespace(path_params={"alert": "3f2a"})) == "alerts/3f2a"
    assert access.named(SimpleNamespace(path_params={})) == "alerts"


def test_a_denial_stops_every_route(tmp_path):
    asked = []

    def nobody(actor, action, resource, purpose):
        asked.append((actor.address, action, resource, purpose))
        return Decision(False, "closed for the night")

    with World(tmp_path, authorize=nobody).serving() as world:
        world.quarantine.put("q1")
        for route in world.app.routes:
            if route.path in OPEN:
                continue
            path = route.path.replace(":path}", "}").format(
                seq=1,
                alert="a",
                record="q1",
                name="n",
                rule="r",
                replay="p",
                exercise="e",
                run="x",
                job="j",
                feed="f",
                source="s",
                z=1,
                x=1,
                y=1,
            )
            for method in route.methods:
                reply = httpx.request(method, world.base + path, headers={"content-type": "application/json"}, timeout=60)
                assert reply.status_code == 403, (method, path)
                if method != "HEAD":
                    assert reply.json()["detail"] == "closed for the night"
                    assert reply.headers["content-type"] == "application/problem+json"
        assert ("127.0.0.1", "change", "quarantine/q1", "operations") in asked
        assert ("127.0.0.1", "read", "metrics", "monitoring") in asked
        assert world.quarantine.entries["q1"].state == "waiting"
        assert httpx.get(world.base + "/healthz", timeout=60).status_code == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_whoever_comes_through_a_proxy_is_not_this_machine(client, name):
    reply = client.get("/api/v1/status", headers={name: "127.0.0.1"})
    assert (reply.status_code, reply.json()["type"]) == (403, "urn:tocsin:problem:denied")
    assert "proxy" in reply.json()["detail"]


def test_another_address_of_this_machine_is_denied(tmp_path):
    """A peer that is not loopback, for real: the machine's own outside address, where it has one."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
    except OSError:
        address = "127.0.0.1"  # no network at all: then loopback is all there is, and it is allowed
    finally:
        probe.close()
    with World(tmp_path, hosts=(address,)).serving(host="0.0.0.0") as world:
        reply = httpx.get(f"http://{address}:{world.port}/api/v1/status", timeout=60)
        assert reply.status_code == (200 if is_loopback(address) else 403)
