"""How long until a node is ready, and what it costs when nothing happens.

    python -m bench.startup [--json]

Cold: the kernels' cache is empty and everything is compiled; the figure is that of the whole command, interpreter and imports included. Warm: the
second time, and a node started with that same cache on data it ran with before: from starting the program to ready, five times, the quickest step by step.
Idle: CPU and memory of all processes over 20 s without an event (ticks go on). Install:
bytes on disk of the packages in requirements/core.lock (not of what tests and benches add), the built console and the package.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.machine import machine, table
from bench.pipeline import cpu_and_rss, write_city

ROOT = Path(__file__).parents[1]
IDLE_SECONDS = 20.0
STARTS = 5


def warm_up(cache: Path) -> tuple[float, float]:
    """(wall, CPU) seconds of `tocsin warm-up` with this kernel cache."""
    began = time.monotonic()
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "tocsin", "warm-up", "--json"],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        check=True,
        capture_output=True,
    )
    after = os.times()
    return time.monotonic() - began, after.children_user + after.children_system - before.children_user - before.children_system


def size_mb(folder: Path) -> float:
    """Our own code and data; what Python compiles of it on the way is not counted."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and "__pycache__" not in p.parts) / 1e6


def locked_mb(lock: Path) -> tuple[float, list[str]]:
    """Size of the installed packages that a lock names, and the names that are not installed here (markers of other platforms)."""
    total, absent = 0.0, []
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(), re.MULTILINE):
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        total += sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())
    return total / 1e6, absent


def sizes() -> dict[str, str]:
    """What takes room, in words."""
    packages, absent = locked_mb(ROOT / "requirements" / "core.lock")
    console = ROOT / "console" / "dist"
    return {
        "python packages": f"{packages:.0f} MB" + (f", without {', '.join(absent)}, which are not installed" if absent else ""),
        "console built": f"{size_mb(console):.0f} MB" if console.is_dir() else "not built",
        "our package": f"{size_mb(ROOT / 'tocsin'):.1f} MB",
    }


class Node:
    """`tocsin run` with 1,000 rules and no events, as a program of its own. `began`: the machine's monotonic clock when it was started."""

    def __init__(self, city: Path, data: Path) -> None:
        words = (sys.executable, "-m", "tocsin", "run", str(city), "--data", str(data), "--json")
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [*words, "--port", "0", "--ingest-port", "0", "--mqtt-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        self.said = [next((line for line in self._process.stderr if "is ready" in line), "")]
        if not self.said[0]:
            raise SystemExit(f"the node did not get ready; see {data}/log")

    def processes(self) -> dict[str, int]:
        """Everybody of the node by name."""
        found = {"supervisor": self._process.pid}
        parents = {int(path.parent.name): path for path in Path("/proc").glob("[0-9]*/stat")}
        for _ in range(2):
            for pid, path in parents.items():
                with contextlib.suppress(OSError):
                    name, _, rest = path.read_text().partition("(")[2].rpartition(") ")
                    if int(rest.split()[1]) in found.values() and pid not in found.values():
                        found["nursery" if name.startswith("python") else name] = pid
        return found

    def stop(self) -> list[tuple[str, int, str, float, float]]:
        """Ends it. (process, pid, step, seconds since it was started, CPU seconds of that process), in the order of time."""
        self._process.terminate()
        out, _ = self._process.communicate(timeout=60)
        start = json.loads(out.splitlines()[-1])["start"]
        own = {pid: name for name, steps in start.items() for pid, *_ in steps[-1:]}
        told = {(pid, step, at, cpu) for steps in start.values() for pid, step, at, cpu in steps}
        rows = ((own.get(pid, "nursery"), pid, step, at - self.began, cpu) for pid, step, at, cpu in told)
        return sorted(rows, key=lambda row: row[3])


def pss(pid: int) -> float:
    """MB of a process, of pages that it shares its share."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss: +(\d+) kB", told, re.MULTILINE)[0]) * 1024 / 1e6


def starts(city: Path, data: Path) -> list[dict[str, Any]]:
    """A node started again and again on the same data, each time to ready: the first makes the data and is left out."""
    told = []
    for _ in range(STARTS + 1):
        steps = Node(city, data).stop()
        ready = next(at for process, _, step, at, _ in steps if (process, step) == ("node", "ready"))
        before = [row for row in steps if row[3] <= ready]
        last = {pid: cpu for _, pid, _, _, cpu in before}
        told.append({"ready_s": round(ready, 2), "cpu_s": round(sum(last.values()), 2), "steps": before})
    return told[1:]


def phases(steps: list[tuple[str, int, str, float, float]]) -> str:
    """What every process had done when, and the CPU seconds that took it."""
    rows, before = [], {}
    for process, pid, step, at, cpu in steps:
        rows.append((process, step, f"{at:.2f}", f"{cpu - before.get(pid, 0.0):.2f}"))
        before[pid] = cpu
    return table(("process", "has done", "at s", "CPU s"), rows)


def idle(city: Path, data: Path) -> dict[str, Any]:
    """A node with 1,000 rules and no events."""
    node = Node(city, data)
    time.sleep(3)
    processes = node.processes()
    before = {name: cpu_and_rss(pid)[0] for name, pid in processes.items()}
    time.sleep(IDLE_SECONDS)
    after = {name: cpu_and_rss(pid) for name, pid in processes.items()}
    told = {
        "cpu_percent": {name: round((after[name][0] - before[name]) / IDLE_SECONDS * 100, 1) for name in processes},
        "rss_mb": {name: round(after[name][1]) for name in processes},
        "pss_mb": {name: round(pss(pid)) for name, pid in processes.items()},
    }
    node.stop()
    return told


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.startup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    a = parser.parse_args(argv)
    here = machine()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        cold, warm = warm_up(folder / "cache"), warm_up(folder / "cache")
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "cache")  # the node's start is a warm one, whatever lies beside the sources
        city = write_city(folder / "city", 1000)
        started, told = starts(city, folder / "data"), idle(city, folder / "data")
    disk = sizes()
    best = min(started, key=lambda one: float(one["ready_s"]))
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load']}, {here['date']}")
    rows = [
        ("kernels, cold cache", f"{cold[0]:.1f} s wall, {cold[1]:.1f} s CPU"),
        ("kernels, warm cache", f"{warm[0]:.1f} s wall, {warm[1]:.1f} s CPU"),
        ("node with 1,000 rules to ready, warm", f"{best['ready_s']} s wall, {best['cpu_s']} s CPU of all processes"),
        ("that, every time", ", ".join(f"{one['ready_s']} s ({one['cpu_s']} s CPU)" for one in started)),
        ("idle CPU, percent of a core", ", ".join(f"{k} {v}" for k, v in told["cpu_percent"].items())),
        ("idle memory, MB resident", ", ".join(f"{k} {v}" for k, v in told["rss_mb"].items()) + f", all {sum(told['rss_mb'].values())}"),
        ("shared pages counted once", ", ".join(f"{k} {v}" for k, v in told["pss_mb"].items()) + f", all {sum(told['pss_mb'].values())}"),
        *((f"on disk, {name}", value) for name, value in disk.items()),
    ]
    print(table(("what", "figure"), rows))
    print(phases(best["steps"]))
    if a.json:
        print(json.dumps({"machine": here, "cold_s": cold, "warm_s": warm, "starts": started, "idle": told, "disk": disk}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
