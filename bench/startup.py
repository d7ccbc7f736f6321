"""How long until a node is ready, and what it costs when nothing happens.

    python -m bench.startup [--json]

Cold: the kernels' cache is empty and everything is compiled; the figure is that of the whole command, interpreter and imports included. Warm: the
second time, and a node started with that same cache. Idle: CPU and memory of all processes over 20 s without an event (ticks go on). Install:
bytes on disk of the packages in requirements/core.lock (not of what tests and benches add), the built console and the package.
"""

from __future__ import annotations

import argparse
import asyncio
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
from bench.pipeline import cpu_and_rss, pids, write_city
from tocsin.app.node import Options, running

ROOT = Path(__file__).parents[1]
IDLE_SECONDS = 20.0


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


async def idle(folder: Path) -> dict[str, Any]:
    """A node with 1,000 rules and no events."""
    options = Options(write_city(folder / "city", 1000), folder / "data", 0, 0, 0, say=lambda text: None)
    async with running(options) as node:
        await asyncio.sleep(3)
        processes = pids(node) | {"supervisor (this program)": os.getpid()}
        before = {name: cpu_and_rss(pid)[0] for name, pid in processes.items()}
        await asyncio.sleep(IDLE_SECONDS)
        after = {name: cpu_and_rss(pid) for name, pid in processes.items()}
        return {
            "ready_s": round(node.ready_seconds, 2),
            "cpu_percent": {name: round((after[name][0] - before[name]) / IDLE_SECONDS * 100, 1) for name in processes},
            "rss_mb": {name: round(after[name][1]) for name in processes},
        }


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
        told = asyncio.run(idle(folder))
    disk = sizes()
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load']}, {here['date']}")
    rows = [
        ("kernels, cold cache", f"{cold[0]:.1f} s wall, {cold[1]:.1f} s CPU"),
        ("kernels, warm cache", f"{warm[0]:.1f} s wall, {warm[1]:.1f} s CPU"),
        ("node with 1,000 rules to ready, warm", f"{told['ready_s']} s"),
        ("idle CPU, percent of a core", ", ".join(f"{k} {v}" for k, v in told["cpu_percent"].items())),
        ("idle memory, MB", ", ".join(f"{k} {v}" for k, v in told["rss_mb"].items()) + f", all {sum(told['rss_mb'].values())}"),
        *((f"on disk, {name}", value) for name, value in disk.items()),
    ]
    print(table(("what", "figure"), rows))
    if a.json:
        print(json.dumps({"machine": here, "cold_s": cold, "warm_s": warm, "idle": told, "disk": disk}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
