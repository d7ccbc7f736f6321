"""A damaged or lost catalogue, made again: files say what they hold, the journal gives the hot tail again, and of the rest is kept what can still be read.

Until it is whole it lies aside; then it is synced and renamed. A run that is cut off is simply made again.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.model.archive import CLASSES, StoredFile
from tocsin.model.ids import FIRST_IMPORTED, event_seq
from tocsin.model.time import to_iso

from . import hot, salvage
from .catalog import Catalog, Filed, enter, set_state
from .disk import make_folder, publish, room
from .filing import Shelf, month_of, write_day_rows
from .locks import held
from .order import DAY
from .outlines import outline_of
from .parquet import STORED, Summary, read, sha256_of
from .repair import roll_month
from .rollup import STEPS
from .rows import instants
from .steps import step
from .tombstones import Signer, check
from .twice import twice

#: What the signed record says.
REBUILT: Final = "catalogue rebuilt"
ASIDE: Final = "rebuild"  # below the archive's folder
_TIERS: Final = ("day", "month")
_EARLIEST: Final = -62_135_596_800_000_000  # µs: the first instant that has a name (0001-01-01)

Say = Callable[[str, float], None]


@dataclass(slots=True)
class Rebuilt:
    """`doubles`: rows of files that were just being replaced; `unreadable`: files, and why (they lie in `rebuild/` now); `lost`: tables of which not every row
    could be read; `position`: the journal entry from which on the node takes in again; `held`: holds were lost, so everything is held."""

    files: int = 0
    rows: int = 0
    doubles: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    position: int = 0
    held: bool = False


def rebuild(folder: Path, say: Say = lambda _what, _share: None) -> Rebuilt:
    """Nobody else may use the archive meanwhile. Raises Retriable when somebody does, OSError."""
    told, path, aside = Rebuilt(), folder / "catalog.db", folder / ASIDE
    with ExitStack() as stack:
        for name in ("keep", "mend", "publish"):
            stack.enter_context(held(folder, name))
        room(folder)
        make_folder(aside)
        there = path.exists()
        old, made = salvage.copied(path, aside), aside / "new.db"
        salvage.removed(made)
        catalog = Catalog(folder, write=True, path=made)
        try:
            with salvage.opened(old) as connection:
                _files(catalog, connection, told, say, sure=there)
                _tables(catalog, connection, told)
            _rollups(catalog, say)
            _sign(catalog, told)
        finally:
            catalog.close()
        step("rebuild.made")
        _put_aside(folder, told.unreadable)
        salvage.removed(path)
        step("rebuild.removed")
        publish([(made, path)])
        step("rebuild.published")
        for one in (old, made):
            salvage.removed(one)
        if not told.unreadable:
            shutil.rmtree(aside)
    return told


def _files(catalog: Catalog, old: sqlite3.Connection | None, told: Rebuilt, say: Say, *, sure: bool) -> None:
    """Files of events that count, with every page of them read. `sure`: the old catalogue is no copy of an earlier run, which may lack what came after it."""
    known, whole = salvage.rows(old, "file", "path, gone, sha256")
    counted = {one["path"] for one in known if one["gone"] is None} if whole and sure else None
    written = {one["path"]: one["sha256"] for one in known}
    paths = [
        path
        for stream in CLASSES
        for tier in _TIERS
        for path in sorted((catalog.folder / stream / tier).rglob("*.parquet"))
        if counted is None or str(path.relative_to(catalog.folder)) in counted
    ]
    found, clock = list[Filed](), 0
    for number, path in enumerate(paths):
        name = str(path.relative_to(catalog.folder))
        say(name, number / len(paths))
        try:
            one, latest = described(catalog.folder, path)
            if written.get(name, one.file.sha256) != one.file.sha256:
                raise ValueError("its SHA-256 is not the one that was written: bytes have changed")
        except (OSError, ValueError, pa.ArrowException) as fault:
            told.unreadable[name] = str(fault)
            continue
        found.append(one)
        clock = max(clock, latest)
    shelf = Shelf(catalog.folder)
    chosen = _once(shelf, found, told, say)
    chosen += shelf.publish()
    with catalog.change() as connection:
        enter(connection, catalog.folder, chosen)
        if clock:
            set_state(connection, "clock", clock)
    told.files, told.rows = len(chosen), sum(one.file.rows for one in chosen)


def described(folder: Path, path: Path) -> tuple[Filed, int]:
    """What the catalogue is to say of a file of events, and when the newest of what the journal gave of it was learnt (0: nothing). Raises OSError, ValueError,
    pa.ArrowException for one that cannot be read."""
    stream, tier, period = path.relative_to(folder).parts[:3]
    summary, latest = Summary(), 0
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=["feed", "kind", "source", "unit"]) as found:
        if found.schema_arrow.names != STORED.names:
            raise ValueError(f"has columns {', '.join(found.schema_arrow.names)}")
        for number in range(found.metadata.num_row_groups):
            table = found.read_row_group(number)
            summary.add(table)
            learnt = instants(table.column("ingest_time"))[table.column("seq").to_numpy() >= 0]
            latest = max(latest, int(learnt.max())) if len(learnt) else latest
    outline = outline_of(path)
    file = StoredFile(
        path, tier, stream, tuple(sorted(summary.feeds)), summary.rows, path.stat().st_size, summary.start, summary.stop, summary.box, summary.first,
        summary.last, sha256_of(path),
    )  # fmt: skip
    kinds = tuple(sorted(summary.kinds))
    return Filed(file, period.partition("=")[2], kinds, outline=None if outline is None else outline.to_bytes()), latest


def _once(shelf: Shelf, found: Iterable[Filed], told: Rebuilt, say: Say) -> list[Filed]:
    """Files of which no row is in another one; what is left of the others becomes files of its own. The larger one of two stays: it is what the smaller was
    joined to, or what had not lapsed yet, which lapses again."""
    kept: list[Filed] = []
    for stream in CLASSES:
        files = sorted((one for one in found if one.file.stream == stream), key=lambda one: -one.file.rows)
        doubles = twice([one.file for one in files], partial(say, f"{stream} that two files hold"))
        for place, one in enumerate(files):
            rows = doubles.get(place)
            if rows is None:
                kept.append(one)
                continue
            told.doubles += len(rows)
            if len(rows) < one.file.rows:
                held = np.zeros(one.file.rows, bool)
                held[rows] = True
                write_day_rows(shelf, read(one.file.path).filter(pa.array(~held)), stream)
    return kept


def _tables(catalog: Catalog, old: sqlite3.Connection | None, told: Rebuilt) -> None:
    """What no file says, as far as it can be read; and how far the files reach."""
    files = [one.file for one in catalog.files()]
    told.position = max((one.last // event_seq(1, 0) for one in files if one.last >= 0), default=0)
    imported = max((one.last - FIRST_IMPORTED + 1 for one in files if one.last < 0), default=0)
    imported = max([imported, *(_highest_import(one.path) for one in files if one.first < 0 <= one.last)])
    with catalog.change() as connection:
        for table in salvage.TABLES:
            found, whole = salvage.rows(old, table)
            if table == "tombstone":
                chain = [row for place, row in enumerate(found, 1) if row.get("id") == place]
                found, whole = chain, whole and len(chain) == len(found)
            if not whole:
                told.lost.append(table)
            for row in found:
                _insert(connection, table, row)
        days = [(feed, day) for one in files if one.first < 0 for feed in one.feeds for day in range(one.start // DAY, one.stop // DAY + 1)]
        connection.executemany("INSERT OR IGNORE INTO imported VALUES (?, ?)", days)
        set_state(connection, hot.POSITION, told.position)
        set_state(connection, "imported", max(imported, _state(connection, "imported")))
        told.held = "hold" in told.lost
        if told.held:
            connection.execute(
                "INSERT INTO hold (reason, by, placed, start, feeds) VALUES (?, ?, ?, ?, '[]')",
                ("the holds were lost with the catalogue: release this one when they are placed again", REBUILT, _now(), _EARLIEST),
            )


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """Names of columns are those of an archive's own table, of this version or an older one."""
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608


