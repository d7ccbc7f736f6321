"""What the machine withheld while something was measured: a virtual machine's processors are taken away, and its disk stands still, for everybody on it.

A small write is forced to the same disk twenty times a second, from a thread that does nothing else; its slowest is a wait that nothing that journals here could
have escaped. Time that the host gave to others is what the kernel counts as stolen (proc(5), /proc/stat, `steal`).
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

_EVERY: Final = 0.05
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Host:
    """Watches between `with` and its end. `folder`: on the disk in question."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "host"
        self._over = threading.Event()
        self._waits: list[float] = []
        self._thread = threading.Thread(target=self._probe, name="host", daemon=True)
        self._stolen = stolen_seconds()

    def __enter__(self) -> Host:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._stolen = stolen_seconds() - self._stolen
        self._file.unlink(missing_ok=True)

    def withheld(self) -> dict[str, float]:
        """`stolen_s`: seconds of all processors together; `disk_p99_ms`, `disk_most_ms`: of a small write until it was on disk."""
        waits = self._waits or [0.0]
        return {
            "stolen_s": round(self._stolen, 2),
            "disk_p99_ms": round(float(np.percentile(waits, 99)), 1),
            "disk_most_ms": round(max(waits), 1),
        }

    def _probe(self) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            while not self._over.wait(_EVERY):
                os.write(descriptor, bytes(4096))
                began = time.perf_counter()
                os.fdatasync(descriptor)
                self._waits.append((time.perf_counter() - began) * 1e3)
        finally:
            os.close(descriptor)


def stolen_seconds() -> float:
    """Since the machine was started."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / _TICKS
