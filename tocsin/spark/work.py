"""The work folder of one question: what is done is there whole, under its name, and is never done again, whoever was killed meanwhile."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tocsin.kernel import durable
from tocsin.kernel.fault import Fatal

_ASIDE: Final = ".aside-"
_QUESTION: Final = "question.json"


def hash_of(question: Mapping[str, Any]) -> str:
    """Names a question: equal for equal ones. `question`: plain values."""
    return hashlib.sha256(json.dumps(question, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:20]


class Work:
    """`folder`: on storage that every machine reaches under this path. Picklable: a task has its own copy of it.

    A piece of work is a folder that is written aside, synced and renamed. Two that do the same piece both write it; the first one's stays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, root: Path, question: Mapping[str, Any]) -> Work:
        """The folder of a question below `root`, made when it is not there. Raises Fatal, OSError."""
        folder = root / hash_of(question)
        text = json.dumps(question, sort_keys=True, indent=1) + "\n"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise Fatal(f"{folder} belongs to another user; name a folder of your own with --work")
        known = folder / _QUESTION
        if not known.exists():
            durable.write(folder / f"{_ASIDE}{uuid.uuid4().hex}", text.encode()).rename(known)
            durable.sync(folder)
            durable.sync(root)
        elif known.read_text() != text:
            raise Fatal(f"{known} is of another question; remove {folder}, or name another folder with --work")
        return cls(folder)

    def alone(self) -> int:
        """Locks the folder against a second driver until the descriptor that is returned is closed, and removes what killed ones left half done.
        Raises Fatal when another one is at work."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Fatal(
                f"another process works on the same question in {self.folder}; wait for it, or name another folder with --work"
            ) from None
        for left in self.folder.glob(f"{_ASIDE}*"):
            _remove(left)
        return descriptor

    def done(self, name: str) -> Path | None:
        """Where a piece lies, None while it is not done."""
        path = self.folder / name
        return path if path.is_dir() else None

    def piece(self, name: str) -> Path:
        """Where a piece lies that must be done. Raises Fatal."""
        found = self.done(name)
        if found is None:
            raise Fatal(f"{name} is not in {self.folder}; is it on storage that every machine reaches under this path?")
        return found

    def count(self, names: list[str]) -> int:
        """How many of these pieces are done."""
        return sum(self.done(name) is not None for name in names)

    def put(self, name: str, files: Mapping[str, bytes | Callable[[Path], None]]) -> Path:
        """A piece: its files by name, as bytes or as what writes them. On disk when this returns. Raises OSError."""
        aside, final = self.folder / f"{_ASIDE}{uuid.uuid4().hex}", self.folder / name
        aside.mkdir(mode=0o700)
        try:
            for file, content in files.items():
                if isinstance(content, bytes):
                    durable.write(aside / file, content)
                else:
                    content(aside / file)
                    durable.sync(aside / file)
            durable.sync(aside)
            aside.rename(final)
        except OSError:
            _remove(aside)
            if not final.is_dir():
                raise
        durable.sync(self.folder)
        return final

    def clear(self) -> None:
        """Forgets everything that was done."""
        for path in self.folder.iterdir():
            if path.is_dir():
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