def _state(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def _highest_import(path: Path) -> int:
    """Of a file that holds imported rows and others: how many numbers imports have taken at least."""
    numbers = pq.read_table(path, columns=["seq"], partitioning=None).column("seq").to_numpy()
    return int(numbers[numbers < 0].max()) - FIRST_IMPORTED + 1


def _rollups(catalog: Catalog, say: Say) -> None:
    """Made again from the events, month by month."""
    shelf = Shelf(catalog.folder)
    for stream in CLASSES:
        files = [one.file for one in catalog.files("class = ? AND tier IN ('day', 'month')", (stream,))]
        months = {month_of(day) for one in files for day in range(one.start // DAY, one.stop // DAY + 1)}
        for number, month in enumerate(sorted(months)):
            say(f"rollups of {stream}, {month}", number / len(months))
            start = int(np.datetime64(month, "us").astype(np.int64))
            stop = int((np.datetime64(month, "M") + 1).astype("datetime64[us]").astype(np.int64)) - 1
            roll_month(shelf, catalog, STEPS, stream, month, start, stop)
    files_ = shelf.publish()
    with catalog.change() as connection:
        enter(connection, catalog.folder, files_)


def _sign(catalog: Catalog, told: Rebuilt) -> None:
    """A record that was cut off begins anew: a chain with a piece missing would be taken for a forged one."""
    with catalog.change() as connection:
        if "tombstone" in told.lost and check(catalog):
            connection.execute("DELETE FROM tombstone")
        entry = {"what": REBUILT, "lost": sorted(told.lost), "unreadable": sorted(told.unreadable), "position": told.position}
        Signer(catalog.folder).write(connection, {**entry, "at": to_iso(_now())})


def _put_aside(folder: Path, names: Iterable[str]) -> None:
    """What the catalogue does not name is swept away; a file that cannot be read may still be worth something to somebody."""
    for name in names:
        place = folder / ASIDE / name
        make_folder(place.parent)
        (folder / name).rename(place)


def _now() -> int:
    return time.time_ns() // 1000
