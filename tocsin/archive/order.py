"""The order of rows in a file: neighbours in place, kind, source and time lie together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    return places([*keys, codes(table.column("kind")), codes(table.column("source")), time])


def places(keys: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Rows in the order of whole numbers, the most important first; what is equal stays in its order.

    Numbers and the row's own place go together into one word, so that words differ and the fastest sort there is will do; where one word has not
    enough bits, it is sorted again by the next more important."""
    count = len(keys[0])
    bits = max(count - 1, 1).bit_length()
    own = np.arange(count, dtype=np.int64)
    found: NDArray[np.int64] | None = None
    for word in _packed(keys, 63 - bits):
        whole = (word if found is None else word[found]) << bits
        whole |= own
        whole.sort()
        whole &= (1 << bits) - 1
        found = whole if found is None else found[whole]
    return own if found is None else found


def _packed(keys: Sequence[NDArray[Any]], room: int) -> Iterator[NDArray[np.int64]]:
    """Keys as few numbers of `room` bits that sort the same way, the least important first."""
    word, used = np.zeros(len(keys[0]), np.int64), 0
    for key in reversed(keys):
        low, high = (int(key.min()), int(key.max())) if len(key) else (0, 0)
        bits = (high - low).bit_length()
        rest = np.subtract(key, low, dtype=np.int64) if bits else word
        while bits > room - used:
            part = room - used
            word |= (rest & ((1 << part) - 1)) << used
            yield word
            rest >>= part
            word, used, bits = np.zeros(len(key), np.int64), 0, bits - part
        if bits:
            word |= np.left_shift(rest, used, out=rest)
            used += bits
    if used:
        yield word


def taken(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Rows of a table, in this order; each number is one of a row. Columns of nulls cost nothing."""
    places = pa.array(rows.astype(np.int32) if len(table) < 1 << 31 else rows)
    return pa.table([_gathered(column, rows, places) for column in table.columns], schema=table.schema)


def _gathered(column: pa.ChunkedArray, rows: NDArray[np.int64], places: pa.Array) -> pa.Array:
    array = column.combine_chunks()
    if array.null_count:
        there = present(array)[rows]
        if not there.any():
            return pa.nulls(len(rows), column.type)
        if there.all() and pa.types.is_primitive(array.type):  # none of the nulls is wanted
            array = pa.Array.from_buffers(array.type, len(array), [None, array.buffers()[1]], 0, array.offset)
    if not pa.types.is_dictionary(column.type):
        return pc.take(array, places, boundscheck=False)
    return pa.DictionaryArray.from_arrays(pc.take(array.indices, places, boundscheck=False), array.dictionary)


def present(array: pa.Array) -> NDArray[np.bool_]:
    """Which are not null."""
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), bool)
    found: NDArray[np.bool_] = np.unpackbits(np.frombuffer(bits, np.uint8), count=array.offset + len(array), bitorder="little")[
        array.offset :
    ].view(bool)
    return found
