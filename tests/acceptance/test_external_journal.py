"""The same node on a NATS server that it does not run itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tocsin.journal.server import EmbeddedServer

from .node_world import ndjson, reading, running, write_city


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
