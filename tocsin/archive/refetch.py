"""Where damaged files, or their rows, can be had again but from the journal: the files they were imported from, and another copy of the archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Want

from . import hot
from .catalog import Catalog, Filed
from .disk import publish
from .filing import Shelf
from .locks import held
from .parquet import loaded, read, sha256_of
from .repair import Loss
from .rows import encoded
from .schema import IDENTITY, version_of


@dataclass(frozen=True, slots=True)
class Chunk:
    """Numbers `first` to `last` were given to `parts` parts of a file from `part` on, in their order. `learnt`: ingest time of rows that have none, µs."""

    first: int
    last: int
    part: int
    parts: int
    feed: str
    sha256: str
    path: Path
    learnt: int


_CHUNKS = (
    "SELECT chunk.first, chunk.last, part, chunk.parts, feed, sha256, name, began FROM chunk JOIN import ON import.id = chunk.import"
    " ORDER BY chunk.first"
)


def chunks(catalog: Catalog) -> list[Chunk]:
    """All that is known of imports; nothing in an archive of format 1."""
    if version_of(catalog.connection) < 2:
        return []
    return [
        Chunk(first, last, part, parts, feed, digest, Path(path), learnt)
        for first, last, part, parts, feed, digest, path, learnt in catalog.connection.execute(_CHUNKS)
    ]


def of_loss(catalog: Catalog, loss: Loss) -> list[Chunk]:
    """Those that may have brought some of what is lost."""
    return [one for one in chunks(catalog) if any(file.file.first <= one.last and file.file.last >= one.first for file in loss.files)]


def unlike(chunk: Chunk) -> str | None:
    """Why the file of an import is of no use any more; None when it is as it was. Raises OSError."""
    if not chunk.path.is_file():
        return f"{chunk.path} is not there any more"
    return None if sha256_of(chunk.path) == chunk.sha256 else f"{chunk.path} has changed since it was imported"


def numbered(chunk: Chunk, tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of a chunk as they were, schema ROW. `tables`: those of its parts. Raises Fatal when they are not as many as they were."""
    filled = [table for table in tables if len(table)]
    count = sum(map(len, filled))
    if count != chunk.last - chunk.first + 1:
        raise Fatal(
            f"{chunk.path} gave {chunk.last - chunk.first + 1:,} events when it was imported and gives {count:,} now: the feed reads it otherwise"
        )
    whole = pa.concat_tables(filled)
    return encoded(whole.set_column(0, "seq", pa.array(chunk.first + np.arange(count, dtype=np.int64))))


def replaced(catalog: Catalog, copy: Callable[[Filed, Path], bool]) -> int:
    """Puts what `copy` writes in the place of damaged files, where it has their SHA-256. Returns how many. Raises Retriable, OSError, and what `copy` does."""
    done = 0
    with held(catalog.folder, "mend"), held(catalog.folder, "publish", shared=True, wait=True):
        for one in catalog.files("gone IS NULL AND damaged IS NOT NULL"):
            aside = Shelf(catalog.folder).aside()
            try:
                if not copy(one, aside) or sha256_of(aside) != one.file.sha256:
                    continue
                publish([(aside, one.file.path)])
            finally:
                aside.unlink(missing_ok=True)
            with catalog.change() as connection:
                connection.execute("UPDATE file SET damaged = NULL WHERE id = ?", (one.id,))
            done += 1
    return done


class Peer:
    """Another copy of an archive, at rest: its files where they are the same byte by byte, else its rows where their numbers mean the same."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the archive, or the data directory it lies in. Raises Fatal when there is none."""
        place = folder / "archive" if (folder / "archive").is_dir() else folder
        try:
            self._catalog = Catalog(place, write=False)
        except FileNotFoundError:
            raise Fatal(f"there is no archive in {folder}; --peer names the folder of another copy of this archive") from None

    def close(self) -> None:
        self._catalog.close()

    def files(self, catalog: Catalog) -> int:
        """Puts sound files of the peer in the place of damaged ones with the same SHA-256. Returns how many. Raises Retriable, OSError."""
        theirs = {one.file.sha256: one.file.path for one in self._catalog.files()}

        def copy(one: Filed, aside: Path) -> bool:
            source = theirs.get(one.file.sha256)
            if source is None or not source.is_file():
                return False
            shutil.copyfile(source, aside)
            return True

        return replaced(catalog, copy)

    def rows(self, catalog: Catalog, loss: Loss) -> Iterator[pa.Table]:
        """Rows of schema ROW within the bounds of what is lost. Nothing from an archive that is no copy of this one."""
        if not self._catalog.get(IDENTITY) or self._catalog.get(IDENTITY) != catalog.get(IDENTITY):
            return
        differ = set(chunks(catalog)) ^ set(chunks(self._catalog))
        for one in loss.files:
            file = one.file
            want = Want(start=file.start, stop=file.stop + 1, feeds=file.feeds, first=file.first, last=file.last)
            for table in self._found(want):
                seq = table.column("seq").to_numpy()
                good = np.ones(len(table), bool)
                for chunk in differ:  # imported here or there since the copy was made
                    good &= (seq < chunk.first) | (seq > chunk.last)
                yield table.filter(pa.array(good))

    def _found(self, want: Want) -> Iterator[pa.Table]:
        for one in self._catalog.find(want, ("day", "month")):
            if one.damaged is None and one.file.path.is_file() and sha256_of(one.file.path) == one.file.sha256:
                yield loaded(read(one.file.path))
        with self._catalog.moment() as connection:
            yield from (encoded(batch.table()) for batch in hot.batches(connection, want))
