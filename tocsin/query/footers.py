"""Where in a file its places and times lie: outlines of files asked for lately, and the footers of those that were read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
import pyarrow.parquet as pq

from tocsin.model.archive import StoredFile
from tocsin.model.event import INSTANT
from tocsin.model.outline import NOWHERE, Outline

#: Row groups whose footers are kept, of all files together; one takes some 18 kB.
GROUPS_KEPT: Final = 8_192
#: Bytes of outlines that are kept; a file of two million rows has some 20 to 200 kB.
OUTLINES_KEPT: Final = 64 << 20
_LEAST, _MOST = -(2**63), 2**63 - 1
T = TypeVar("T")
Told = Callable[[StoredFile], bytes | None]


@dataclass(frozen=True, slots=True)
class Footer:
    """Of one file. `names`: its columns, in order."""

    meta: pq.FileMetaData
    names: tuple[str, ...]


class Kept(Generic[T]):
    """What was made of a file, kept while there is room. A file is never changed once it has a name. Any thread may ask."""

    def __init__(self, room: int, weigh: Callable[[T], int]) -> None:
        self._room, self._weigh = room, weigh
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Path, str], T] = OrderedDict()
        self._weight = 0

    def of(self, file: StoredFile, make: Callable[[StoredFile], T]) -> T:
        key = file.path, file.sha256
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        made = make(file)
        with self._lock:
            if key not in self._known:
                self._known[key] = made
                self._weight += self._weigh(made)
            while self._weight > self._room and len(self._known) > 1:
                self._weight -= self._weigh(self._known.popitem(last=False)[1])
        return made


class Footers:
    """Footers and outlines, each read once and kept while there is room. Any thread may ask."""

    def __init__(self, groups: int = GROUPS_KEPT, outlines: int = OUTLINES_KEPT) -> None:
        self._footers = Kept[Footer](groups, lambda footer: int(footer.meta.num_row_groups))
        self._outlines = Kept[Outline](outlines, lambda outline: outline.nbytes)

    def of(self, file: StoredFile) -> Footer:
        """Raises OSError, pa.ArrowException for a file that cannot be read."""
        return self._footers.of(file, lambda one: footer_of(one.path))

    def outline(self, file: StoredFile, told: Told | None = None) -> Outline:
        """`told`: gives what the archive knows of a file; of what it does not know the footer is read. Raises OSError, pa.ArrowException for one that cannot be."""

        def make(one: StoredFile) -> Outline:
            body = None if told is None else told(one)
            known = None if body is None else Outline.from_bytes(body)
            return bounds_of(self.of(one)) if known is None else known

        return self._outlines.of(file, make)


def footer_of(path: Path) -> Footer:
    """Raises OSError, pa.ArrowException."""
    meta = pq.read_metadata(path)
    return Footer(meta, tuple(meta.schema.column(place).path for place in range(meta.num_columns)))


def bounds_of(footer: Footer) -> Outline:
    """As far as the statistics of row groups say it."""
    meta, names = footer.meta, footer.names
    cell = names.index("cell") if "cell" in names else None
    time = names.index("event_time") if "event_time" in names and _is_instant(meta) else None
    rows, empty, firsts, spots = [], [], [0], []
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        rows.append(group.num_rows)
        empty.append(_empty(group))
        begin, end = _LEAST, _MOST
        found = None if time is None else group.column(time).statistics
        if found is not None and found.has_min_max:
            begin, end = found.min_raw, found.max_raw
        cells = _cells(None if cell is None else group.column(cell).statistics, group.num_rows)
        spots += [(low, high, begin, end) for low, high in cells]
        firsts.append(len(spots))
    columns = np.array(spots, np.int64).reshape(-1, 4).T.copy()
    return Outline(np.array(rows, np.int64), np.array(empty, np.int64), np.array(firsts, np.int64), *columns)


def _empty(group: Any) -> int:
    """As in `Outline`."""
    found = 0
    for place in range(group.num_columns):
        known = group.column(place).statistics
        if known is not None and known.has_null_count and known.null_count == group.num_rows:
            found |= 1 << place
    return found


def _cells(found: Any, rows: int) -> list[tuple[int, int]]:
    """Smallest and largest cell, and NOWHERE where rows without one may be. Statistics that are not there bound nothing."""
    if found is None:
        return [(_LEAST, _MOST)]
    bare = [(NOWHERE, NOWHERE)] if not found.has_null_count or found.null_count > 0 else []
    if found.has_min_max:
        return [(found.min_raw, found.max_raw), *bare]
    return bare if found.has_null_count and found.null_count == rows else [(_LEAST, _MOST)]


def _is_instant(meta: pq.FileMetaData) -> bool:
    """Whether the raw numbers are µs since 1970."""
    return bool(meta.schema.to_arrow_schema().field("event_time").type == INSTANT)
