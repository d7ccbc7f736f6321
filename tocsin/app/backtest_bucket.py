"""The work folder of a question in a bucket: for machines that share no file system. What each has of it lies in its own cache."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tocsin.archive.mirror.bucket import Bucket, digest
from tocsin.archive.mirror.mirrored import Place
from tocsin.kernel.fault import Retriable
from tocsin.spark.work import Work, hash_of

#: The object that says that a piece is done, and which objects it is made of.
_DONE: Final = "done.json"
_KEPT_SECONDS: Final = 7 * 86_400.0


@lru_cache(8)
def _bucket(place: Place) -> Bucket:
    """One for each process."""
    return Bucket(place.address, place.silent, place.attempts)


class BucketWork(Work):
    """`place`: of all work; `name`: of the question. A piece is its files under a name that nobody else gives, and an object that names them, written last.
    Two that do the same piece both write it; whichever is named last stays. Two drivers on one machine keep out of each other's way, two on different
    machines do not: the one that ends first removes what the other needs, which then does it again.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name

    @classmethod
    def within(cls, place: Place, question: Mapping[str, Any]) -> BucketWork:
        """Raises Fatal, Retriable, OSError."""
        made = cls(place, hash_of(question))
        _bucket(place).check()
        Work.of(made.folder.parent, question)
        return made

    @property
    def folder(self) -> Path:  # type: ignore[override]
        """On this machine."""
        return self._place.root() / "work" / self._name

    @property
    def bucket(self) -> Bucket:
        return _bucket(self._place)

    def done(self, name: str) -> Path | None:
        """Fetched when it is done and not here."""
        try:
            told = json.loads(self.bucket.get(f"{self._name}/{name}/{_DONE}"))
        except FileNotFoundError:
            return None
        local = f"{name}.{told['at']}"  # what this machine has of an earlier time has another name
        here = self.folder / local
        if here.is_dir():
            return here
        under = f"{self._name}/{name}/{told['at']}"
        made: dict[str, bytes | Callable[[Path], None]] = {
            file: _Fetched(self.bucket, f"{under}/{file}", size, sha256) for file, (size, sha256) in told["files"].items()
        }
        self._room()
        return super().put(local, made)

    def _room(self) -> None:
        """Makes the folder; what other questions have left long ago goes."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in self.folder.parent.iterdir():
            with contextlib.suppress(OSError):
                if other != self.folder and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                    shutil.rmtree(other)

    def count(self, names: list[str]) -> int:
        there = self.bucket.sizes(self._name)
        return sum(f"{self._name}/{name}/{_DONE}" in there for name in names)

    def put(self, name: str, files: Mapping[str, bytes | Callable[[Path], None]]) -> Path:
        """As `Work.put`; it is in the bucket when this returns. Raises Retriable, Fatal too."""
        self._room()
        at = uuid.uuid4().hex
        here, under, said = super().put(f"{name}.{at}", files), f"{self._name}/{name}/{at}", {}
        for path in sorted(here.iterdir()):
            known = digest(path)
            self.bucket.send(path, f"{under}/{path.name}", known)
            said[path.name] = (known.size, known.sha256)
        self.bucket.put(f"{self._name}/{name}/{_DONE}", json.dumps({"at": at, "files": said}).encode())
        return here

    def clear(self) -> None:
        names = sorted(self.bucket.sizes(self._name), key=lambda name: not name.endswith(_DONE))
        for name in names:  # first what says that something is done
            self.bucket.remove(name)
        super().clear()


class _Fetched:
    """Writes an object to a file. Raises Retriable when it is not what was put."""

    def __init__(self, bucket: Bucket, name: str, size: int, sha256: str) -> None:
        self._bucket, self._name, self._known = bucket, name, (size, sha256)

    def __call__(self, path: Path) -> None:
        with path.open("xb") as file:
            found = self._bucket.read(self._name, file)
        if found != self._known:
            raise Retriable(f"{self._bucket.address.place}/{self._name} is not what was put there", after=1.0)
