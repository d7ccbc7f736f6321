"""The order of rows in a file: neighbours in place, kind, source and time lie together."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .rows import instants

DAY: Final = 86_400_000_000


def codes(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Numbers that sort as the names do; -1 for null. A dictionary column with one dictionary, or texts."""
    array = column.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    names = array.dictionary
    rank = np.empty(len(names) + 1, np.int32)
    rank[pc.sort_indices(names).to_numpy()] = np.arange(len(names), dtype=np.int32)
    rank[-1] = -1
    indices = array.indices.fill_null(len(names)) if array.indices.null_count else array.indices
    ranks: NDArray[np.int32] = rank[indices.to_numpy(zero_copy_only=False)]
    return ranks


def tiles(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Zoom 14; -1 where there is no place."""
    whole = column.combine_chunks()
    cell: NDArray[np.int64] = (whole.fill_null(-16) if whole.null_count else whole).to_numpy()
    return cell >> 4


def order(table: pa.Table, *, by_feed: bool) -> NDArray[np.int64]:
    """(tile, kind, source, time, seq), or `by_feed` (feed, tile, day, kind, source, time, seq). Rows of schema ROW with one dictionary a column."""
    time = instants(table.column("event_time"))
    keys = [table.column("seq").to_numpy(), time, codes(table.column("source")), codes(table.column("kind"))]
    if by_feed:
        keys += [time // DAY, tiles(table.column("cell")), codes(table.column("feed"))]
    else:
        keys.append(tiles(table.column("cell")))
    return np.lexsort(keys)


def in_order(table: pa.Table) -> pa.Table:
    """A day file's rows in its order."""
    return table.take(pa.array(order(table, by_feed=False)))
