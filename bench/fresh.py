"""A function in a fresh or a forked process, so that memory is its own; and files put out of the page cache, looked at whether they are."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pipe, get_context
from pathlib import Path
from typing import Any, TypeVar

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LIBC = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")
DROP = Path("/proc/sys/vm/drop_caches")


def in_fresh(function: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    """What the function gives in a process started for it, and the most memory (MB) that process ever had resident."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        result = pool.submit(function, *arguments).result()
        return result, pool.submit(peak_mb).result()


def in_fork(what: str, function: Callable[..., None], *arguments: Any) -> Any:
    """What `function(pipe, *arguments)` sends from a process that sees all that this one has; `what` it was that failed."""
    here, there = Pipe()
    process = get_context("fork").Process(target=function, args=(there, *arguments))
    process.start()
    there.close()
    try:
        result = here.recv()
    except EOFError:
        raise SystemExit(f"{what} failed; see the error above") from None
    process.join()
    return result


def peak_mb() -> int:
    """Of this process since its program began."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1000


def put_out(folder: Path) -> None:
    """Asks for all files of a folder to leave the page cache; as root, for everything that is clean."""
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder]
    for path in files:
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # the lease of somebody else who asks this archive
            continue
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)
    if os.geteuid() == 0 and os.access(DROP, os.W_OK):
        DROP.write_text("1")


def how_cold() -> str:
    root = os.geteuid() == 0 and os.access(DROP, os.W_OK)
    return (
        "files evicted by posix_fadvise, page cache dropped"
        if root
        else "files evicted by posix_fadvise; not root, so the page cache was not dropped"
    )


def cached_share(folder: Path) -> float:
    """Of the bytes of a folder's files, how much is in the page cache."""
    there = total = 0
    for path in (one for one in folder.rglob("*") if one.is_file() and one.stat().st_size):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
            pages = -(-len(mapped) // _PAGE)
            state = (ctypes.c_ubyte * pages)()
            view = (ctypes.c_char * len(mapped)).from_buffer(mapped)
            done = _LIBC.mincore(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(len(mapped)), state)
            del view
            if done != 0:
                raise OSError(ctypes.get_errno(), f"mincore of {path}")
            there, total = there + sum(one & 1 for one in bytes(state)), total + pages
    return there / total if total else 0.0
