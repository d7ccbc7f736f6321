"""What this process may do from now on, held by the kernel: read the named files, no others; write nothing; open no connection.

Landlock (Linux 5.13; connections from 6.7) and resource limits need no privilege. Where the kernel has no Landlock, what DuckDB itself refuses
remains. Landlock binds the calling thread and those it starts later, so this comes before the engine has threads.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Iterable
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
#: Rights to handle by version of the interface: 13 of files, then REFER, TRUNCATE, IOCTL_DEV.
_FILE_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_RIGHTS: Final = 0b11
_NO_NEW_PRIVS: Final = 38
_PAGE: Final = 4096
#: How much machine there is: the engine reads it when it starts.
_MACHINE: Final = ("/proc/self/cgroup", "/proc/stat", "/sys/devices/system/cpu/online", "/sys/fs/cgroup")


def limit(memory: int, seconds: float, threads: int) -> None:
    """Bounds of memory (bytes beyond what is mapped now), processor time, files written (none) and cores dumped (none)."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        mapped = int(file.read().split()[0]) * _PAGE
    cpu = int(seconds * threads) + 2
    for what, most in (
        (resource.RLIMIT_AS, mapped + memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    os.nice(5)


def confine(files: Iterable[str]) -> bool:
    """From now on this thread, and threads it starts, can open `files` for reading and nothing else. False: the kernel cannot hold that."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = struct.pack("<QQ", _FILE_RIGHTS[min(version, 5)], _NET_RIGHTS) if version >= 4 else struct.pack("<Q", _FILE_RIGHTS[version])
    ruleset = libc.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if ruleset < 0:
        return False
    try:
        for file in (*files, *filter(os.path.exists, _MACHINE)):
            handle = os.open(file, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("<Qi", _READ_FILE, handle)
            added = libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
            os.close(handle)
            if added < 0:
                return False
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
