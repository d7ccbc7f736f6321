"""The same node on a NATS server that it does not run itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.nats_cluster import NatsCluster
from tocsin.app.node import external
from tocsin.journal.endpoint import Endpoint
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.fault import Misconfigured

from .node_world import CITY, ndjson, reading, running, tocsin, write_city


@pytest.mark.crash
async def test_a_node_uses_an_external_journal_by_url(tmp_path: Path) -> None:
    """An operator's own server, with its own credentials: events, alerts and a restart of the node on the same journal."""
    import asyncio

    def session(url: str, data: Path, wanted: int) -> int:
        with running(write_city(tmp_path / data.name / "city"), data, "--journal", url) as node:
            number = 10 * wanted
            node.post_until_taken(
                ndjson(
                    reading(number, f"a{number}", 200, east=900.0 * wanted),
                    reading(number + 1, f"b{number}", 300, east=900.0 * wanted + 60),
                )
            )
            found = len(node.alerts(wanted, rule="second-sensor"))
            time.sleep(1.2)
            return found

    async with EmbeddedServer(tmp_path / "server", 0) as server:
        endpoint = server.endpoint
        url = endpoint.url.replace("nats://", f"nats://{endpoint.user}:{endpoint.password}@")
        assert await asyncio.to_thread(session, url, tmp_path / "one", 1) == 1
        assert await asyncio.to_thread(session, url, tmp_path / "two", 2) == 2


@pytest.mark.crash
def test_a_node_on_a_cluster_goes_on_when_one_of_three_servers_is_killed(tmp_path: Path) -> None:
    """`journal: {replicas: 3}`: what was acknowledged before a server went, and what is sent after, make one alert."""
    city = write_city(tmp_path / "city")
    (city / "city.yaml").write_text(CITY + "journal: {replicas: 3}\n")
    with NatsCluster(tmp_path / "nats") as cluster, running(city, tmp_path / "data", "--journal", cluster.url) as node:
        node.post_until_taken(ndjson(reading(1, "a", 200)))
        cluster.kill(0)
        node.post_until_taken(ndjson(reading(2, "b", 300, east=60.0)))
        (alert,) = node.alerts(1, rule="second-sensor")
        assert alert["sources"] == 2


def test_copies_need_a_cluster(tmp_path: Path) -> None:
    city = write_city(tmp_path / "city")
    (city / "city.yaml").write_text(CITY + "journal: {replicas: 3}\n")
    done = tocsin("run", city, "--port", "0", "--ingest-port", "0", "--mqtt-port", "0")
    assert done.returncode == 1
    assert "journal.replicas: 3 copies need a NATS cluster of as many servers; name it with --journal URL" in done.stderr


def test_a_cluster_is_named_by_its_servers() -> None:
    several = external("nats://me:a,b@one:4222, nats://two,tls://[::1]:4333")
    assert several == Endpoint("nats://one:4222,nats://two:4222,tls://[::1]:4333", "me", "a,b")
    assert external("nats://one") == Endpoint("nats://one:4222")
    for wrong in ("http://one", "nats://one:port", "nats://one,nats://", "nats://a:b@one,nats://c:d@two"):
        with pytest.raises(Misconfigured):
            external(wrong)
