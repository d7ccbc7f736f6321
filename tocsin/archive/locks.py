"""Who may do what to an archive at the same time: locks that end with the process that holds them.

`keep`: takes in the journal. `mend`: changes files that are there (compaction, retention, repair). `publish`, shared: puts files there; alone: removes those
that nobody has entered.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from tocsin.kernel.fault import Retriable


@contextlib.contextmanager
def held(folder: Path, name: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Raises Retriable when somebody else has it and `wait` is false; OSError."""
    path = folder / f"{name}.lock"
    with path.open("a+") as file:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Retriable(f"{path} is held by another process that works on this archive", after=1.0) from None
        yield
