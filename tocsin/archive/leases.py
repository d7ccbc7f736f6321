"""Who is reading: a lease per open look, so that no file is removed under it. A lease ends with its process, however that ends.

A lease is a small file that its reader holds locked (`flock`). Nothing is waited for and nothing is synced: taking one costs some microseconds. Leases of
dead readers are unlocked by the kernel, and whoever looks for live ones removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_COUNT: Final = itertools.count()
NOBODY: Final = 2**62


class Leases:
    """In a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def take(self) -> Iterator[Lease]:
        """Until the block ends, files that are visible now stay. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{os.getpid()}.{next(_COUNT)}"
        try:
            descriptor = self._locked(path)
        except OSError:  # a full disk has no room for another file: the folder itself is held, which holds everything
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            yield Lease(descriptor)
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            os.close(descriptor)

    def _locked(self, path: Path) -> int:
        """Whoever looks for leases may find the file before it is locked, and take it for a dead one: then it is made again."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            os.close(descriptor)

    def oldest(self) -> int:
        """The lowest generation anybody still looks at; NOBODY for none. A lease that does not say its generation yet counts as 0."""
        found = NOBODY if self._folder_free() else 0
        for path in list(self.folder.iterdir()) if self.folder.is_dir() else []:
            with contextlib.suppress(FileNotFoundError):
                found = min(found, self._generation(path))
        return found

    def _folder_free(self) -> bool:
        if not self.folder.is_dir():
            return True
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _generation(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(descriptor).st_ino:  # not one that was made anew meanwhile
                path.unlink()
            return NOBODY
        except BlockingIOError:
            return int(os.pread(descriptor, 32, 0) or b"0")
        finally:
            os.close(descriptor)


class Lease:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def at(self, generation: int) -> None:
        """What is looked at is the archive as of this generation. Where that cannot be written, the lease holds everything."""
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, str(generation).encode(), 0)
