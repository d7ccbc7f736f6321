"""A process's turn at a piece of work that several may do: waits until the server gives it, then keeps everybody else's words out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tocsin.journal.baton import Baton
from tocsin.journal.connection import Journal
from tocsin.journal.fence import Fence, put_up
from tocsin.kernel.fault import Fatal

from .health import HEALTH_SECONDS
from .layout import NodeFile

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """`work`: `correlate`, `shard-0`. Everything it publishes goes behind `fence`."""

    work: str
    baton: Baton
    fence: Fence

    async def watch(self) -> None:
        """Returns never; raises Fatal when another process has the turn."""
        await self.baton.lost.wait()
        raise Fatal(f"another process has taken over {self.work}; this one ends, and waits for its turn when it is started again")


async def turn(node: NodeFile, journal: Journal, work: str, fence: str, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Turn:
    """Returns when it is this process's turn and the fence is up: nothing that another one publishes is stored from then on.
    `meanwhile`: what a waiting process does to be quick when its turn comes."""
    baton = Baton(journal, work)
    try:
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(_report(journal, node, work), name="standing by")]
            if meanwhile is not None:
                waiting.append(group.create_task(_called(meanwhile), name="meanwhile"))
            await baton.wait()
            for task in waiting:
                task.cancel()
        began = time.monotonic()
        put = await put_up(journal, fence, f"{node.process} {os.getpid()}")
    except BaseException:
        await baton.close()
        raise
    log.info("it is this process's turn at %s (fence %d, put up in %.3f s)", work, put.seq, time.monotonic() - began)
    return Turn(work, baton, put)


async def _called(meanwhile: Callable[[], Awaitable[None]]) -> None:
    await meanwhile()


async def _report(journal: Journal, node: NodeFile, work: str) -> None:
    """`health.standby`: that somebody waits."""
    metrics = (
        "# HELP tocsin_standby Processes that wait for their turn at a piece of work.\n# TYPE tocsin_standby gauge\n"
        f'tocsin_standby{{work="{work}",process="{node.process}"}} 1\n'
    )
    body = {"process": f"standby {node.process}", "pid": os.getpid(), "work": work, "metrics": metrics}
    while True:
        await journal.publish("health.standby", json.dumps(body | {"wall": time.time_ns()}).encode())
        await asyncio.sleep(HEALTH_SECONDS)
