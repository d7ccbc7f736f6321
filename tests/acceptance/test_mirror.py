"""A node whose history has a second place: it is brought up to date by itself; a storage server that is away delays the mirror and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from .node_world import CITY, ndjson, reading, running, write_city

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import Swift, environment, make_bucket

from tocsin.archive.mirror.mirrored import Place
from tocsin.archive.parquet import loaded, read
from tocsin.kernel.fault import TocsinError
from tocsin.model.archive import Want


def mirrored(place: Place) -> set[str]:
    """Ids of everything in the mirror; nothing while there is none."""
    try:
        mirror = place.opened()
    except TocsinError:
        return set()
    try:
        with mirror.look(Want()) as look:
            return {
                name for table in [*(loaded(read(file.path)) for file in look.files), look.tail] for name in table.column("id").to_pylist()
            }
    finally:
        mirror.close()


@pytest.mark.crash
def test_the_mirror_of_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Swift()
    try:
        address = server.address("history", "testville")
        make_bucket(address)
        city, data = write_city(tmp_path / "city"), tmp_path / "data"
        (city / "city.yaml").write_text(f"{CITY}\nmirror: {{to: '{address.text}', every: 3 s, grace: 1 s}}\n")
        for name, value in environment().items():
            monkeypatch.setenv(name, value)
        place = Place(address, tmp_path / "cache")
        with running(city, data, env=environment()) as node:

            def archive() -> dict[str, Any]:
                """As keep told of it last; it tells once a second, and not at once when it starts."""
                found: dict[str, Any] = node.get("/api/v1/status")["archive"] or {}
                return found

            def told() -> dict[str, Any]:
                found: dict[str, Any] = archive().get("mirror") or {}
                return found

            records = [reading(f"a{row}", f"s{row}", 10, 100 * row) for row in range(5)]
            assert node.post_until_taken(ndjson(*records)).status_code == 202
            node.eventually("in the mirror", lambda: mirrored(place) == {f"ra{row}" for row in range(5)})
            assert node.eventually("said so", lambda: told().get("published")) and told()["to"] == address.place
            server.kill()
            smoke = [reading(f"b{row}", f"s{row}", 200, 5000) for row in range(2)]
            assert node.post_until_taken(ndjson(*smoke)).status_code == 202
            node.eventually("delayed", lambda: "does not answer as it should" in (told().get("delayed") or ""))
            assert node.alert_near(5000)["rule"] == "second-sensor"
            node.eventually("the archive has it", lambda: archive().get("rows") == 7)
            node.eventually("measured", lambda: "tocsin_keep_mirror_delayed 1" in httpx.get(node.http + "/metrics", timeout=60).text)
            assert "secret" not in httpx.get(node.http + "/metrics", timeout=60).text
            server.start()
            node.eventually("in the mirror", lambda: len(mirrored(place)) == 7)
            node.eventually("goes on", lambda: (now := told()) and now["delayed"] is None and now["failures"] >= 1)
        assert not [path for path in data.rglob("*") if path.is_file() and b"node-secret" in path.read_bytes()]
    finally:
        server.close()
