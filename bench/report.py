"""Rows of bench.hot as tables people read, and as a Markdown page.

    python -m bench.report docs/benchmarks/peers-2026-11-23.json

Pictures that bench.plot has drawn beside the result are put into the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.machine import rate, table

WORDS = {True: "yes", False: "NO", None: "-"}


def without(engine: str, job: str, rules: int, batch: int, reason: str) -> dict[str, Any]:
    """The row of an engine that gave no figures."""
    nothing = dict.fromkeys(("cpu_events_per_s", "wall_events_per_s", "p50_ms", "p99_ms", "answers_equal", "rss_mb", "peak_mb"))
    return {
        "job": job,
        "engine": engine,
        "rules": rules,
        "batch": batch,
        "events": 0,
        "answers": 0,
        "dropped": 0,
        **nothing,
        "note": reason,
    }


def _figure(value: float | None) -> str:
    return "-" if value is None else rate(value)


def _plain(value: Any) -> Any:
    return "-" if value is None else value


def best_rate(row: dict[str, Any]) -> float:
    """The rate a comparison takes: of an engine with a long start-up its marginal one, which leaves the start-up out."""
    return max(row["cpu_events_per_s"] or 0, row.get("marginal_cpu_events_per_s") or 0)


def show(rows: list[dict[str, Any]]) -> str:
    head = ("job", "engine", "rules", "batch", "events", "CPU events/s", "marginal", "wall events/s", "p50 ms", "p99 ms", "answers", "equal",
            "dropped", "MB", "peak MB", "start s", "note")  # fmt: skip
    body = [
        (r["job"], r["engine"], r["rules"], r["batch"], r["events"] or "-", _figure(r["cpu_events_per_s"]), _figure(r.get("marginal_cpu_events_per_s")),
         _figure(r["wall_events_per_s"]), _plain(r["p50_ms"]), _plain(r["p99_ms"]), r["answers"] if r["events"] else "-", WORDS[r["answers_equal"]],
         r["dropped"] if r["events"] else "-", _plain(r["rss_mb"]), _plain(r["peak_mb"]), _plain(r.get("start_s")), r.get("note", ""))
        for r in rows
    ]  # fmt: skip
    return table(head, body)


def line(row: dict[str, Any]) -> str:
    """One row in short, while the run goes on."""
    if not row["events"]:
        return f"{row['engine']} {row['batch']}: {row['note']}"
    return f"{row['engine']} {row['batch']}: {row['events']} events, {rate(best_rate(row))}/s CPU, answers equal: {WORDS[row['answers_equal']]} {row.get('note', '')}"


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as `--json` prints it: the job without what else its name says, `late` whether late events were in it."""
    name, _, note = row["job"].partition(" ")
    kind, _, number = name.rpartition("-")
    return {**row, "job": kind if kind == "mixed" and number.isdigit() else name, "late": note == "(late)"}


def factors(rows: list[dict[str, Any]]) -> str:
    """Ours against the best peer, per job and batch size, on the same events; the start-up of the peers is left out."""
    lines = []
    for r in rows:
        if r["engine"] == "tocsin" and "late" not in r["job"]:
            rivals = [o for o in rows if o["engine"] != "tocsin" and (o["job"], o["batch"]) == (r["job"], r["batch"]) and o["events"]]
            if rivals:
                best = max(rivals, key=best_rate)
                lines.append((r["job"], r["batch"], f"{r['cpu_events_per_s'] / best_rate(best):.1f}x", best["engine"]))
    return table(("job", "batch", "ours against the best peer", "which is"), lines) if lines else ""


def page(told: dict[str, Any], pictures: Mapping[str, str]) -> str:
    """The result as a page of docs/benchmarks. `pictures`: file names, by what they show."""
    here, rows = told["machine"], told["rows"]
    engines = sorted({row["engine"] for row in rows} - {"tocsin"})
    versions = sorted({row["version"] for row in rows if row.get("version")})
    drawn = "\n\n".join(f"![{shown}]({file})" for shown, file in pictures.items())
    return f"""# {here["date"]}: beside {", ".join(engines)}; {here["cores"]} cores

{here["cpu"]}, {here["cores"]} cores, {here["memory_gb"]} GB, Linux {here["kernel"]}, Python {here["python"]}, load {here["load"]} at the start.
`{told["command"]}`, {told["seconds"]} s. {", ".join([*versions, "Polars and DuckDB as in `requirements/bench.lock`"])}.
What is compared, what is not, and what the columns mean: [README](README.md). This page is written by `bench.report`.
{told.get("note", "")}

## Ours against the best peer of each job
{factors(rows)}

{drawn and f"## Rules and density{chr(10)}{drawn}{chr(10)}"}
## All rows
{show(rows)}
"""


_PICTURES: Final = {"rules": "Rules against events per CPU second", "density": "Share of events that pass against events per CPU second"}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path, help="what `bench.hot --json --out` wrote")
    parser.add_argument("page", type=Path, nargs="?", help="default: beside it, with the suffix .md")
    a = parser.parse_args(argv)
    beside = {shown: f"{a.result.stem}-{name}.svg" for name, shown in _PICTURES.items()}
    target = a.page or a.result.with_suffix(".md")
    pictures = {shown: file for shown, file in beside.items() if a.result.with_name(file).exists()}
    target.write_text(page(json.loads(a.result.read_text()), pictures))
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
