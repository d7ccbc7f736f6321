"""Where the engines live that cannot share our environment, and whether they are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
APART = ("bytewax", "pathway", "nodered", "flink", "spark")


def home() -> Path:
    """`.peers` in the checkout, or what BENCH_PEERS says: the environments take some 4 GB."""
    return Path(os.environ.get("BENCH_PEERS", ROOT / ".peers"))


def install(names: list[str]) -> None:
    """Runs the project's own script; what cannot be installed says why there and is reported as missing afterwards."""
    subprocess.run(["sh", str(ROOT / "scripts" / "bench_peers.sh"), *names], check=False, stdout=sys.stderr)


def missing(name: str) -> str | None:
    """None when `name` can run, else the reason in words."""
    needed = {"nodered": "node", "flink": "java", "spark": "java"}.get(name)
    if needed and shutil.which(needed) is None:
        return f"needs {needed}, which is not on this machine"
    if (home() / name / "installed.lock").exists():
        return None
    reason = home() / f"{name}.why"
    return f"not installed: {reason.read_text().strip()}" if reason.exists() else "not installed: run scripts/bench_peers.sh"


def command(name: str, folder: Path) -> list[str]:
    """What starts the engine's program on this folder."""
    python = Path(sys.executable) if name == "nodered" else home() / name / "bin" / "python"
    return [str(python), "-m", f"bench.peers.apart.{name}_run", str(folder)]


def environment(name: str) -> dict[str, str]:
    """This process's environment, with the bench importable and nothing else of ours."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "BENCH_PEERS": str(home()),
        "PYTHONUNBUFFERED": "1",
        "PATHWAY_TELEMETRY_SERVER": "",
        "DO_NOT_TRACK": "1",
    }
