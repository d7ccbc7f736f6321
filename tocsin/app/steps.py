"""How long a process took to get ready, step by step; told with its health, and shown by `python -m bench.startup`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

Told = list[tuple[int, str, float, float]]


@dataclass(slots=True)
class _Steps:
    done: Told


_steps = _Steps([])


def step(name: str) -> None:
    """This is done now."""
    _steps.done.append((os.getpid(), name, round(time.monotonic(), 3), round(time.process_time(), 3)))


def steps() -> Told:
    """(pid, what was done, seconds of the machine's monotonic clock, CPU seconds of that process so far), oldest first. A process that
    was forked begins with the steps of the one it came from."""
    return _steps.done
