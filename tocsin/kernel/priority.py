"""Which process comes first when there are not processors enough."""

from __future__ import annotations

import contextlib
import os
from typing import Final

_NICE: Final = 10


def give_way() -> None:
    """From here on this process runs only when a processor has nothing else to do (Linux), or nearly so. For good: who may not raise its own
    priority cannot take it back."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with contextlib.suppress(OSError, AttributeError):  # no Linux, or not allowed
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
