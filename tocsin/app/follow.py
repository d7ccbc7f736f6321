"""Following the configuration in force, for a process that does not read the journal: told of changes, and asking again when in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tocsin.journal.changes import SUBJECT, newest_change
from tocsin.journal.connection import Journal
from tocsin.kernel.fault import Retriable

from .inforce import InForce, current, opened
from .layout import NodeFile

log = logging.getLogger(__name__)

ASK_EVERY = 10.0  # seconds: a change is told at once, but a message may be lost while the journal is away
PAUSES = (0.01, 0.05, 0.2, 1.0, 3.0)  # seconds


class Follower:
    """`entry`: the journal entry of the configuration this process has taken over."""

    def __init__(self, node: NodeFile, journal: Journal) -> None:
        self.entry = 0
        self._node, self._journal = node, journal
        self._told = asyncio.Event()

    async def begin(self) -> InForce:
        """What is in force now. Raises Fatal, Retriable."""
        await self._journal.subscribe(SUBJECT, self._heard)
        found = await current(self._journal, Path(self._node.city), self._node.layout)
        self.entry = found.entry
        return found

    async def follow(self, changed: Callable[[InForce], Awaitable[None]]) -> None:
        """Calls `changed` with every other configuration, for ever; of several at once with the last. Raises what that raises."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_EVERY):
                    await self._told.wait()
            told = self._told.is_set()
            self._told.clear()
            for pause in PAUSES if told else (0.0,):  # it is told while it is being stored
                await asyncio.sleep(pause)
                if await self._newer(changed):
                    break

    async def _newer(self, changed: Callable[[InForce], Awaitable[None]]) -> bool:
        try:
            entry = await newest_change(self._journal)
        except Retriable as fault:
            log.warning("configuration: %s", fault)
            return False
        if entry is None or entry.seq == self.entry:
            return False
        await changed(await asyncio.to_thread(opened, entry, Path(self._node.city), self._node.layout))
        self.entry = entry.seq
        return True

    async def _heard(self, _message: Any) -> None:
        self._told.set()
