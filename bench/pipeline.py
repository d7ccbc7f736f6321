"""The whole way: records POSTed as NDJSON, durable, correlated, alert at a live-stream client.

    python -m bench.pipeline [--rates 10000,50000,100000] [--seconds 10] [--rules 1000] [--hops] [--json]

Starts a real node (embedded journal, every entry fsynced) in a temporary directory, a load generator in a process of its
own that sends a body every 20 ms, and a client on the live stream. All rules are evaluated on every event; one event of each body
is a probe that raises an alert of its own. Latency is from the moment a body was *due* to the moment its probe's alert reached the client. The rate is stepped until the node no longer keeps up;
"held" leaves out the first second, in which the node meets a rate several times as high as the one before. CPU is per process;
the generator's share is stated, because it runs on the same cores, and so is what the host withheld meanwhile (`bench/host.py`).
"snapshot ms" is how long the newest snapshot of the state held up the events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from bench import hops, jobs
from bench.host import Host
from bench.machine import machine, rate, table
from tocsin.app.node import Options, Running, running
from tocsin.model.plan import Absence, Cluster, Match, Sequence

TICKS = os.sysconf("SC_CLK_TCK")
EVERY = 0.02
STEP = 1.0  # seconds of a rate that "held" leaves out
FEED = """
feed: bench
title: Generated readings
purpose: measure
owner: bench
retention: 1 h
sensitivity: public
transport: {webhook: {}}
format: {ndjson: {}}
mapping:
  id: id
  source: s
  kind: k
  event_time: {from: t, formats: [epoch_ms]}
  lon: x
  lat: y
  value: {from: v, unit: "1"}
"""
CITY = """
city: bench
title: Bench
timezone: UTC
centre: [-74.0, 40.7]
zoom: 11
region: bench
"""


PROBE = """rule: probe
title: Probe
why: one event of every body is a probe and raises an alert of its own
when:
  match: {of: "probe where value >= 1 1"}
alert:
  severity: minor
  headline: "probe"
"""


def rule_yaml(count: int) -> str:
    """The mixed rules of bench.hot as a rule file, each thinned to one alert, and a probe whose alerts are timed."""
    return "\n---\n".join([PROBE, *(_rule(i, operator) for i, operator in enumerate(jobs.mixed(count)))])


def _where(selector: Any) -> str:
    return f'"{selector.kind} where value >= {selector.at_least} 1"'


def _rule(number: int, op: Any) -> str:
    if isinstance(op, Match):
        kind = op.of.kind
        when = f'match: {{of: {_where(op.of)}, samples: {op.samples}, until: "{kind} where value <= {op.until.where.constant} 1"}}'
    elif isinstance(op, Cluster):
        when = f"cluster: {{of: {_where(op.of)}, sources: {op.sources}, within: {op.within:g} m, during: {op.during // 10**6} s}}"
    elif isinstance(op, Sequence):
        step = op.then[0]
        then = f"{{of: {_where(step.of)}, within: {step.within:g} m, during: {step.max_gap // 10**6} s}}"
        when = f"sequence: {{first: {_where(op.first)}, then: [{then}]}}"
    elif isinstance(op, Absence):
        when = f"absence: {{after: {_where(op.after)}, expect: {_where(op.expected)}, within: {op.within:g} m, during: {op.during // 10**6} s}}"
    per = "per: {hold: 10 min}"
    return f'rule: r{number}\ntitle: Rule {number}\nwhy: bench\nwhen:\n  {when}\nalert:\n  severity: minor\n  headline: "rule {number}"\n  {per}\n'


def write_city(folder: Path, rules: int) -> Path:
    (folder / "feeds").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "city.yaml").write_text(CITY)
    (folder / "feeds" / "bench.yaml").write_text(FEED)
    (folder / "rules" / "mixed.yaml").write_text(rule_yaml(rules))
    return folder


@dataclass(slots=True)
class Seen:
    """What the live-stream client saw: (opened, received) wall seconds of each probe's alert, by id."""

    alerts: dict[str, tuple[float, float]] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)


