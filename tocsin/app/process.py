"""Entry of a child process: `python -m tocsin.app.process ingest|correlate|serve|keep|shard-0 DATA`."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

from .layout import Layout, NodeFile

PROCESSES = ("ingest", "correlate", "serve", "keep", "shard")


def die_with_parent() -> None:
    """Linux: the kernel sends SIGTERM when the supervisor is gone, so that a kill -9 of it leaves nothing behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGTERM)
    if os.getppid() == 1:
        sys.exit(0)


async def until_signal(run: Callable[[NodeFile], Awaitable[None]], node: NodeFile) -> None:
    """Runs until SIGTERM or SIGINT, then cancels and lets it clean up. A failure of `run` ends the process loudly."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(run(node))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def main() -> int:
    name, data = sys.argv[1], Path(sys.argv[2])
    kind = name.partition("-")[0].partition(".")[0]  # shard-0.2 is the second process for shard 0
    if kind not in PROCESSES:
        print(f"unknown process {name!r}; known: {', '.join(PROCESSES)}", file=sys.stderr)
        return 2
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    import uvloop

    run = import_module(f"tocsin.app.{kind}").run
    uvloop.run(until_signal(run, NodeFile.read(Layout(data)).of(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
