"""Files that are there whole or not at all, and on disk when a call returns, also when the power is cut right after it."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """A file's content, or a folder's list of names, to disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes) -> Path:
    """A file that nobody else may read, in place of what may be left under this name; its name is on disk when its folder is synced. Gives the path.
    Raises OSError."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


def replace(path: Path, content: bytes) -> None:
    """A file has this content from now on: who reads it meanwhile finds the old or the new one. Nobody else may read it. Raises OSError."""
    write(path.with_name(path.name + ".new"), content).replace(path)
    sync(path.parent)
