"""Where in a file its places and times lie: footers of files asked for lately, and the bounds of their row groups."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tocsin.model.archive import StoredFile
from tocsin.model.event import INSTANT

#: Row groups whose footers are kept, of all files together; one takes some 18 kB.
GROUPS_KEPT: Final = 8_192
_LEAST, _MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Footer:
    """Of one file. One number for each row group: `rows`; the smallest and largest `cell` (`low` > `high`: no row has one); `bare`: rows without a cell may be in
    it; the first and last event time, µs. Statistics that are not there bound nothing."""

    meta: pq.FileMetaData
    rows: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    bare: NDArray[np.bool_]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    def groups(self, start: int | None, stop: int | None, ranges: Sequence[tuple[int, int]], *, bare: bool) -> NDArray[np.int64]:
        """Row groups that may hold a row of these event times (`stop` exclusive) with a cell in one of the ranges (both ends inclusive) or, if `bare`, with none."""
        held = self.bare.copy() if bare else np.zeros(len(self.rows), bool)
        for first, last in ranges:
            held |= (self.low <= last) & (self.high >= first)
        if start is not None:
            held &= self.end >= start
        if stop is not None:
            held &= self.begin < stop
        return np.flatnonzero(held)


class Footers:
    """Read once each, and kept while there is room. A file is never changed once it has a name. Any thread may ask."""

    def __init__(self, kept: int = GROUPS_KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Path, str], Footer] = OrderedDict()
        self._groups = 0

    def of(self, file: StoredFile) -> Footer:
        """Raises OSError, pa.ArrowException for a file that cannot be read."""
        key = file.path, file.sha256
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        found = footer_of(file.path)
        with self._lock:
            if key not in self._known:
                self._known[key] = found
                self._groups += len(found.rows)
            while self._groups > self._kept and len(self._known) > 1:
                self._groups -= len(self._known.popitem(last=False)[1].rows)
        return found


def footer_of(path: Path) -> Footer:
    """Raises OSError, pa.ArrowException."""
    meta = pq.read_metadata(path)
    count = meta.num_row_groups
    names = [meta.schema.column(place).path for place in range(meta.num_columns)]
    rows = np.zeros(count, np.int64)
    low, high = np.full(count, _LEAST), np.full(count, _MOST)
    begin, end, bare = low.copy(), high.copy(), np.ones(count, bool)
    cell = names.index("cell") if "cell" in names else None
    time = names.index("event_time") if "event_time" in names and _is_instant(meta) else None
    for number in range(count):
        group = meta.row_group(number)
        rows[number] = group.num_rows
        found = None if cell is None else group.column(cell).statistics
        if found is not None:
            low[number], high[number], bare[number] = _cells(found, group.num_rows)
        found = None if time is None else group.column(time).statistics
        if found is not None and found.has_min_max:
            begin[number], end[number] = found.min_raw, found.max_raw
    return Footer(meta, rows, low, high, bare, begin, end)


def _cells(found: Any, rows: int) -> tuple[int, int, bool]:
    bare = not found.has_null_count or found.null_count > 0
    if found.has_min_max:
        return found.min_raw, found.max_raw, bare
    empty = found.has_null_count and found.null_count == rows
    return (_MOST, _LEAST, True) if empty else (_LEAST, _MOST, bare)


def _is_instant(meta: pq.FileMetaData) -> bool:
    """Whether the raw numbers are µs since 1970."""
    return bool(meta.schema.to_arrow_schema().field("event_time").type == INSTANT)
