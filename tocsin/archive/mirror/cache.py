"""Files of a mirror on this machine: fetched when somebody needs them, held against their SHA-256, kept as long as there is room. For any number of processes.

What somebody looks at is pinned by a lease, which ends with its process. Room is made by removing what was looked at longest ago and is pinned by nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tocsin.archive.disk import remove
from tocsin.archive.locks import held
from tocsin.archive.steps import step
from tocsin.kernel.durable import sync
from tocsin.kernel.fault import Fatal

from .bucket import Bucket

#: Bytes that a cache may hold.
ROOM: Final = 20 << 30
#: What is left free of the disk.
SPARE: Final = 64 << 20
TOGETHER: Final = 8  # files on their way at once
_LEFT_SECONDS: Final = 3600.0  # what nobody has written to for so long, and nobody holds, is what a dead process left
_COUNT: Final = itertools.count()


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object as the catalogue knows it. `name`: below the mirror's prefix, and below the cache's files."""

    name: str
    size: int
    sha256: str


class Cache:
    """In a folder of its own. `files`: where objects lie under their names."""

    def __init__(
        self, folder: Path, bucket: Bucket, room: int = ROOM, say: Callable[[str, float], None] = lambda _what, _share: None
    ) -> None:
        """`room`: bytes; `say`: what is fetched, and the share that is done. Raises OSError."""
        self.folder, self.files = folder, folder / "files"
        self._bucket, self._room, self._say = bucket, room, say
        for path in (folder, self.files, folder / "leases", folder / "tmp", folder / "locks"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def pinned(self, wanted: Sequence[Wanted]) -> Iterator[Mapping[str, str]]:
        """All of these are here until the block ends, but those that the bucket has not, or not whole: name -> what is wrong with it. Raises Fatal where there
        is no room, or no access; Retriable when the server does not answer; OSError."""
        with self._lease(wanted):
            missing = [one for one in wanted if not self._here(one)]
            if missing:
                self._make_room(wanted, missing)
            wrong = self._bring(missing)
            for one in wanted:
                if one.name not in wrong:
                    os.utime(self.files / one.name)
            yield wrong

    def _here(self, one: Wanted) -> bool:
        try:
            return (self.files / one.name).stat().st_size == one.size
        except OSError:
            return False

    # ---- who looks at what
    @contextlib.contextmanager
    def _lease(self, wanted: Sequence[Wanted]) -> Iterator[None]:
        path = self.folder / "leases" / f"{os.getpid()}.{next(_COUNT)}.{secrets.token_hex(4)}"
        with held(self.folder, "cache", shared=True, wait=True):  # nobody makes room meanwhile
            file = path.open("x+")
            fcntl.flock(file, fcntl.LOCK_EX)
            json.dump({one.name: one.size for one in wanted}, file)
            file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def _leased(self) -> dict[str, int]:
        """What living readers have pinned, whether it is here yet or not; leases of the dead are removed. Nobody may take one meanwhile."""
        found: dict[str, int] = {}
        for path in (self.folder / "leases").iterdir():
            with contextlib.suppress(FileNotFoundError), path.open("r+") as file:
                if _free(file):
                    path.unlink()
                else:
                    found |= json.load(file)
        return found

    def _make_room(self, wanted: Sequence[Wanted], missing: Sequence[Wanted]) -> None:
        """For what is missing. Raises Fatal."""
        whole = sum(one.size for one in wanted)
        if whole > self._room:
            raise Fatal(
                f"this needs {whole / 1e9:,.2f} GB of {self._bucket.address.place}, and {self.folder} may hold {self._room / 1e9:,.2f} GB;"
                " ask for less of time, place or feeds, or give it more with --cache-size"
            )
        with held(self.folder, "cache", wait=True):
            leased = self._leased()
            for path in (self.folder / "tmp").iterdir():
                with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
                    if time.time() - path.stat().st_mtime > _LEFT_SECONDS and _free(file):  # its writer is dead
                        path.unlink()
            here = {str(path.relative_to(self.files)): path.stat() for path in self.files.rglob("*") if path.is_file()}
            spoken = {name: one.st_size for name, one in here.items()} | leased
            used = sum(spoken.values())
            for name, one in sorted(here.items(), key=lambda item: item[1].st_mtime_ns):
                if used <= self._room:
                    break
                if name not in leased:
                    remove(self.files / name, self.files)
                    used -= one.st_size
        coming = sum(one.size for one in missing)
        if used > self._room:
            raise Fatal(f"{self.folder} is full of what others look at just now; try again, or give it more with --cache-size")
        if shutil.disk_usage(self.folder).free < coming + SPARE:
            raise Fatal(
                f"{self.folder}: {coming / 1e9:,.2f} GB are to be fetched, and the disk has no room for them; name another folder with --cache"
            )

    # ---- fetching
    def _bring(self, missing: Sequence[Wanted]) -> dict[str, str]:
        wrong: dict[str, str] = {}
        total, done = sum(one.size for one in missing) or 1, 0
        pool = ThreadPoolExecutor(TOGETHER, "mirror")
        try:
            running = {pool.submit(self.fetch, one, self.files / one.name): one for one in missing}
            for count, future in enumerate(as_completed(running), 1):
                why = future.result()
                done += running[future].size
                if why is not None:
                    wrong[running[future].name] = why
                self._say(f"fetched {count} of {len(missing)} files, {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", done / total)
        finally:
            pool.shutdown(cancel_futures=True)
        return wrong

    def fetch(self, one: Wanted, path: Path) -> str | None:
        """An object to its place, unless another process was quicker. Returns what is wrong with it."""
        with held(self.folder / "locks", one.sha256[:2], wait=True):
            if path.is_file() and path.stat().st_size == one.size:
                return None
            why = self._try(one, path)
            return why if why is None else self._try(one, path)  # what was spoilt on its way is not spoilt twice

    def _try(self, one: Wanted, path: Path) -> str | None:
        aside = self.folder / "tmp" / secrets.token_hex(8)
        try:
            with aside.open("xb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                try:
                    size, sha256 = self._bucket.read(one.name, file)
                except FileNotFoundError as fault:
                    return str(fault)
                if (size, sha256) != (one.size, one.sha256):
                    return f"{self._bucket.address.place}/{one.name} is damaged there: it {_unlike(size, sha256, one)}"
                file.flush()
                os.fsync(file.fileno())
            _rename(aside, path)
            step("cache.fetched")
        finally:
            aside.unlink(missing_ok=True)
        return None


def _unlike(size: int, sha256: str, one: Wanted) -> str:
    if size != one.size:
        return f"has {size:,} bytes, {one.size:,} were written"
    return f"has SHA-256 {sha256[:12]}…, {one.sha256[:12]}… was written"


def _rename(aside: Path, path: Path) -> None:
    """Also where somebody who makes room removes the folder, which was empty, at this moment."""
    for _ in range(100):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            aside.rename(path)
            sync(path.parent)
            return
    raise OSError(f"{path.parent} is removed again and again")


def _free(file: IO[str] | IO[bytes]) -> bool:
    """Whether whoever held this file is gone."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
