"""How many events a second one core takes under operators that keep a history: rate, change, zone, timers, alerts of other rules ...

    python -m bench.histories [--rules 100,1000] [--operators rate,change] [--events 1e5] [--minutes 20] [--limit SECONDS] [--json]

Each operator alone, on the stream of `bench.hot` in arrival order, batches of 1,000, in a process of its own. `events/s` are of
processor time. `looks` are samples that rules looked at, so `us a look` is what grows when something searches among all rules
or all histories. A job that takes longer than the limit is told as far as it got.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bench import history_jobs, jobs
from bench.fresh import in_fork
from bench.machine import cpu_seconds, machine
from bench.own import Own
from bench.report import table
from bench.stream import Stream, generate

BATCH = 1000
LATENESS = 10_000_000  # µs a late event of the stream may be late


def _measure(pipe: Any, job: str, stream: Stream, limit: float) -> None:
    runner = Own(jobs.plan(jobs.operators(job), LATENESS))
    runner.prepare(stream)
    began, done = cpu_seconds(), 0
    while done < len(stream) and cpu_seconds() - began < limit:
        runner.push(stream, done, done := min(done + BATCH, len(stream)))
    cpu = cpu_seconds() - began
    counters = runner.engine.counters()
    pipe.send(
        {
            "job": job, "rules": len(runner.engine.plan.rules), "events": done, "cpu_events_per_s": round(done / cpu), "cpu_s": round(cpu, 2),
            "looks": counters["samples"], "histories": counters["histories"], "kept": counters["samples_kept"],
            "firings": sum(map(len, runner.said)),
        }
    )  # fmt: skip


def measure(job: str, stream: Stream, limit: float) -> dict[str, Any]:
    """One job in a forked process."""
    row: dict[str, Any] = in_fork(job, _measure, job, stream, limit)
    return row


def shown(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = ("rules", "events", "cpu_events_per_s", "looks", "histories", "kept", "firings")
    each = row["cpu_s"] / row["looks"] * 1e6 if row["looks"] else 0.0
    return (row["job"].split("-")[1], *(f"{row[name]:,}" for name in numbers), f"{each:.1f}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.histories", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operators", default=",".join(history_jobs.names()))
    parser.add_argument("--rules", default="100,1000")
    parser.add_argument("--events", type=float, default=1e5)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long the stream is")
    parser.add_argument("--limit", type=float, default=30.0, help="CPU seconds a job may take")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args(argv)
    wanted = [f"history-{name}-{count}" for name in a.operators.split(",") for count in a.rules.split(",")]
    wrong = [job for job in wanted if not history_jobs.known(job)]
    if wrong:
        parser.error(f"unknown job {wrong[0]}; operators: {', '.join(history_jobs.names())}")
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load']}, Python {here['python']}, {here['date']}", flush=True)
    stream = generate(int(a.events), a.minutes * 60)
    rows = []
    for job in wanted:
        rows.append(measure(job, stream, a.limit))
        print(f"  {job}: {rows[-1]['cpu_events_per_s']:,} events/s", file=sys.stderr, flush=True)
    head = ("operator", "rules", "events", "events/s", "looks", "histories", "kept", "firings", "us a look")
    print(table(head, map(shown, rows)))
    if a.json:
        print(json.dumps({"machine": here, "minutes": a.minutes, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
