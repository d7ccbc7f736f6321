"""From an event's arrival to an answer of the archive that has it: records POSTed to a real node, the archive asked again and again meanwhile.

    python -m bench.archive_fresh [--rates 5000,10000,25000] [--seconds 20] [--json]

Starts a node (embedded journal, every entry fsynced; the process that keeps the archive with the patience it has in earnest) and a load generator that sends a body
every 20 ms, of which one event is a probe. The query layer is asked a few times a second for all probes not seen yet, as the console would. A probe's time is from
the moment its body was *due* to the end of the first answer that has it: HTTP, the journal, gathering, the commit and asking are all in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import machine, rate, table
from bench.pipeline import EVERY, cpu_and_rss, percentile, pids, write_city
from tocsin.app.node import Options, Running, running
from tocsin.archive.holdings import Archive
from tocsin.model.asking import Filter, Patience, Search
from tocsin.query.ask import Questions
from tocsin.query.places import Places

PAUSE = 0.2  # seconds between two askings: what a time measured here may be too long by, besides the asking itself
LEAVE = 60.0  # seconds that the last probe may take before it counts as never seen
AIM = 5.0


class Watch:
    """Which probes the archive had when: body's due time (ms) -> wall second at which an answer had it."""

    def __init__(self, archive: Path) -> None:
        self.seen: dict[int, float] = {}
        self.asked: list[float] = []
        self.since = time.time_ns() // 1000
        self._holdings = Archive(archive)
        self._questions = Questions(self._holdings, Places())

    def ask(self) -> None:
        """Once, for every probe since the oldest that may be missing."""
        began = time.perf_counter()
        answer = self._questions.search(Search(Filter(start=self.since, kinds=("probe",)), 100_000), Patience())
        self.asked.append(time.perf_counter() - began)
        now = time.time()
        for instant in answer.table["event_time"].to_numpy().astype("datetime64[ms]").astype(np.int64).tolist():
            self.seen.setdefault(instant, now)

    async def go_on(self, over: asyncio.Event) -> None:
        """Until it is over."""
        while not over.is_set():
            await asyncio.to_thread(self.ask)
            await asyncio.sleep(PAUSE)

    def close(self) -> None:
        self._questions.close()
        self._holdings.close()


async def step(node: Running, wanted: int, seconds: float) -> dict[str, Any]:
    """One rate."""
    watch, over = Watch(node.node.layout.archive), asyncio.Event()
    keep = pids(node)["keep"]
    used = cpu_and_rss(keep)[0]
    token = (Path(node.node.data) / "tokens" / "bench").read_text().strip()
    url = f"http://127.0.0.1:{node.node.ingest_port}/feeds/bench"
    asking = asyncio.create_task(watch.go_on(over))
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", url, token, str(wanted), str(seconds), str(EVERY), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await generator.communicate()
    sent = json.loads(out)
    due = [round((sent["first"] + number * EVERY) * 1000) for number in range(round(seconds / EVERY))]
    until = time.monotonic() + LEAVE
    while not watch.seen.keys() >= set(due) and time.monotonic() < until and not asking.done():
        await asyncio.sleep(PAUSE)
    over.set()
    await asking
    watch.close()
    took = [watch.seen[one] - one / 1000 for one in due if one in watch.seen]
    return {
        "job": "fresh", "wanted": wanted, "events": sent["accepted"], "events_per_s": round(sent["accepted"] / sent["seconds"]), "lag_s": round(sent["lag"], 3),
        "probes": len(due), "never_seen": len(due) - len(took), "p50_s": percentile(took, 50), "p99_s": percentile(took, 99),
        "max_s": round(max(took), 2) if took else None, "met": len(took) == len(due) and max(took) < AIM, "ask_p50_ms": percentile([one * 1e3 for one in watch.asked], 50),
        "ask_max_ms": round(max(watch.asked) * 1e3, 1), "keep_cpu_s": round(cpu_and_rss(keep)[0] - used, 2), "rejected": sent["rejected"], "errors": sent["errors"],
    }  # fmt: skip


async def measure(a: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    options = Options(
        write_city(folder / "city", a.rules), folder / "data", 0, 0, 0, say=lambda text: print(text, file=sys.stderr, flush=True)
    )
    rows = []
    async with running(options) as node:
        while "keep" not in node.health:  # nobody else waits for it
            await asyncio.sleep(PAUSE)
        await step(node, 1_000, 5.0)  # first use of everything
        for wanted in [int(float(one)) for one in a.rates.split(",")]:
            rows.append(await step(node, wanted, a.seconds))
            print(f"{wanted}/s: {rows[-1]}", file=sys.stderr, flush=True)
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    head = (
        "wanted/s",
        "sent/s",
        "probes",
        "never seen",
        "p50 s",
        "p99 s",
        "max s",
        f"all < {AIM:g} s",
        "ask p50 ms",
        "ask max ms",
        "keep CPU s",
    )
    names = ("probes", "never_seen", "p50_s", "p99_s", "max_s", "met", "ask_p50_ms", "ask_max_ms", "keep_cpu_s")
    return table(head, [(rate(row["wanted"]), rate(row["events_per_s"]), *(row[name] for name in names)) for row in rows])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.archive_fresh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="5000,10000,25000", help="events a second, one after the other")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each rate is held")
    parser.add_argument("--rules", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args()
    here = machine()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        rows = asyncio.run(measure(a, Path(folder)))
    print(show(rows))
    if a.json:
        print(json.dumps({"machine": here, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
