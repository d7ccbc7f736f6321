"""Memory that a process gives back to itself: for programs that take and free gigabytes in large pieces, as an import does.

By default a large piece is fetched from the system and handed back each time, and the system fills it with zeros each time: a quarter of an import's
processor time. Afterwards pieces stay with the process until it ends, which takes no more at its highest.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

_TRIM, _MAPPED, _ARENAS = -1, -4, -8  # M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX of malloc.h


def keep_freed() -> bool:
    """For the whole process, for good; before it has threads. False where the C library is not glibc: then nothing is changed."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018
        change = library.mallopt
    except (OSError, AttributeError):
        return False
    changed = all([change(_ARENAS, 1), change(_MAPPED, 0), change(_TRIM, -1)])
    pa.set_memory_pool(pa.system_memory_pool())
    return changed
