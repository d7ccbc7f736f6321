"""Snapshots while the correlator runs: a forked child puts the state on disk, so that the kernels pause for the fork alone.

The child sees the memory as it was at the fork, whatever the parent does meanwhile, and does nothing but write one file beside the
snapshot. The parent renames it, once all that was told before is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NoReturn

from tocsin.kernel.priority import give_way

from . import snapshots
from .meters import Counters
from .snapshots import Snapshot

log = logging.getLogger(__name__)

#: At most one part in so many of the time goes into snapshots. While one is made, every page that the kernels write is copied first, and events
#: wait: at 100,000 events/s, 0.2 s. With one part in 20 that was the 99th percentile of all alerts.
_SHARE: Final = 200
_WORDS: Final = 2000  # bytes of a child's last words
#: Seconds after which a child that writes is taken for stuck and killed: it would hold up every snapshot after it. It runs only when
#: nothing else does, so on a busy machine it may take minutes.
_LONGEST: Final = 1800.0


class Saver:
    """`file`: the snapshot. `version`: of the rules it is taken under. `every`: seconds between two."""

    def __init__(self, file: Path, version: str, every: float, counters: Counters) -> None:
        self.file = file
        self.version = version
        self.seq = 0  # the newest journal entry that is on disk
        self._beside = snapshots.beside_of(file)
        self._every = every
        self._counters = counters
        self._at = time.monotonic()
        self._cost = 0.0  # seconds of CPU the newest took, child and pause
        self._task: asyncio.Task[None] | None = None

    def due(self, seq: int) -> bool:
        """Whether it is time for a snapshot of the state at a journal entry. Raises what made the one before fail, unless the disk did."""
        if self._task is not None:
            if not self._task.done():
                return False
            self._task.result()
        pause = max(self._every, self._cost * _SHARE)
        return seq != self.seq and time.monotonic() - self._at >= pause

    def start(self, state: Callable[[], Snapshot], seq: int, settled: Callable[[], Awaitable[None]]) -> None:
        """Begins a snapshot of the state as it is now. `settled`: returns when all that was told before is durable."""
        began = time.monotonic()
        try:
            child = _fork(lambda: snapshots.write(self._beside, snapshots.encode(state(), self.version)))
        except OSError as error:  # no memory for a second process; later there may be
            self._failed(error)
            return
        self._counters.snapshot_pause = time.monotonic() - began
        self._task = asyncio.create_task(self._finish(child, seq, settled, began))

    def now(self, state: Snapshot) -> None:
        """Writes one on this thread. Raises OSError."""
        began = time.monotonic()
        snapshots.save(self.file, snapshots.encode(state, self.version))
        self._done(state.seq, began)

    async def close(self, settled: bool) -> None:
        """Waits for the child that is writing; what it wrote is thrown away unless all that was told is durable."""
        if self._task is not None:
            if not settled:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _finish(self, child: tuple[int, int], seq: int, settled: Callable[[], Awaitable[None]], began: float) -> None:
        stuck = asyncio.get_running_loop().call_later(_LONGEST, _kill, child[0])
        try:
            trouble, cost = await asyncio.to_thread(_wait, *child)
        finally:
            stuck.cancel()
        seconds, self._cost = time.monotonic() - began, cost + self._counters.snapshot_pause
        await settled()
        try:
            if trouble:
                raise OSError(trouble)
            await asyncio.to_thread(snapshots.publish, self._beside, self.file)
        except OSError as error:  # a full disk costs a longer replay after the next restart, never an alert
            self._failed(error)
        else:
            self._done(seq, time.monotonic() - seconds)

    def _done(self, seq: int, began: float) -> None:
        self._at, self.seq = time.monotonic(), seq
        self._counters.snapshots += 1
        self._counters.snapshot_bytes = self.file.stat().st_size
        self._counters.snapshot_seconds = self._at - began

    def _failed(self, error: OSError) -> None:
        self._counters.snapshot_failures += 1
        self._at = time.monotonic()
        log.error("the state could not be saved to %s: %s. Correlation goes on; a restart will replay more", self.file, error)


def _fork(work: Callable[[], None]) -> tuple[int, int]:
    """A child that does `work` and ends: its process id, and a pipe that says what went wrong. Raises OSError."""
    heard, said = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(heard)
        os.close(said)
        raise
    if child == 0:
        os.close(heard)
        _work(work, said)
    os.close(said)
    return child, heard


def _work(work: Callable[[], None], said: int) -> NoReturn:
    """The life of the child. It touches no lock, no thread, no connection of the parent, and never returns."""
    code = 1
    try:
        gc.disable()
        give_way()
        work()
        code = 0
    except BaseException as error:  # whatever it was, the parent is told
        os.write(said, f"{error}".encode()[:_WORDS])
    finally:
        os._exit(code)


def _kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def _wait(child: int, heard: int) -> tuple[str, float]:
    """What went wrong in the child, in words, empty when it did its work; and the CPU seconds it took."""
    with os.fdopen(heard, "rb") as pipe:
        words = pipe.read().decode(errors="replace")
    _, status, used = os.wait4(child, 0)
    if not words and os.WIFSIGNALED(status):
        words = f"the process that writes it was ended by signal {os.WTERMSIG(status)}"
    elif not words and status:
        words = "the process that writes it failed"
    return words, used.ru_utime + used.ru_stime
