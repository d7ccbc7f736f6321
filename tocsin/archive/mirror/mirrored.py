"""The archive as those see it who have only its mirror: the catalogue is fetched, and of its files those that a question needs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tocsin.archive import hot
from tocsin.archive.catalog import Catalog, Filed
from tocsin.archive.holdings import Archive
from tocsin.archive.tombstones import PUBLIC_FILE
from tocsin.kernel import durable
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Look, StoredFile, Want
from tocsin.model.mirror import Address
from tocsin.model.time import to_iso

from . import head as heads
from .bucket import ATTEMPTS, SILENT_SECONDS, Bucket
from .cache import ROOM, Cache, Wanted
from .head import Head

log = logging.getLogger(__name__)

#: Says where files are kept on this machine, whatever the command says: machines of a cluster have disks of their own.
FOLDER: Final = "TOCSIN_MIRROR_CACHE"


@dataclass(frozen=True, slots=True)
class Place:
    """How a mirror is read: what a task on another machine must know. `folder`: of all caches, None for the usual one; `room`: bytes of each cache."""

    address: Address
    folder: Path | None = None
    room: int = ROOM
    silent: float = SILENT_SECONDS
    attempts: int = ATTEMPTS

    def root(self, environment: Mapping[str, str] = os.environ) -> Path:
        """The cache of this mirror on this machine."""
        said = environment.get(FOLDER)
        usual = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin" / "mirror"
        above = Path(said) if said else self.folder or usual
        return above.resolve() / hashlib.sha256(f"{self.address.endpoint} {self.address.place}".encode()).hexdigest()[:16]

    @property
    def files(self) -> Path:
        """Where its files lie on this machine."""
        return self.root() / "files"

    def opened(self, say: Callable[[str, float], None] = lambda _what, _share: None) -> Mirrored:
        """Raises Fatal, Retriable, OSError."""
        bucket = Bucket(self.address, self.silent, self.attempts)
        return Mirrored(bucket, Cache(self.root(), bucket, self.room, say))


class Mirrored(Archive):
    """`model.archive.Holdings` over a mirror. It shows the catalogue that was published when it was opened; a later one when files of that one are gone."""

    def __init__(self, bucket: Bucket, cache: Cache) -> None:
        """Raises Fatal where there is no mirror, Retriable, OSError."""
        super().__init__(cache.files)
        self.bucket, self.cache = bucket, cache
        self._reading = contextlib.ExitStack()
        self.head = self._head()
        self.catalog = self._fetched(self.head)

    def close(self) -> None:
        self.catalog.close()
        self._reading.close()

    def _head(self) -> Head:
        found = heads.read(self.bucket)
        if found is None:
            self.bucket.check()
            raise Fatal(f"{self.bucket.address.place} holds no mirror of an archive; 'tocsin archive mirror CITY' on its node makes one")
        return found

    def _fetched(self, head: Head) -> Catalog:
        """Raises Fatal for a catalogue that is not what was published."""
        for _ in range(3):
            path = self.cache.folder / "catalogs" / f"{head.sha256}.db"
            path.parent.mkdir(mode=0o700, exist_ok=True)
            why = self.cache.fetch(Wanted(head.catalog, head.size, head.sha256), path)
            if why is None:
                break
            newer = self._head()
            if newer == head:
                raise Fatal(f"{why}; the mirror cannot be read until its node publishes the next one")
            head = newer
        self.head = head
        self._hold(path)
        if head.public_key:
            durable.replace(self.cache.files / PUBLIC_FILE, head.public_key.encode() + b"\n")
        return Catalog(self.cache.files, write=False, path=path)

    def _hold(self, path: Path) -> None:
        """This catalogue stays while it is read; those that nobody reads go."""
        self._reading.close()
        file = self._reading.enter_context(path.open("rb"))
        fcntl.flock(file, fcntl.LOCK_SH)
        for other in path.parent.iterdir():
            with contextlib.suppress(FileNotFoundError, BlockingIOError), other.open("rb") as one:
                fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
                other.unlink()

    def _newer(self) -> bool:
        """Whether another catalogue has been published since, which is in use from now on."""
        found = self._head()
        if found.sha256 == self.head.sha256:
            return False
        log.info("the mirror was published anew at %s", to_iso(found.at))
        self.catalog.close()
        self.catalog = self._fetched(found)
        return True

    @contextlib.contextmanager
    def _moment(self, want: Want, tiers: Iterable[str]) -> Iterator[tuple[list[Filed], list[Filed], list[hot.Batch], hot.Reached]]:
        tiers = tuple(tiers)
        for last in (False, False, True):
            with self.catalog.moment() as connection:
                found = self.catalog.find(want, tiers)
                tail = hot.batches(connection, want)
                reached = hot.Reached(self.catalog.get(hot.POSITION), self.catalog.get(hot.HEARD))
            with self.cache.pinned([self._wanted(one.file) for one in found if not (one.damaged or want.figures)]) as wrong:
                if wrong and not last and self._newer():
                    continue
                for why in wrong.values():
                    log.error("%s; the answer is without it", why)
                lost = [one for one in found if one.damaged or self._name(one.file) in wrong]
                yield [one for one in found if one not in lost], lost, tail, reached
                return

    def _name(self, file: StoredFile) -> str:
        return str(file.path.relative_to(self.cache.files))

    def _wanted(self, file: StoredFile) -> Wanted:
        return Wanted(self._name(file), file.size, file.sha256)


@contextlib.contextmanager
def brought(place: Place, look: Look) -> Iterator[Look]:
    """A look that another machine had, its files brought to this one while the block lasts; their paths are names below the mirror's prefix. Raises Fatal when
    one is not to be had any more; Retriable, OSError."""
    bucket = Bucket(place.address, place.silent, place.attempts)
    cache = Cache(place.root(), bucket, place.room)
    names = {str(one.path): one for one in look.files}
    with cache.pinned([Wanted(name, one.size, one.sha256) for name, one in names.items()]) as wrong:
        if wrong:
            raise Fatal(f"{next(iter(wrong.values()))}; give the same command again, it begins anew with what the mirror holds now")
        yield Look(
            [replace(one, path=cache.files / name) for name, one in names.items()], look.tail, look.reaches, look.damaged, look.heard
        )
