"""Steps between which a process may be killed or the power cut: named, so that tests can stop at each of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

#: `TOCSIN_ARCHIVE_KILL=name` ends this process at the step as `kill -9` would; `name:3` when it comes by for the third time.
KILL = "TOCSIN_ARCHIVE_KILL"


class Steps:
    """`hook`: called with the name of every step; what it raises goes up."""

    def __init__(self) -> None:
        self.hook: Callable[[str], None] | None = None
        name, _, count = os.environ.get(KILL, "").partition(":")
        self._name, self._left = name, int(count or 1)

    def __call__(self, name: str) -> None:
        if self.hook is not None:
            self.hook(name)
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


step = Steps()
