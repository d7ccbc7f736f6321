"""The page of an archive measurement: `python -m bench.archive_report RESULT.json` writes RESULT.md beside it.

RESULT.json is what `python -m bench.archive --json` printed. Words of the page that a person wrote, below the line `<!-- by hand -->`, stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.archive import AIMS
from bench.machine import table

BY_HAND = "<!-- by hand -->"


def page(result: dict[str, Any]) -> Iterator[str]:
    machine, told, rows = result["machine"], result["summary"], result["rows"]
    yield f"# The archive, {result['events'] / 1e6:,.0f} M rows, {machine['date']}"
    yield (
        f"`python -m bench.archive`: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}, kernel {machine['kernel']}; load"
        f" {machine['load']} at the start; {result['wall_s']:,} s in all. Milliseconds are wall, `cpu` is processor time of all threads. Warm: 1 process, files in the page"
        " cache. Cold: files out of it, engine opened anew."
    )
    yield "## Against the aims"
    yield table(
        ["figure", "aim", "measured"],
        [[name, f"{'<=' if which == 'most' else '>='} {bound:,}", _shown(told.get(name))] for name, bound, which in AIMS],
    )
    yield "Also: " + "; ".join(
        f"{name} {_shown(value)}" for name, value in told.items() if isinstance(value, int | float) and name not in {one[0] for one in AIMS}
    )
    yield "## Size"
    sizes = [one for one in rows if one["part"] == "size"]
    yield table(
        ["tier", "class", "files", "rows", "B/row"],
        [[one["tier"], one["class"], one["files"], f"{one['rows']:,}", one["bytes_per_row"]] for one in sizes],
    )
    yield "## Questions"
    yield table(
        ["question", "aim p95", "p50", "p95", "cpu p50", "cpu p95", "first", "cold p50", "cold p95", "rows"], list(_questions(rows))
    )
    yield "## Beside other engines"
    yield "Wall p50 ms (cpu p50 ms; how many times our processor time). `same`: every answer is ours, row by row (`bench/archive_questions.py`)."
    yield from _peers(rows)
    yield "## Back-tests"
    tests = [one for one in rows if one["part"] == "back-test"]
    head = ["rule", "rows of the archive", "read", "kept", "alerts", "cpu s", "rows/cpu s", "read/cpu s", "a year at 3 M/day, wall s"]
    yield table(head, [[one["plan"], *(f"{one[name]:,}" for name in ("rows", "read_rows", "kept_rows", "alerts", "cpu_s", "rows_per_cpu_s", "read_rows_per_cpu_s", "year_wall_s"))] for one in tests])  # fmt: skip


def _shown(value: Any) -> str:
    return "not measured" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _questions(rows: list[dict[str, Any]]) -> Iterator[list[object]]:
    for one in rows:
        if one["part"] == "questions" and "warm" in one:
            warm, cold = one["warm"], one.get("cold", {})
            yield [one["question"], one["aim_ms"] or "", warm["p50_ms"], warm["p95_ms"], warm["cpu_p50_ms"], warm["cpu_p95_ms"], one["first_ms"], cold.get("p50_ms", ""), cold.get("p95_ms", ""), warm["rows"]]  # fmt: skip


def _peers(rows: list[dict[str, Any]]) -> Iterator[str]:
    lines = [one for one in rows if one["part"] == "peers"]
    for one in lines:
        if "question" not in one:
            words = (
                f"not measured: {one['not_measured']}"
                if "not_measured" in one
                else f"{one['version']}; {one['note']}; ready in {one['ready_s']} s, {one['peak_mb']:,} MB at most"
            )
            yield f"- **{one['engine']}**: {words}"
    asked = [one for one in lines if "question" in one]
    engines = list(dict.fromkeys(one["engine"] for one in asked))
    cells = {(one["question"], one["engine"]): one for one in asked}
    found = []
    for question in dict.fromkeys(one["question"] for one in asked):
        there = [cells.get((question, engine)) for engine in engines]
        found.append([question, *(_cell(one) for one in there)])
    if found:
        yield table(["question", *engines], found)


def _cell(one: dict[str, Any] | None) -> str:
    if one is None:
        return ""
    same = "same" if one["same_answers"] else "DIFFERS"
    return f"{one['warm']['p50_ms']} ({one['warm']['cpu_p50_ms']}; {one['times_our_cpu']}x) {same}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.archive_report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path, help="what `bench.archive --json` printed last")
    source: Path = parser.parse_args().result
    target = source.with_suffix(".md")
    by_hand = target.read_text().partition(BY_HAND)[2] if target.exists() else "\n"
    text = "\n\n".join(page(json.loads(source.read_text()))).replace("\n\n- **", "\n- **")
    target.write_text(f"{text}\n\n{BY_HAND}{by_hand}")


if __name__ == "__main__":
    main()
