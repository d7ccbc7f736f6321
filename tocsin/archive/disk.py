"""Files that are there whole or not at all, also after the power was cut: written aside, synced, renamed, the folder synced."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from tocsin.kernel.durable import sync

from .steps import step

#: What history leaves free for the journal and the alerts, which come first: so many bytes, or this share of a smaller disk.
RESERVE = 512 << 20
SHARE = 0.05


def room(folder: Path) -> None:
    """Raises OSError when all that is left of the disk is kept for the journal and the alerts."""
    found = os.statvfs(folder)
    free, kept = found.f_bavail * found.f_frsize, min(RESERVE, int(SHARE * found.f_blocks * found.f_frsize))
    if free < kept:
        words = f"{free / 1e6:.1f} MB of space are left on the disk, and {kept / 1e6:.1f} MB are kept for the journal and the alerts"
        raise OSError(errno.ENOSPC, words, str(folder))


def make_folder(path: Path) -> None:
    """With everything above it, each entry on disk. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync(path.parent)


def publish(pairs: Iterable[tuple[Path, Path]]) -> None:
    """(written aside, final name): all of them are under their names and on disk when this returns. Raises OSError."""
    folders = set()
    for aside, final in pairs:
        sync(aside)
        step("publish.synced")
        make_folder(final.parent)
        aside.rename(final)
        step("publish.renamed")
        folders.add(final.parent)
    for folder in sorted(folders):
        sync(folder)
    step("publish.done")


def remove(path: Path, root: Path) -> None:
    """A file, and the folders below `root` that are empty without it. Raises OSError."""
    path.unlink(missing_ok=True)
    folder = path.parent
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:  # not empty, or somebody has just put a file into it
            return
        folder = folder.parent