async def watch(address: str, seen: Seen) -> None:
    """The live stream, as a browser reads it."""
    from datetime import datetime

    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    writer.write(f"GET /api/v1/stream?topics=alerts HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise SystemExit(f"the live stream answers {status.decode().strip()}")
    seen.ready.set()
    try:
        while line := await reader.readline():
            if line.startswith(b"data: ") and b'"probe"' in line:
                now = time.time()
                alert = orjson.loads(line[6:])
                if alert.get("rule") == "probe":
                    seen.alerts.setdefault(alert["id"], (datetime.fromisoformat(alert["opened"]).timestamp(), now))
    finally:
        writer.close()


def pids(node: Running) -> dict[str, int]:
    found = {name: report["pid"] for name, report in node.health.items()}
    found["journal"] = int((Path(node.node.data) / "journal.lock").read_text().split()[0])
    return found


def cpu_and_rss(pid: int) -> tuple[float, float]:
    """CPU seconds and resident MB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / TICKS, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def figure(node: Running, process: str, name: str) -> float:
    """The newest value of one of a process's metrics. Raises KeyError."""
    lines = (line.rpartition(" ") for line in node.health[process]["metrics"].splitlines())
    return float({key: value for key, _, value in lines}[name])


async def step(node: Running, seen: Seen, wanted: int, seconds: float) -> dict[str, Any]:
    """One rate for `seconds`; waits until the node has caught up (at most as long again)."""
    with Host(Path(node.node.data)) as host:
        row = await _step(node, seen, wanted, seconds)
    return row | host.withheld()


async def _step(node: Running, seen: Seen, wanted: int, seconds: float) -> dict[str, Any]:
    seen.alerts.clear()
    since = await hops.marks(node.journal)
    processes = pids(node)
    before = {name: cpu_and_rss(pid)[0] for name, pid in processes.items()}
    token = (Path(node.node.data) / "tokens" / "bench").read_text().strip()
    url = f"http://127.0.0.1:{node.node.ingest_port}/feeds/bench"
    began = time.perf_counter()
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", url, token, str(wanted), str(seconds), str(EVERY), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await generator.communicate()
    if generator.returncode:
        raise SystemExit("the load generator failed")
    sent = json.loads(out)
    wall = time.perf_counter() - began
    await asyncio.sleep(1.0)
    after = {name: cpu_and_rss(pid) for name, pid in processes.items()}
    probes = [(opened, (received - opened) * 1e3) for opened, received in seen.alerts.values() if opened >= sent["first"]]
    latency, held = [ms for _, ms in probes], [ms for opened, ms in probes if opened >= sent["first"] + STEP]
    used = {name: after[name][0] - before[name] for name in processes}
    node_cpu = sum(used.values())
    return {
        "job": "pipeline", "engine": "tocsin", "wanted": wanted, "events": sent["accepted"], "lag_s": round(sent["lag"], 3),
        "wall_events_per_s": round(sent["accepted"] / sent["seconds"]), "cpu_events_per_s": round(sent["accepted"] / max(node_cpu, 1e-9)),
        "cpu_share": {name: round(value / wall, 2) for name, value in sorted(used.items())}, "generator_share": round(sent["cpu"] / wall, 2),
        "ack_p50_ms": round(sent["ack_p50_ms"], 1), "ack_p99_ms": round(sent["ack_p99_ms"], 1), "alerts": len(latency),
        "p50_ms": percentile(latency, 50), "p99_ms": percentile(latency, 99), "held_p99_ms": percentile(held, 99),
        "rejected": sent["rejected"], "errors": sent["errors"], "rss_mb": round(sum(value[1] for value in after.values())),
        "snapshot_pause_ms": round(figure(node, "correlate", "tocsin_correlate_snapshot_pause_seconds") * 1e3, 1),
        "hops": hops.summary(await hops.collect(node.journal, since, seen.alerts)),
    }  # fmt: skip


def percentile(numbers: list[float], share: float) -> float | None:
    return round(float(np.percentile(numbers, share)), 1) if numbers else None


def fdatasync_ms(folder: Path, writes: int = 200) -> tuple[float, float]:
    """p50 and p99 of writing 64 kB and fdatasync on this disk: what no journal here can beat."""
    times = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT)
    for _ in range(writes):
        began = time.perf_counter()
        os.write(descriptor, bytes(65536))
        os.fdatasync(descriptor)
        times.append((time.perf_counter() - began) * 1e3)
    os.close(descriptor)
    (folder / "sync").unlink()
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


async def measure(a: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    city = write_city(folder / "city", a.rules)
    options = Options(city, folder / "data", 0, 0, 0, say=lambda text: print(text, file=sys.stderr, flush=True))
    rows: list[dict[str, Any]] = []
    async with running(options) as node:
        print(f"ready after {node.ready_seconds:.1f} s", file=sys.stderr, flush=True)
        seen = Seen()
        watcher = asyncio.create_task(watch(node.address, seen))
        await seen.ready.wait()
        await step(node, seen, 10_000, a.warm)  # first use of everything; the first alert of each rule
        for wanted in [int(float(r)) for r in a.rates.split(",")]:
            row = await step(node, seen, wanted, a.seconds)
            rows.append({"rules": a.rules, "batch": round(wanted * EVERY), **row})
            print(f"{wanted}/s: {row}", file=sys.stderr, flush=True)
            if a.hops:
                print(hops.show(row["hops"]), flush=True)
            if row["lag_s"] > 1.0:
                break
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    head = (
        "wanted/s",
        "sent/s",
        "per CPU s",
        "alerts",
        "p50 ms",
        "p99 ms",
        "p99 held",
        "ack p50",
        "ack p99",
        "lag s",
        "CPU by process (cores)",
        "generator",
        "MB",
        "snapshot ms",
        "stolen s",
        "disk most ms",
    )
    return table(
        head,
        [
            (rate(r["wanted"]), rate(r["wall_events_per_s"]), rate(r["cpu_events_per_s"]), r["alerts"], r["p50_ms"], r["p99_ms"], r["held_p99_ms"],
             r["ack_p50_ms"], r["ack_p99_ms"], r["lag_s"], " ".join(f"{k} {v}" for k, v in r["cpu_share"].items()), r["generator_share"], r["rss_mb"],
             r["snapshot_pause_ms"], r["stolen_s"], r["disk_most_ms"])
            for r in rows
        ],
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.pipeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="10000,25000,50000,75000,100000,125000,150000", help="events a second to try, rising")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each rate is held")
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--warm", type=float, default=20.0, help="seconds of 10,000 events/s before anything is measured")
    parser.add_argument("--quick", action="store_true", help="two rates, 3 seconds each")
    parser.add_argument("--hops", action="store_true", help="after each rate, where the time of its probes went")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args(argv)
    if a.quick:
        a.rates, a.seconds, a.warm = "10000,50000", 3.0, 5.0
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        p50, p99 = fdatasync_ms(Path(folder))
        here = machine() | {"fdatasync_p50_ms": round(p50, 2), "fdatasync_p99_ms": round(p99, 2)}
        print(
            f"{here['cpu']}, {here['cores']} cores, load {here['load']}, fdatasync p50 {p50:.2f} ms p99 {p99:.2f} ms, {here['date']}",
            flush=True,
        )
        rows = asyncio.run(measure(a, Path(folder)))
    print(show(rows))
    if a.json:
        print(json.dumps({"machine": here, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
