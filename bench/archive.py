"""The archive measured: size by tier and class, bulk import all in, memory; and whatever `bench/archive_*.py` registers besides.

`python -m bench.archive --quick` (10 M rows), `--rows 500e6` for the committed run; `--json` prints one object last with `rows` and `summary`. The import goes through
the very code of `tocsin archive import` from Parquet files; making the data is not counted. Rates are rows per second of processor time of this process.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench import archive_data
from tocsin.archive.catalog import Catalog
from tocsin.archive.columns import rows
from tocsin.archive.compact import compact
from tocsin.archive.importing import Importer
from tocsin.archive.rollup import STEPS
from tocsin.model.archive import ROW

#: Other parts: module -> what it is. Each has `measure(context: Context) -> tuple[list[dict], dict]`: lines of the table, and keys of the summary.
PARTS = {"bench.archive_queries": "questions", "bench.archive_backtest": "back-test"}
#: Class of every feed, as its declaration would give it.
CLASSES = {**dict.fromkeys(archive_data.NETWORKS, 1), **dict.fromkeys(archive_data.FLEETS, 2), **dict.fromkeys(archive_data.DESKS, 0)}
SUMMARY = ("bytes_per_row", "import_rows_per_s_core", "incident_p95_ms", "backtest_events_per_s_core")


@dataclass(slots=True)
class Context:
    """`folder`: the archive, filled. `days`: of the made-up city in it, from `archive_data.FIRST`. `say`: progress."""

    folder: Path
    days: int
    rows: int
    quick: bool
    say: Callable[[str], None]
    lines: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fill(folder: Path, wanted: int, recent_days: int) -> tuple[Context, float, float]:
    """Makes day after day and imports it. The newest `recent_days` stay in the day tier, as in a node that runs. Returns processor seconds of taking in
    and of joining."""
    made = archive_data.city()
    importer = Importer(folder, CLASSES)
    took, number, total = 0.0, 0, 0
    while total < wanted:
        whole = archive_data.day(made, number)
        source = folder.parent / "day.parquet"
        pq.write_table(whole, source, row_group_size=1 << 20)
        began = time.process_time()
        taken = importer.begin("day", source)
        with pq.ParquetFile(source, read_dictionary=["feed", "kind", "source"]) as found:
            for part in range(found.metadata.num_row_groups):
                importer.add(taken, _by_feed(found.read_row_group(part), taken.began))
        importer.finish(taken)
        took += time.process_time() - began
        total += taken.rows
        number += 1
        say(f"  day {number}: {total:,} of {wanted:,.0f} rows, {total / took:,.0f} rows/s of processor time taken in")
    began = time.process_time()
    now = archive_data.FIRST + (number + 40 + 31 - recent_days) * archive_data.DAY
    compact(importer.catalog, now, lambda what, share: say(f"  {share:4.0%} {what}"))
    joined = time.process_time() - began
    importer.close()
    return Context(folder, number, total, False, say), took, joined


def _by_feed(table: Any, learnt: int) -> Any:
    """Rows of all feeds: what an import of each feed's own file would give, in one go."""
    names = table.column("feed").combine_chunks()
    made, refused = rows(table.drop_columns(["feed"]), "any", learnt, ())
    if refused or len(made) != len(table):
        raise SystemExit(f"the made-up rows were refused: {refused}")
    return made.set_column(made.schema.get_field_index("feed"), "feed", names.cast(ROW.field("feed").type))


def sizes(context: Context, took: float, joined: float) -> None:
    catalog = Catalog(context.folder, write=False)
    files = [one.file for one in catalog.files()]
    raw = [one for one in files if one.tier not in STEPS]
    for tier in ("day", "month", "hourly", "daily"):
        for stream in ("events", "readings", "positions"):
            mine = [one for one in files if (one.tier, one.stream) == (tier, stream)]
            if count := sum(one.rows for one in mine):
                size = sum(one.size for one in mine)
                context.lines.append(
                    {
                        "part": "size",
                        "tier": tier,
                        "class": stream,
                        "files": len(mine),
                        "rows": count,
                        "bytes": size,
                        "bytes_per_row": round(size / count, 2),
                    }
                )
    total, rollups = sum(one.size for one in raw), sum(one.size for one in files if one.tier in STEPS)
    context.summary |= {
        "bytes_per_row": round(total / context.rows, 2),
        "rollup_bytes_per_row": round(rollups / context.rows, 2),
        "import_rows_per_s_core": round(context.rows / (took + joined)),
        "taken_in_rows_per_s_core": round(context.rows / took),
        "joined_rows_per_s_core": round(context.rows / joined) if joined else None,
        "max_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    catalog.close()


def others(context: Context, only: list[str]) -> None:
    """Parts of other modules; one that is not there, or fails, is said to be so."""
    for name, words in PARTS.items():
        if only and words not in only:
            continue
        try:
            measure = importlib.import_module(name).measure
        except (ImportError, AttributeError) as fault:
            context.say(f"{words}: not measured ({fault})")
            continue
        lines, summary = measure(context)
        context.lines += lines
        context.summary |= summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 M rows")
    parser.add_argument("--rows", type=float, default=None, help="as in 500e6")
    parser.add_argument(
        "--day-tier", type=int, default=None, metavar="DAYS", help="newest days that stay day files (default: none when quick, else 35)"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="make the archive here and keep it; one that is there is measured as it is"
    )
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="size, questions, back-test; repeatable")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    wanted = arguments.rows or (10e6 if arguments.quick else 100e6)
    recent = arguments.day_tier if arguments.day_tier is not None else (0 if wanted < 100e6 else 35)
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="archive-bench-"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        if (root / "archive" / "catalog.db").exists():
            context = there(root / "archive")
        else:
            context, took, joined = fill(root / "archive", int(wanted), recent)
            sizes(context, took, joined)
        context.quick = arguments.quick
        others(context, arguments.only)
    finally:
        if arguments.folder is None:
            shutil.rmtree(root)
    for line in context.lines:
        say("  ".join(f"{key} {value}" for key, value in line.items()))
    told = {name: context.summary.get(name) for name in SUMMARY} | context.summary
    say("\n".join(f"{name}: {value}" for name, value in told.items()))
    if arguments.json:
        print(json.dumps({"rows": context.lines, "summary": told, "events": context.rows, "cpus": os.cpu_count(), "load": os.getloadavg()}))
    return 0


def there(folder: Path) -> Context:
    """An archive that an earlier run has kept."""
    catalog = Catalog(folder, write=False)
    total = sum(one.file.rows for one in catalog.files() if one.file.tier not in STEPS)
    days = max(one.file.stop for one in catalog.files()) - archive_data.FIRST
    catalog.close()
    return Context(folder, int(days // archive_data.DAY) + 1, total, False, say)


if __name__ == "__main__":
    sys.exit(main())
