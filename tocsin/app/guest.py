"""How a process behaves that answers somebody's question beside a live node: it steps back, and ends before it takes the machine's memory."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: Bytes in memory. Address space is no measure: tables of rules reserve far more of it than they ever touch (`correlate/room.py`), so no rlimit will do.
MEMORY: Final = 6 << 30
_EVERY: Final = 0.25
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
ENOUGH: Final = 2  # the exit code: it could not be answered


def behave(most: int = MEMORY, end: Callable[[int], object] = os._exit) -> threading.Thread:
    """Low priority, and an end with words once more than `most` bytes are in memory. `end` gets the exit code."""
    os.nice(10)
    watch = threading.Thread(target=_watch, args=(most, end), name="memory", daemon=True)
    watch.start()
    return watch


def _watch(most: int, end: Callable[[int], object]) -> None:
    while (used := in_memory()) <= most:
        time.sleep(_EVERY)
    words = (
        f"this question needs more than {most / (1 << 30):.3g} GB of memory; ask about a shorter span, or a rule that looks at fewer kinds"
    )
    print(f"{words} (it had {used / (1 << 30):.3g} GB)", file=sys.stderr, flush=True)
    end(ENOUGH)


def in_memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
