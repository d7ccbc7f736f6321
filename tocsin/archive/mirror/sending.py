"""The archive into its bucket: files first, the catalogue of one moment after them, the object that names it last; then what nobody needs any more goes.

Everything that must be remembered between two runs lies in the bucket. So a run that was killed, or whose server went away, is simply made again: what is there
whole is not sent twice, and readers have the former catalogue until the new one is whole.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tocsin.archive import hot
from tocsin.archive.catalog import Catalog, Filed
from tocsin.archive.compact import mark
from tocsin.archive.disk import make_folder
from tocsin.archive.leases import Leases
from tocsin.archive.locks import held
from tocsin.archive.parquet import sha256_of
from tocsin.archive.retention import paths
from tocsin.archive.schema import IDENTITY
from tocsin.archive.steps import step
from tocsin.archive.tombstones import PUBLIC_FILE, Signer, entries
from tocsin.kernel.fault import Fatal
from tocsin.model.time import HOUR, to_iso

from . import head as heads
from .bucket import Bucket, digest
from .head import Head

log = logging.getLogger(__name__)

#: How long objects that no catalogue names any more stay for who holds an earlier one, µs.
GRACE: Final = HOUR
TOGETHER: Final = 4  # files on their way at once
_LOST: Final = "is not what was written"
#: What entries of the signed record say.
REMOVED, NOT_REMOVED = "removed from the mirror", "could not be removed from the mirror"


@dataclass(slots=True)
class Sent:
    """What one run did. `there`: files that need not be sent; `damaged`: files of this archive that are not what was written, and were not sent;
    `undead`: objects that ought to be gone, and why they are not; `leaving`: objects that go when their grace is over; `versions`: the bucket
    keeps what is removed."""

    files: int = 0
    bytes: int = 0
    there: int = 0
    published: bool = False
    removed: int = 0
    leaving: int = 0
    damaged: list[str] = field(default_factory=list)
    undead: dict[str, str] = field(default_factory=dict)
    versions: bool = False
    seconds: float = 0.0


class Sender:
    """Of one archive to one bucket."""

    def __init__(
        self, catalog: Catalog, bucket: Bucket, grace: int = GRACE, say: Callable[[str, float], None] = lambda _what, _share: None
    ) -> None:
        """`catalog`: to write, because removals are entries of its signed record. `say`: what is sent, and the share that is done."""
        self._catalog, self._bucket, self._grace, self._say = catalog, bucket, grace, say
        self._proven: dict[str, str] = {}  # object -> SHA-256 of what is known to be in it
        self._sizes: dict[str, int] = {}
        self._fresh: set[str] = set()  # sent by this run
        self._sent = Sent()

    def run(self) -> Sent:
        """Raises Retriable (the server; another process that mirrors), Fatal (keys, bucket, a mirror of another archive), OSError, sqlite3.Error. What was sent
        until then stays."""
        began, self._sent, self._fresh = time.monotonic(), Sent(), set()
        folder = self._catalog.folder
        with held(folder, "mirror"):
            before = self._look()
            self._bring(self._catalog.files())  # nobody waits meanwhile: files that are replaced are simply left out
            with Leases(folder / "leases").take() as lease:
                lease.at(self._catalog.get("generation"))
                with self._snapshot() as (path, files):
                    self._bring(files)
                    self._mend(path, files)
                    now = self._publish(path, files, before)
            step("mirror.published")
            self._remove(now)
            self._sent.versions = self._bucket.keeps_versions(heads.NAME)
        self._sent.seconds = time.monotonic() - began
        return self._sent

    def _look(self) -> Head | None:
        """What is there already."""
        self._bucket.check()
        found = heads.read(self._bucket)
        mine = self._catalog.get(IDENTITY)
        if found is not None and found.identity != mine:
            raise Fatal(
                f"{self._bucket.address.place} holds the mirror of another archive, published {to_iso(found.at)}; name another prefix, or"
                f" remove {heads.NAME} there if that archive is no more"
            )
        self._sizes = self._bucket.sizes()
        if found is not None:
            self._proven |= _named(self._bucket, found, self._catalog.folder)
        return found

    # ---- files
    def _bring(self, files: Iterable[Filed]) -> None:
        """Those that are not there."""
        left = [(self._name(one), one) for one in files if not self._has(one)]
        total, done, count = sum(one.file.size for _, one in left) or 1, 0, 0
        pool = ThreadPoolExecutor(TOGETHER, "mirror")
        try:
            for future in as_completed([pool.submit(self._one, one, name) for name, one in left]):
                done, count = done + future.result(), count + 1
                self._say(f"{count} of {len(left)} files, {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", done / total)
        finally:
            pool.shutdown(cancel_futures=True)

    def _name(self, one: Filed) -> str:
        return str(one.file.path.relative_to(self._catalog.folder))

    def _has(self, one: Filed) -> bool:
        name = self._name(one)
        return self._sizes.get(name) == one.file.size and self._proven.get(name) == one.file.sha256

    def _one(self, one: Filed, name: str) -> int:
        """Sends a file unless it is there whole. Returns its bytes. One that is not what was written is marked, and not sent."""
        try:
            known = digest(one.file.path)
            if (known.size, known.sha256) != (one.file.size, one.file.sha256):
                if one.damaged is None:
                    mark(self._catalog, one, "its bytes are not those that were written")
                return one.file.size
            if self._sizes.get(name) != known.size or not self._bucket.holds(name, known):
                self._bucket.send(one.file.path, name, known)
                self._fresh.add(name)
        except FileNotFoundError:  # replaced meanwhile; whoever is still named and not there is told of when the catalogue is published
            return one.file.size
        self._proven[name], self._sizes[name] = known.sha256, known.size
        step("mirror.sent")
        return known.size

    # ---- the catalogue
    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Path, list[Filed]]]:
        """The catalogue of one moment in a file of its own, and what it names."""
        folder = self._catalog.folder
        aside = folder / "mirror"
        make_folder(aside)
        path = aside / "catalog.db"
        path.unlink(missing_ok=True)
        try:
            self._catalog.connection.execute("VACUUM INTO ?", (str(path),))
            copy = Catalog(folder, write=False, path=path)
            try:
                yield path, copy.files()
            finally:
                copy.close()
        finally:
            path.unlink(missing_ok=True)

    def _mend(self, path: Path, files: Iterable[Filed]) -> None:
        """What the copy says of files is made true of the bucket's."""
        sound = [one for one in files if self._has(one)]
        lost = [one for one in files if not self._has(one)]
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE file SET damaged = NULL WHERE id = ?", [(one.id,) for one in sound])
            connection.executemany("UPDATE file SET damaged = coalesce(damaged, ?) WHERE id = ?", [(_LOST, one.id) for one in lost])
            connection.execute("DELETE FROM file WHERE gone IS NOT NULL")
            connection.execute("COMMIT")
        fresh = [one for one in sound if self._name(one) in self._fresh]
        self._sent.files, self._sent.bytes = len(fresh), sum(one.file.size for one in fresh)
        self._sent.there, self._sent.damaged = len(sound) - len(fresh), [self._name(one) for one in lost]

    def _publish(self, path: Path, files: list[Filed], before: Head | None) -> Head:
        known = digest(path)
        name = f"{heads.CATALOGS}{known.sha256[:32]}.db"
        if self._sizes.get(name) != known.size or not self._bucket.holds(name, known):
            self._bucket.send(path, name, known)
        step("mirror.catalog")
        wanted = {name, *map(self._name, files)}
        now = time.time_ns() // 1000
        since = {} if before is None else before.leaving
        unsaid = self._unsaid([one for one in since if one not in self._sizes])
        leaving = {one: since.get(one, now) for one in {*self._sizes, *unsaid} if heads.ours(one) and one not in wanted}
        public = self._catalog.folder / PUBLIC_FILE
        made = Head(
            self._catalog.get(IDENTITY), now, name, known.sha256, known.size, _position(path), public.read_text().strip() if public.exists() else "",
            leaving,
        )  # fmt: skip
        self._bucket.put(heads.NAME, made.to_bytes())
        self._sent.published = True
        return made

    # ---- what goes
    def _remove(self, now: Head) -> None:
        """Objects whose grace is over. What cannot be removed is told of, and tried again the next time."""
        due = sorted(name for name, since in now.leaving.items() if now.at - since >= self._grace)
        gone = list[str]()
        try:
            for number, name in enumerate(due):
                self._say(f"removing {name}", number / len(due))
                try:
                    self._bucket.remove(name)
                except Fatal as fault:
                    self._sent.undead[name] = str(fault)
                else:
                    gone.append(name)
                    self._proven.pop(name, None)
                    self._sizes.pop(name, None)
                step("mirror.removed")
        finally:
            self._record(gone)
        self._sent.removed = len(gone)
        self._sent.leaving = len(now.leaving) - len(gone)

    def _unsaid(self, names: list[str]) -> list[str]:
        """Those that retention removed and of which the record does not say that they are gone from the bucket."""
        if not names:
            return []
        known = entries(self._catalog)
        said = {str(name) for entry in known if entry.get("what") == REMOVED for name in entry.get("files", ())}
        lapsed = set(paths(known)) - said
        return [name for name in names if name in lapsed]

    def _record(self, gone: list[str]) -> None:
        """Signed entries: of what retention removed, that it is gone from the bucket too; of anything that cannot be removed, once, that it is not. A run
        that is killed before leaves the names in the head, so the next one says it."""
        files = self._unsaid(gone)
        told = set[str]()
        if self._sent.undead:
            told = {str(name) for entry in entries(self._catalog) if entry.get("what") == NOT_REMOVED for name in entry.get("files", ())}
        new = {name: why for name, why in sorted(self._sent.undead.items()) if name not in told}
        base = {"mirror": self._bucket.address.place, "at": to_iso(time.time_ns() // 1000)}
        if files or new:
            with self._catalog.change() as connection:
                signer = Signer(self._catalog.folder)
                if files:
                    signer.write(connection, {"what": REMOVED, "files": files, **base})
                if new:
                    signer.write(connection, {"what": NOT_REMOVED, "files": list(new), "why": sorted(set(new.values())), **base})


def _position(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT value FROM state WHERE name = ?", (hot.POSITION,)).fetchone()
    return 0 if row is None else int(row[0])


def _named(bucket: Bucket, head: Head, folder: Path) -> Mapping[str, str]:
    """Objects that the published catalogue names, and their SHA-256: they were proven before it was published. Nothing where it cannot be read: then
    each object is looked at again."""
    aside = folder / "mirror"
    make_folder(aside)
    path = aside / "published.db"
    try:
        with path.open("wb") as file:
            found = bucket.read(head.catalog, file)
        if found != (head.size, head.sha256) or sha256_of(path) != head.sha256:
            raise OSError(f"{bucket.address.place}/{head.catalog} is not what was published")
        with closing(sqlite3.connect(path)) as connection:
            return dict(connection.execute("SELECT path, sha256 FROM file WHERE damaged IS NULL"))
    except (OSError, sqlite3.Error) as fault:
        log.warning("mirror: the catalogue that was published cannot be read: %s; every object is looked at again", fault)
        return {}
    finally:
        path.unlink(missing_ok=True)


def words(sent: Sent, place: str) -> str:
    """For people."""
    sending = f"{place}: {sent.files:,} files sent ({sent.bytes / 1e6:,.1f} MB) in {sent.seconds:.1f} s, {sent.there:,} were there"
    lines = [f"{sending}; {sent.removed:,} objects removed, {sent.leaving:,} go when their grace is over"]
    lines += [f"DAMAGED {name}: not sent; 'tocsin archive verify --repair' fetches again what can be had" for name in sent.damaged]
    lines += [f"NOT REMOVED {name}: {why}" for name, why in sorted(sent.undead.items())]
    if sent.versions:
        lines.append(
            "THE BUCKET KEEPS VERSIONS: what is removed stays there as a former version, so retention does not reach it;"
            " switch versioning off, or let former versions expire by a rule of the bucket"
        )
    return "\n".join(lines)
