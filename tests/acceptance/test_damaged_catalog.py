"""A real node whose archive's catalogue is damaged: it takes in and answers, says that history is delayed, and has all of it when the catalogue was made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .node_world import last_json, ndjson, reading, running, tocsin, write_city
from .test_archive import archived, of_the_journal


@pytest.mark.crash
def test_a_node_with_a_damaged_catalogue(tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    catalog = data / "archive" / "catalog.db"
    with running(city, data) as node:
        assert node.post_until_taken(ndjson(*(reading(f"a-{row}", f"s{row}", 10, 100 * row) for row in range(5)))).status_code == 202
        node.eventually("it is in the archive", lambda: len(archived(data)) == 5)
    assert tocsin("archive", "compact", city, "--data", data).returncode == 0, "the tail becomes a file"
    catalog.write_bytes(b"")
    with running(city, data) as node:
        node.eventually("history is delayed", lambda: "is damaged" in node.get("/api/v1/status")["archive"]["words"])
        assert str(catalog) in node.get("/api/v1/status")["archive"]["words"]
        assert node.post_until_taken(ndjson(*(reading(f"b-{row}", f"s{row}", 10, 100 * row) for row in range(5)))).status_code == 202
        known = node.eventually("events go on", lambda: len(found := of_the_journal(node)) == 10 and found)
        refused = tocsin("archive", "rebuild", city, "--data", data)
        assert refused.returncode == 2, refused.stdout
    assert last_json(tocsin("archive", "rebuild", city, "--data", data, "--json"))["rows"] == 5
    with running(city, data) as node:
        node.eventually("all of it in the archive", lambda: archived(data) == known)
        node.eventually("said so", lambda: node.get("/api/v1/status")["archive"]["state"] == "kept")
