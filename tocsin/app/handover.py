"""Snapshots of a piece of work that another process can go on from: the newest one in the object store, and on this machine."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from tocsin.correlate import snapshots
from tocsin.journal import objects
from tocsin.journal.connection import Journal
from tocsin.kernel.fault import Retriable

log = logging.getLogger(__name__)

_LOOK: Final = 1.0  # seconds
_SHARE: Final = 10  # at most one part in so many of the time goes into uploads


class Handover:
    """The snapshot `file` of a piece of work, kept in the object store too."""

    def __init__(self, journal: Journal, work: str, file: Path) -> None:
        self.uploaded = 0
        self.failures = 0
        self.bytes = 0
        self.seconds = 0.0
        self._journal = journal
        self._work = work
        self._file = file

    async def fetch(self) -> None:
        """Puts the stored snapshot in place of this machine's when it reaches farther. Whether it can be used is for `load` to say."""
        try:
            own, there = snapshots.seq_of(self._file), await objects.newest(self._journal, self._work)
            if there <= own:
                return
            found = await objects.get(self._journal, self._work)
        except Retriable as fault:  # the journal can be replayed from any older one
            log.warning("going on from this machine's own snapshot: %s", fault)
            return
        if found is not None:
            await asyncio.to_thread(snapshots.save, self._file, found.content)
            log.info("snapshot of journal entry %d taken from the object store (%d bytes)", found.seq, len(found.content))

    async def run(self) -> None:
        """For ever: stores every new snapshot."""
        before = await asyncio.to_thread(_stamp, self._file)
        while True:
            stamp = await asyncio.to_thread(_stamp, self._file)
            if stamp == before:
                await asyncio.sleep(_LOOK)
                continue
            before, began = stamp, time.monotonic()
            try:
                content = await asyncio.to_thread(self._file.read_bytes)
                self.bytes = await objects.put(self._journal, self._work, snapshots.seq_of(self._file), content)
                self.uploaded += 1
            except (Retriable, OSError) as fault:
                self.failures += 1
                log.warning("%s; whoever goes on replays more", fault)
            self.seconds = time.monotonic() - began
            await asyncio.sleep(max(_LOOK, self.seconds * _SHARE))

    def metrics(self) -> str:
        """Prometheus text."""
        told = (
            ("handed_over_total", "counter", "Snapshots put into the object store.", self.uploaded),
            ("hand_over_failures_total", "counter", "Snapshots that could not be put there.", self.failures),
            ("handed_over_bytes", "gauge", "Size of the newest one there, compressed.", self.bytes),
            ("hand_over_seconds", "gauge", "Time the newest one took.", round(self.seconds, 3)),
        )
        return "".join(
            f'# HELP tocsin_{name} {words}\n# TYPE tocsin_{name} {kind}\ntocsin_{name}{{work="{self._work}"}} {value}\n'
            for name, kind, words, value in told
        )


def _stamp(file: Path) -> int:
    """Changes with every new file; 0 for none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
