"""What is in the archive, in numbers."""

from __future__ import annotations

from typing import Any

from tocsin.model.time import to_iso

from .catalog import Catalog


def stock(catalog: Catalog) -> dict[str, int]:
    """Rows and bytes that readers see, rows of them in the hot tail, files, damaged files, files that wait to be removed, holes in the journal."""
    ask = catalog.connection.execute
    raw = "tier IN ('day', 'month') AND gone IS NULL"
    rows, files = ask(f"SELECT coalesce(sum(rows), 0), count(*) FROM file WHERE {raw} AND damaged IS NULL").fetchone()  # noqa: S608
    tail = ask("SELECT coalesce(sum(rows), 0) FROM batch").fetchone()[0]
    size = ask("SELECT coalesce(sum(size), 0) FROM file WHERE gone IS NULL").fetchone()[0]
    damaged = ask("SELECT count(*) FROM file WHERE gone IS NULL AND damaged IS NOT NULL").fetchone()[0]
    waiting = ask("SELECT count(*) FROM file WHERE gone IS NOT NULL").fetchone()[0]
    holes = ask("SELECT coalesce(sum(last - first + 1), 0) FROM hole").fetchone()[0]
    return {
        "rows": rows + tail, "tail_rows": tail, "files": files, "bytes": size, "damaged_files": damaged, "waiting_files": waiting, "holes": holes,
    }  # fmt: skip


def tiers(catalog: Catalog) -> list[dict[str, Any]]:
    """Files, rows, bytes and span of each class and tier."""
    found = catalog.connection.execute(
        "SELECT class, tier, count(*), sum(rows), sum(size), min(start), max(stop) FROM file WHERE gone IS NULL GROUP BY class, tier"
    )
    return [
        {"class": stream, "tier": tier, "files": files, "rows": rows, "bytes": size, "from": to_iso(start), "to": to_iso(stop)}
        for stream, tier, files, rows, size, start, stop in found
    ]
