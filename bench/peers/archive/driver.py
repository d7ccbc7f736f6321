"""What every engine's program does: read the job, get ready, ask every question in every draw, write times and answers. Nothing but the standard library.

The job (JSON): `file`, the Parquet file; `folder`, where an engine may keep things; `threads`; `span`, (start, stop) in µs when only that is to be
taken in; `questions`: name, how, args of each draw; `limit_s` for all draws of a question together. Times are milliseconds; processor time is that of
all threads of all the engine's processes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from bench import tree

Job = dict[str, Any]


class Engine(Protocol):
    """`ask`: the answer as `bench/archive_questions.py` has it. `alone`: it starts no processes; those that it starts count as it does. `note`: how it was asked."""

    version: str
    note: str
    alone: bool

    def ask(self, how: str, args: dict[str, Any]) -> list[int]: ...


def main(make: Callable[[Job], Engine]) -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    began = time.perf_counter()
    engine = make(job)
    made = {"ready_s": round(time.perf_counter() - began, 2), "version": engine.version, "note": engine.note}
    asked = [_asked(engine, question, job["limit_s"]) for question in job["questions"]]
    made["peak_mb"] = round(sum(_peak_mb(pid) for pid in tree.family(os.getpid())))
    Path(sys.argv[2]).write_text(json.dumps({**made, "questions": asked}))


def _asked(engine: Engine, question: dict[str, Any], limit: float) -> dict[str, Any]:
    """The first asking, and then as many draws as there is time for."""
    wall, cpu, answers = [], [], []
    began = time.perf_counter()
    first = time.perf_counter()
    engine.ask(question["how"], question["args"][0])
    first = time.perf_counter() - first
    for args in question["args"]:
        at, used = time.perf_counter(), _cpu(engine)
        answers.append(engine.ask(question["how"], args))
        wall.append((time.perf_counter() - at) * 1e3)
        cpu.append((_cpu(engine) - used) * 1e3)
        if time.perf_counter() - began > limit:
            break
    return {"name": question["name"], "first_ms": round(first * 1e3, 1), "wall_ms": wall, "cpu_ms": cpu, "answers": answers}


def _cpu(engine: Engine) -> float:
    """Seconds. Of this process alone exactly; of a family in the kernel's hundredths."""
    if not engine.alone:
        return tree.cpu_seconds(os.getpid())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith("VmHWM")), 0.0)
