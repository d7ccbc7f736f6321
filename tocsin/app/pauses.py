"""Short pauses: what a process made while it started is left alone by the garbage collector, and threads take turns quickly."""

from __future__ import annotations

import gc
import sys
from typing import Final

#: Seconds a thread may keep the interpreter while another waits (Python's default is ten times as long: that much later would an
#: alert be shown whenever the event loop is busy while the alerts view commits).
TURN: Final = 0.0005
#: Objects made before the young are looked through, and how many such rounds before the next older generation is. Nearly all our
#: garbage is freed by reference count; looking through everything that lives takes a tenth of a second.
THRESHOLDS: Final = (5_000, 50, 100)


def shorten() -> None:
    """Call once, when the process has made what it keeps."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*THRESHOLDS)
    sys.setswitchinterval(TURN)
