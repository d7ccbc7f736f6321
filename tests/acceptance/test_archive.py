"""History on a real node: everything acknowledged is in the archive once, whatever is killed; damage is found and fetched from the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.archive.catalog import Catalog
from tocsin.archive.holdings import Archive
from tocsin.archive.parquet import loaded, read
from tocsin.model.archive import Want

from .node_world import Node, last_json, ndjson, reading, running, tocsin, write_city

BATCHES = 12


def archived(data: Path) -> dict[str, int]:
    """id -> seq of everything in the archive; fails on a double."""
    archive = Archive(data / "archive")
    with archive.look(Want()) as look:
        tables = [loaded(read(file.path)) for file in look.files] + [look.tail]
        found = [pair for table in tables for pair in zip(table.column("id").to_pylist(), table.column("seq").to_pylist(), strict=True)]
    archive.close()
    assert len(found) == len(dict(found))
    return dict(found)


def of_the_journal(node: Node) -> dict[str, int]:
    return {item["id"]: item["seq"] for item in node.get("/api/v1/events", limit=1000)["items"]}


@pytest.mark.crash
def test_history_of_a_node(tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    with running(city, data) as node:
        for number in range(BATCHES):
            records = [reading(f"{number}-{row}", f"s{row}", 10, 100 * row) for row in range(5)]
            assert node.post_until_taken(ndjson(*records)).status_code == 202
            if number % 4 == 1:
                node.eventually("keep runs", lambda: node.child("keep"))
                node.kill("keep")
        known = node.eventually("all of it in the archive", lambda: len(archived(data)) == 5 * BATCHES and archived(data))
        assert known == of_the_journal(node)
        node.eventually("said so", lambda: (found := node.get("/api/v1/status")["archive"])["state"] == "kept" and found["rows"] == 60)
    assert last_json(tocsin("archive", "compact", city, "--data", data, "--json"))["tail_rows"] == 0
    catalog = Catalog(data / "archive", write=False)
    victim = catalog.files("tier = 'day'")[0].file
    catalog.close()
    body = bytearray(victim.path.read_bytes())
    body[len(body) // 3] ^= 1
    victim.path.write_bytes(body)
    found = tocsin("archive", "verify", city, "--data", data, "--json")
    assert (found.returncode, list(last_json(found)["damaged"])) == (1, [str(victim.path.relative_to(data / "archive"))])
    assert len(archived(data)) == 60 - victim.rows
    mended = tocsin("archive", "verify", city, "--data", data, "--repair", "--json")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert last_json(mended)["repaired"] == [{"stream": victim.stream, "rows": victim.rows, "fetched": victim.rows, "words": ""}]
    assert archived(data) == known
