"""One child process of a node: started, watched, started again when it dies, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tocsin.kernel.backoff import Backoff


class Child:
    """`python -m tocsin.app.process NAME DATA` under supervision. Its output goes to `log/NAME.log`."""

    def __init__(self, name: str, data: Path, log: Path, say: Callable[[str], None]) -> None:
        self.name = name
        self.restarts = 0
        self._argv = [sys.executable, "-m", "tocsin.app.process", name, str(data)]
        self.log = log
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def log_tail(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else "(no log)"

    def start(self) -> None:
        self._task = asyncio.create_task(self._supervise(), name=f"child {self.name}")

    async def _supervise(self) -> None:
        backoff = Backoff(base=0.2, cap=10)
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._argv, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL, env=os.environ | {"PYTHONUNBUFFERED": "1"}
                )
            code = await self._process.wait()
            if self._stopping.is_set():
                return
            if asyncio.get_running_loop().time() - began > 30:
                backoff.reset()
            self.restarts += 1
            self._say(f"{self.name} ended with {code}; starting it again (see {self.log})")
            await asyncio.sleep(backoff.next())

    async def stop(self, patience: float = 10.0) -> None:
        """SIGTERM, then SIGKILL after `patience` seconds."""
        self._stopping.set()
        process = self._process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), patience)
            except TimeoutError:
                self._say(f"{self.name} did not stop within {patience:g} s; killing it")
                process.kill()
                await process.wait()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
