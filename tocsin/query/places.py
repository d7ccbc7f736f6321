"""Where each source has been: tiles of zoom 14, learnt from each file of the archive once and kept in a small table beside it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.archive import Holdings, Look, StoredFile, Want

from .engine import Session
from .grid import EVENT_ZOOM, ROLLUP_ZOOM
from .rows import from_clause

#: `cell` of an event to the tile of zoom 14 that it lies in.
SHIFT: Final = 2 * (EVENT_ZOOM - ROLLUP_ZOOM)
#: Ranges of tiles that a question names at most; of more, neighbours are joined.
RANGES_MOST: Final = 48
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS learnt (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (feed TEXT, source TEXT, tile INTEGER, PRIMARY KEY (feed, source, tile)) WITHOUT ROWID;
"""


class Places:
    """`file`: where the table lies; it can be deleted at any time and is made again. Any thread may ask."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:" if file is None else file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def of(self, session: Session, holdings: Holdings, feed: str, source: str) -> tuple[tuple[int, int], ...]:
        """Ranges of `cell` (first, last) that hold every place the source ever had, in order; empty when it never had one."""
        with holdings.look(Want(feeds=(feed,))) as look:
            self.learn(session, look.files)
            tiles = set(_tiles_in(look, feed, source))
        with self._lock:
            found = self._db.execute("SELECT tile FROM place WHERE feed = ? AND source = ?", (feed, source)).fetchall()
        return ranges(tiles | {tile for (tile,) in found})

    def unknown(self, files: Iterable[StoredFile]) -> list[StoredFile]:
        """Files not learnt from yet."""
        with self._lock:
            known = {sha for (sha,) in self._db.execute("SELECT sha256 FROM learnt")}
        return [file for file in files if file.sha256 not in known]

    def learn(self, session: Session, files: Sequence[StoredFile]) -> int:
        """Takes in the files it does not know, each in a transaction of its own, and returns how many those were."""
        new = self.unknown(files)
        for file in new:
            rows = from_clause(session, [file], None, ("feed", "source", "cell"))
            sql = f"SELECT DISTINCT feed, source, cell >> {SHIFT} FROM {rows} WHERE cell IS NOT NULL AND source IS NOT NULL"  # noqa: S608
            found = session.table(sql)
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT OR IGNORE INTO place VALUES (?, ?, ?)", zip(*(c.to_pylist() for c in found.columns), strict=True)
                )
                self._db.execute("INSERT OR IGNORE INTO learnt VALUES (?)", (file.sha256,))
                self._db.execute("COMMIT")
        return len(new)

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _tiles_in(look: Look, feed: str, source: str) -> list[int]:
    """Tiles of the rows that no file has yet."""
    tail = look.tail
    if not len(tail):
        return []
    mine = pc.and_(pc.equal(tail["feed"].cast(pa.string()), feed), pc.equal(tail["source"].cast(pa.string()), source))
    return [cell >> SHIFT for cell in pc.unique(tail.filter(pc.fill_null(mine, False))["cell"]).to_pylist() if cell is not None]


def ranges(tiles: Iterable[int], most: int = RANGES_MOST) -> tuple[tuple[int, int], ...]:
    """Tiles of zoom 14 as ranges of `cell`; where there are more than `most`, those nearest to one another are joined."""
    ordered = sorted(tiles)
    if not ordered:
        return ()
    gaps = sorted((after - before, after) for before, after in pairwise(ordered) if after - before > 1)
    cuts = sorted(after for _, after in gaps[max(0, len(gaps) - most + 1) :])
    starts = [ordered[0], *cuts]
    ends = [*(max(tile for tile in ordered if tile < cut) for cut in cuts), ordered[-1]]
    return tuple((first << SHIFT, (last + 1 << SHIFT) - 1) for first, last in zip(starts, ends, strict=True))
