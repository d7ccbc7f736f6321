"""Where and when the rows of one row group are: every place once, with its first and last instant, and which columns say nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.outline import NOWHERE, GroupOutline

from .rows import instants

#: Spots of a row group at most; where there are more, neighbours on the map go together.
SPOTS_MOST: Final = 128
Numbers = NDArray[np.int64]
#: Bits of `cell` that are left out, one after another: zoom 16, 14, 13, ...
_COARSER: Final = (0, *range(4, 34, 2))


def bits(flags: Iterable[bool]) -> int:
    """Bit n: flag n."""
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def group_outline(table: pa.Table, empty: int) -> GroupOutline:
    """Of a row group with these rows: places and the first and last instant at each. Rows lie in order of place, so most have their neighbour's cell.
    `empty`: as in `Outline`."""
    column = table.column("cell").combine_chunks()
    cell = (column.fill_null(NOWHERE) if column.null_count else column).to_numpy()
    time = instants(table.column("event_time"))
    if not len(cell):
        return GroupOutline(0, 0, cell, cell, time, time)
    low, begin, end = _together(cell, time, time)
    order = np.argsort(low, kind="stable")
    low, begin, end = _together(low[order], begin[order], end[order])
    left = 0
    for left in _COARSER:
        low, begin, end = _together(np.where(low >= 0, low >> left << left, low), begin, end)
        if len(low) <= SPOTS_MOST:
            break
    return GroupOutline(len(table), empty, low, np.where(low >= 0, low + (1 << left) - 1, low), begin, end)


def _together(cell: Numbers, begin: Numbers, end: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Neighbours of the same cell as one."""
    edges = np.concatenate([[0], np.flatnonzero(cell[1:] != cell[:-1]) + 1])
    return cell[edges], np.minimum.reduceat(begin, edges), np.maximum.reduceat(end, edges)
