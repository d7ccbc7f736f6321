"""Other engines on the archive benchmark's questions: the same draws on the same rows, answers held against ours.

Each is a program of its own (`bench/peers/archive`), so that memory and processor time are its own; chDB and Spark live in environments of their own
(`scripts/bench_peers.sh`). They read `one.parquet`, all rows sorted by event time; chDB takes them into a table of its own kind before. PostGIS is asked for one
day. One that is not here is a line that says why.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import environments, tree

if TYPE_CHECKING:
    from bench.archive import Context

APART = ("chdb", "spark")  # in environments of their own
OF_A_DAY = ("postgis",)
NEEDS = {"duckdb": "duckdb", "polars": "polars", "postgis": "psycopg"}
DRAWS = 6
LIMIT_S = {True: 4.0, False: 60.0}  # seconds of wall that a question may take in all its draws; quick or not
START_S = 1_800.0


def measure(context: Context) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Lines of the table and keys of the summary. Needs what `bench.archive_queries` has put into the context."""
    lines: list[dict[str, Any]] = []
    for name in context.peers:
        asked = context.asked_of_a_day if name in OF_A_DAY else context.asked
        why = (
            missing(name)
            or (None if context.flat.exists() else f"{context.flat.name} was not made")
            or (None if asked else "the questions were not asked")
        )
        lines += [{"part": "peers", "engine": name, "not_measured": why}] if why else compared(context, name, asked)
        for line in lines[-1:]:
            context.say(f"  {name}: {line.get('not_measured', 'asked')}")
    return lines, {"peers": ratios(lines), "peers_same_answers": all(line.get("same_answers", True) for line in lines)}


def missing(name: str) -> str | None:
    """None when an engine can be asked, else why not."""
    if name in APART:
        return environments.missing(name)
    if name not in NEEDS:
        return f"unknown; known: {', '.join((*NEEDS, *APART))}"
    if importlib.util.find_spec(NEEDS[name]) is None:
        return f"needs the package {NEEDS[name]}: pip install --require-hashes -r requirements/{'postgres' if name == 'postgis' else 'bench'}.lock"
    if name == "postgis":
        from bench.peers.archive.postgis_run import missing as server_missing

        return server_missing()
    return None


def compared(context: Context, name: str, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each question; one line when the engine did not get through."""
    folder = context.folder.parent / f"peer-{name}"
    folder.mkdir()
    try:
        result = run(context, name, [one for one in asked if one["peers"]], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if isinstance(result, str):
        return [{"part": "peers", "engine": name, "not_measured": result}]
    ready = {key: result[key] for key in ("version", "note", "ready_s", "peak_mb")}
    lines: list[dict[str, Any]] = [{"part": "peers", "engine": name, **ready}]
    for ours, theirs in zip((one for one in asked if one["peers"]), result["questions"], strict=True):
        count = len(theirs["answers"])
        warm = {
            "p50_ms": round(float(np.percentile(theirs["wall_ms"], 50)), 1), "p95_ms": round(float(np.percentile(theirs["wall_ms"], 95)), 1),
            "cpu_p50_ms": round(float(np.percentile(theirs["cpu_ms"], 50)), 1), "draws": count,
        }  # fmt: skip
        same = theirs["answers"] == ours["answers"][:count]
        line = {
            "part": "peers",
            "engine": name,
            "question": theirs["name"],
            "first_ms": theirs["first_ms"],
            "warm": warm,
            "same_answers": same,
        }
        line["times_our_wall"] = round(warm["p50_ms"] / max(ours["line"]["warm"]["p50_ms"], 0.1), 1)
        line["times_our_cpu"] = round(warm["cpu_p50_ms"] / max(ours["line"]["warm"]["cpu_p50_ms"], 0.1), 1)
        lines.append(line if same else line | {"theirs": theirs["answers"][:3], "ours": ours["answers"][:3]})
    return lines


def run(context: Context, name: str, asked: list[dict[str, Any]], folder: Path) -> dict[str, Any] | str:
    """What the program wrote, or why it did not get through, in words."""
    span = next(([one["args"][0]["start"], one["args"][0]["stop"]] for one in asked if one["args"][0].get("start") is not None), None)
    job = {
        "file": str(context.flat), "folder": str(folder), "threads": context.threads, "span": span, "limit_s": LIMIT_S[context.quick],
        "questions": [{"name": one["name"], "how": one["how"], "args": one["args"][:DRAWS]} for one in asked],
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    python = str(environments.home() / name / "bin" / "python") if name in APART else sys.executable
    command = [python, "-m", f"bench.peers.archive.{name}_run", str(folder / "job.json"), str(folder / "result.json")]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, env=environments.environment(name), stdout=said, stderr=said)
        try:
            status = process.wait(START_S)
        except subprocess.TimeoutExpired:
            return f"not through in {START_S:.0f} s"
        finally:
            tree.kill(process.pid)  # a server of its own, too
            process.wait()
    if status != 0:
        words = [line for line in (folder / "said").read_text(errors="replace").splitlines() if line.strip()]
        return f"ended with {status}: {' / '.join(words[-2:])[-300:]}"
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def ratios(lines: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Engine -> question (its letter and number) -> processor time over ours."""
    found: dict[str, dict[str, float]] = {}
    for line in lines:
        if "question" in line:
            short = line["question"].removeprefix("day: ").split()[0] + (" month" if "month tier" in line["question"] else "")
            found.setdefault(line["engine"], {})[short] = line["times_our_cpu"]
    return found
