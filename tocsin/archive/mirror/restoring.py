"""The way back from a mirror: single damaged files fetched again, and an archive that was lost, file by file and the catalogue last.

Until its catalogue is there a restored archive is none, so a run that was cut off is simply made again: what is there whole is not fetched twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tocsin.archive.catalog import Catalog, Filed
from tocsin.archive.disk import make_folder, publish
from tocsin.archive.hot import POSITION
from tocsin.archive.locks import held
from tocsin.archive.parquet import sha256_of
from tocsin.archive.refetch import replaced
from tocsin.archive.steps import step
from tocsin.archive.tombstones import KEY_FILE, PUBLIC_FILE, Signer, entries, succeeded
from tocsin.kernel import durable
from tocsin.kernel.fault import Fatal
from tocsin.model.time import to_iso

from . import head as heads
from .bucket import Bucket
from .cache import SPARE, TOGETHER, Cache, Wanted
from .head import Head

#: What the signed record says.
RESTORED: Final = "restored from the mirror"
#: Below the archive's folder, where whatever a crash leaves is swept away.
_ASIDE: Final = "tmp/restoring"


@dataclass(slots=True)
class Restored:
    """`there`: files that an earlier run had brought; `damaged`: those that cannot be had, and why; `position`: journal entry up to which everything is in the
    archive; `another_key`: the signed record goes on under a key of its own, because the former one is lost."""

    files: int = 0
    bytes: int = 0
    there: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    position: int = 0
    published: str = ""
    another_key: bool = False
    seconds: float = 0.0


def mended(catalog: Catalog, bucket: Bucket) -> int:
    """Damaged files that the bucket has whole, put in their place. Returns how many. Raises Retriable, Fatal, OSError."""

    def fetch(one: Filed, aside: Path) -> bool:
        try:
            with aside.open("wb") as file:
                return bucket.read(str(one.file.path.relative_to(catalog.folder)), file) == (one.file.size, one.file.sha256)
        except FileNotFoundError:
            return False

    return replaced(catalog, fetch)


def published(bucket: Bucket) -> Head:
    """Raises Fatal where there is no mirror, Retriable."""
    found = heads.read(bucket)
    if found is None:
        bucket.check()
        raise Fatal(f"{bucket.address.place} holds no mirror of an archive")
    return found


def restore(folder: Path, bucket: Bucket, head: Head, say: Callable[[str, float], None] = lambda _what, _share: None) -> Restored:
    """Raises Fatal where there is an archive already, or no room; Retriable, OSError: what was fetched until then stays."""
    began, told = time.monotonic(), Restored(position=head.position, published=to_iso(head.at))
    _refuse(folder)
    make_folder(folder)
    with held(folder, "restore"):
        _refuse(folder)
        aside = folder / _ASIDE
        cache = Cache(aside, bucket)
        made = aside / "catalog.db"
        shutil.copyfile(_catalogue(cache, head), made)
        catalog = Catalog(folder, write=True, path=made)
        try:
            if catalog.get(POSITION) != head.position:
                raise Fatal(
                    f"{bucket.address.place}/{head.catalog} reaches another entry than {heads.NAME} says; it cannot be restored from"
                )
            _bring(catalog, cache, told, say)
            _enter(catalog, bucket, head, told)
        finally:
            catalog.close()
        step("restore.files")
        publish([(made, folder / "catalog.db")])
        step("restore.catalog")
        shutil.rmtree(aside)
    told.seconds = time.monotonic() - began
    return told


def _refuse(folder: Path) -> None:
    if (folder / "catalog.db").exists():
        raise Fatal(
            f"there is an archive in {folder}; 'tocsin archive verify --repair --peer mirror' mends one, and only a lost one is restored"
        )
    if folder.is_dir() and not (folder / _ASIDE).exists():
        strange = sorted(one.name for one in folder.iterdir() if one.name != KEY_FILE and one.suffix != ".lock")
        if strange:
            raise Fatal(f"{folder} is not empty ({', '.join(strange[:5])}); move away what is there, its {KEY_FILE} may stay")


def _catalogue(cache: Cache, head: Head) -> Path:
    """As it was published. Raises Fatal, Retriable."""
    path = cache.folder / f"{head.sha256}.db"
    if path.exists() and sha256_of(path) != head.sha256:
        path.unlink()
    why = cache.fetch(Wanted(head.catalog, head.size, head.sha256), path)
    if why is not None:
        raise Fatal(f"{why}; nothing can be restored without its catalogue")
    return path


def _bring(catalog: Catalog, cache: Cache, told: Restored, say: Callable[[str, float], None]) -> None:
    found = catalog.files("gone IS NULL AND damaged IS NULL")
    missing = [one for one in found if not one.file.path.is_file()]
    needed = sum(one.file.size for one in missing)
    if shutil.disk_usage(catalog.folder).free < needed + SPARE:
        raise Fatal(f"{catalog.folder}: {needed / 1e9:,.2f} GB are to be fetched, and the disk has no room for them")
    total, done = sum(one.file.size for one in found) or 1, 0
    pool = ThreadPoolExecutor(TOGETHER, "restore")
    try:
        running = {pool.submit(_one, catalog, cache, one): one for one in found}
        for count, future in enumerate(as_completed(running), 1):
            one, (fetched, why) = running[future], future.result()
            done += one.file.size
            if why is not None:
                told.damaged[str(one.file.path.relative_to(catalog.folder))] = why
            elif fetched:
                told.files, told.bytes = told.files + 1, told.bytes + one.file.size
            else:
                told.there += 1
            say(f"{count:,} of {len(found):,} files, {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", done / total)
    finally:
        pool.shutdown(cancel_futures=True)


def _one(catalog: Catalog, cache: Cache, one: Filed) -> tuple[bool, str | None]:
    """Whether it was fetched, and what is wrong with it in the bucket."""
    path = one.file.path
    if path.is_file():
        if sha256_of(path) == one.file.sha256:
            return False, None
        path.unlink()
    why = cache.fetch(Wanted(str(path.relative_to(catalog.folder)), one.file.size, one.file.sha256), path)
    step("restore.file")
    return True, why


def _enter(catalog: Catalog, bucket: Bucket, head: Head, told: Restored) -> None:
    """What is not there is said in the catalogue, and that it was restored in the signed record."""
    signer = Signer(catalog.folder)
    if head.public_key:
        keys = succeeded(head.public_key, signer.public_key, len(entries(catalog)) + 1)
        told.another_key = keys != head.public_key
        durable.replace(catalog.folder / PUBLIC_FILE, keys.encode() + b"\n")
    with catalog.change() as connection:
        connection.execute("DELETE FROM file WHERE gone IS NOT NULL")
        connection.executemany("UPDATE file SET damaged = ? WHERE path = ?", [(why, name) for name, why in told.damaged.items()])
        entry = {"what": RESTORED, "mirror": bucket.address.place, "published": told.published, "position": head.position}
        signer.write(
            connection, {**entry, "another_key": told.another_key, "damaged": sorted(told.damaged), "at": to_iso(time.time_ns() // 1000)}
        )
