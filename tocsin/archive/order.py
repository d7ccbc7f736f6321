"""The order of rows in a file: neighbours in place, kind, source and time lie together."""

from __future__ import annotations

from typing import Any, Final

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


def order(table: pa.Table, *, by_day: bool, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(tile, kind, source, time), or `by_day` (group, tile, day, kind, source, time); what is equal stays in its order. Rows with the columns of ROW,
    one dictionary a column. `groups`: a number for each row, which file it goes to."""
    time = instants(table.column("event_time"))
    keys: list[NDArray[Any]] = [] if groups is None else [groups]
    keys.append(tiles(table.column("cell")))
    if by_day:
        keys.append(time // DAY)
    keys += [codes(table.column("kind")), codes(table.column("source"))]
    return np.lexsort([time, *_packed(keys)])


def _packed(keys: list[NDArray[Any]]) -> list[NDArray[np.int64]]:
    """Keys, the most important first, as few numbers that sort the same way; least important first, as lexsort has it."""
    packed: list[NDArray[np.int64]] = []
    used = 64
    for key in reversed(keys):
        low, high = (int(key.min()), int(key.max())) if len(key) else (0, 0)
        bits = (high - low).bit_length()
        if used + bits > 62:
            packed.append(np.zeros(len(key), np.int64))
            used = 0
        if bits:
            packed[-1] |= (key.astype(np.int64) - low) << used
        used += bits
    return packed


def taken(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Rows of a table, in this order. Columns of nulls cost nothing."""
    indices = pa.array(rows)
    columns = []
    for column in table.columns:
        if column.null_count == len(column):
            columns.append(pa.nulls(len(rows), column.type))
        else:
            columns.append(column.combine_chunks().take(indices))
    return pa.table(columns, schema=table.schema)
