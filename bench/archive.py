"""The archive measured: size by tier and class, bulk import all in, questions cold and warm beside other engines, back-tests.

`python -m bench.archive --quick` (10 M rows of three and a bit days round the end of a month), `--rows 500e6` for a committed run; `--json` prints one object last
with `rows` and `summary`. The import goes through the very code of `tocsin archive import`, from Parquet files; making those is not counted. Rates are rows per
second of processor time of the process that does it, with all its threads.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import archive_data
from bench.archive_fill import FLAT, Wanted, fill, free_enough, summary_of
from bench.fresh import in_fresh
from bench.machine import machine
from tocsin.archive.catalog import Catalog
from tocsin.archive.rollup import STEPS

#: Parts: words -> module with `measure(context: Context) -> tuple[list[dict], dict]`: lines of the table, and keys of the summary.
PARTS = {"questions": "bench.archive_queries", "peers": "bench.archive_peers", "back-test": "bench.archive_backtest"}
SUMMARY = ("bytes_per_row", "import_rows_per_s_core", "incident_p95_ms", "backtest_events_per_s_core")
#: What issue and design aim at: (key of the summary, the least or most, which).
AIMS = (("bytes_per_row", 12, "most"), ("import_rows_per_s_core", 400_000, "least"), ("incident_p95_ms", 40, "most"), ("backtest_events_per_s_core", 5_000_000, "least"))  # fmt: skip
FILLED = "filled.json"  # what filling the archive cost: for later runs on the same folder
QUICK = Wanted(10_000_000, first=29, now=31 + 35)  # the last two days of January as month files, what follows as day files


@dataclass(slots=True)
class Context:
    """`folder`: the archive, filled; beside it lie `one.parquet` and what parts need. `asked`, `asked_of_a_day`: the questions with their draws and our
    answers, once they were asked. `say`: progress."""

    folder: Path
    rows: int
    quick: bool
    threads: int
    peers: tuple[str, ...]
    say: Callable[[str], None]
    lines: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    asked_of_a_day: list[dict[str, Any]] = field(default_factory=list)

    @property
    def flat(self) -> Path:
        return self.folder.parent / FLAT


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def wanted_of(arguments: argparse.Namespace) -> Wanted:
    """Up to 70 days, all months but the last begun are joined to month files; beyond that the product's own 35 days decide."""
    flat = bool(arguments.peers)
    if arguments.rows is None:
        return Wanted(QUICK.rows, QUICK.first, QUICK.now, flat)
    rows = int(arguments.rows)
    first = 11 if rows <= 110_000_000 else 0
    days = first + -(-rows // 3_100_000)
    return Wanted(rows, first, days + 35 if days <= 70 else None, flat)


def sizes(context: Context) -> None:
    """Lines of files and bytes by tier and class."""
    catalog = Catalog(context.folder, write=False)
    files = [one.file for one in catalog.files()]
    catalog.close()
    for tier in ("day", "month", "hourly", "daily"):
        for stream in ("events", "readings", "positions"):
            mine = [one for one in files if (one.tier, one.stream) == (tier, stream)]
            if count := sum(one.rows for one in mine):
                size = sum(one.size for one in mine)
                context.lines.append(
                    {"part": "size", "tier": tier, "class": stream, "files": len(mine), "rows": count, "bytes": size, "bytes_per_row": round(size / count, 2)}
                )  # fmt: skip
    context.rows = sum(one.rows for one in files if one.tier not in STEPS)
    total, rollups = (sum(one.size for one in files if (one.tier in STEPS) == rolled) for rolled in (False, True))
    context.summary |= {"bytes_per_row": round(total / context.rows, 2), "rollup_bytes_per_row": round(rollups / context.rows, 2)}
    if context.flat.exists():
        context.summary["one_file_bytes_per_row"] = round(context.flat.stat().st_size / context.rows, 2)


def others(context: Context, only: list[str]) -> None:
    """The parts of other modules; one that fails is a line that says so, and the program's exit status."""
    for words, module in PARTS.items():
        if only and words not in only:
            continue
        began = time.perf_counter()
        lines, summary = importlib.import_module(module).measure(context)
        context.lines += lines
        context.summary |= summary
        say(f"{words}: {time.perf_counter() - began:.0f} s")


def arguments_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="10 M rows (what is done without --rows, too)")
    parser.add_argument("--rows", type=float, default=None, help="as in 500e6")
    parser.add_argument(
        "--folder", type=Path, default=None, help="make the archive here and keep it; one that is there is measured as it is"
    )
    parser.add_argument("--only", action="append", default=[], choices=("size", *PARTS), help="repeatable")
    parser.add_argument("--peers", default="duckdb,chdb,polars,spark,postgis", help="engines to ask as well; empty: none")
    parser.add_argument("--threads", type=int, default=2, help="that every engine may use for a question")
    parser.add_argument("--json", action="store_true", help="print one object at the end")
    return parser.parse_args()


def main() -> int:
    arguments = arguments_of()
    wanted, at_start = wanted_of(arguments), machine()
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="tocsin-archive-bench-"))
    began = time.perf_counter()
    try:
        root.mkdir(parents=True, exist_ok=True)
        peers = tuple(name for name in arguments.peers.split(",") if name)
        context = Context(root / "archive", wanted.rows, arguments.rows is None, arguments.threads, peers, say)
        if not (root / "archive" / "catalog.db").exists():
            if why := free_enough(root, wanted):
                raise SystemExit(why)
            done, peak = in_fresh(fill, root, wanted, say)
            (root / FILLED).write_text(json.dumps({**summary_of(done), "import_rss_mb": peak}))
        if (root / FILLED).exists():
            context.summary |= json.loads((root / FILLED).read_text())
        sizes(context)
        others(context, arguments.only)
    finally:
        if arguments.folder is None:
            shutil.rmtree(root, ignore_errors=True)
    return tell(context, at_start, time.perf_counter() - began, as_json=arguments.json)


def tell(context: Context, at_start: dict[str, Any], seconds: float, *, as_json: bool) -> int:
    for line in context.lines:
        say("  ".join(f"{key} {value}" for key, value in line.items() if value is not None))
    told: dict[str, Any] = {name: context.summary.get(name) for name in SUMMARY} | context.summary
    told["missed"] = [
        name
        for name, bound, which in AIMS
        if told.get(name) is not None and (told[name] > bound if which == "most" else told[name] < bound)
    ]
    say("\n".join(f"{name}: {value}" for name, value in told.items()))
    if as_json:
        whole = {
            "rows": context.lines,
            "summary": told,
            "events": context.rows,
            "first_day": archive_data.FIRST,
            "wall_s": round(seconds),
            "machine": at_start,
        }
        print(json.dumps(whole))
    return 1 if any(line.get("same_answers") is False for line in context.lines) else 0


if __name__ == "__main__":
    sys.exit(main())
