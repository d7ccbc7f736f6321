"""Watches the embedded server: dead, deaf, unable to write, or held to a limit that the disk has outgrown."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Fatal, Misconfigured

from .nats_conf import file_limit, used_bytes

if TYPE_CHECKING:
    from .server import EmbeddedServer

log = logging.getLogger(__name__)
CHECK_SECONDS = 2.0
ANSWER_SECONDS = 5.0
DEAF_CHECKS = 3
#: A server that ran this long is started again at once when it dies; otherwise with a growing pause.
HEALTHY_SECONDS = 30.0
#: After a write error the server answers no publish on that stream any more, not even when there is room again.
STUCK = "critical write error"


class Watchdog:
    """One per `EmbeddedServer.watch`."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self.deaf = 0

    async def run(self) -> None:
        backoff, started = Backoff(base=0.1, cap=10.0), 0.0
        while not self.server.stopping:
            try:
                reason = await self._trouble()
            except OSError as error:  # the disk does not say how full it is: the server is watched all the same
                log.error("journal server: cannot look at %s: %s", self.server.store, error)
                continue
            if not reason:
                continue
            if time.monotonic() - started > HEALTHY_SECONDS:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())
            started = time.monotonic()
            try:
                await self.server.restart(reason)
                self.deaf = 0
            except (Fatal, OSError, Misconfigured) as error:
                log.error("journal server: %s", error)

    async def _trouble(self) -> str:
        """Looks for `CHECK_SECONDS`; says what is wrong, or nothing."""
        deadline = time.monotonic() + CHECK_SECONDS
        while time.monotonic() < deadline:
            process = self.server.process
            if self.server.stopping:
                return ""
            if process is None or process.poll() is not None:
                return f"it ended with code {process.returncode if process else None}"
            stuck = next((line for line in self.server.logged.news() if STUCK in line.lower()), None) if self.server.logged else None
            if stuck is not None:
                return f"it cannot write ({stuck.split('] ', 2)[-1]})"
            await asyncio.sleep(0.05)
        if not await self.server.answers(ANSWER_SECONDS):
            self.deaf += 1
            return "JetStream does not answer" if self.deaf >= DEAF_CHECKS else ""
        self.deaf = 0
        return await asyncio.to_thread(self._outgrown)

    def _outgrown(self) -> str:
        """The journal is at its limit, and the disk now has more room than when the limit was taken."""
        server = self.server
        if server.max_file is not None or used_bytes(server.store) < server.limit * 0.9 - (8 << 20):
            return ""
        now = file_limit(server.store)
        if now < server.limit * 1.1 + (8 << 20):
            return ""
        return f"the disk has room again: {now >> 20} MB for the journal instead of {server.limit >> 20} MB"
