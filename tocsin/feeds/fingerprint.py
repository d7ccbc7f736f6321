"""What makes two records the same: a key from the id, and a hash of everything the record says.

Both are computed for a whole batch at once. Python's own string hash is keyed per process (SipHash), so nobody can craft two
ids that collide; the numbers therefore mean nothing outside this process and are never written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .idtable import Keys, Values

Words = NDArray[np.uint64]

#: Not part of what a record says: the id is compared on its own, the feed is the same, the ingest time is ours.
APART: Final = ("id", "feed", "ingest_time")
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_HALF: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Prints:
    """`keys[i]` stands for the id of row i (never 0), `contents[i]` for what the row says (never 0)."""

    ids: list[str]
    keys: Keys
    contents: Values
    distinct: frozenset[int]  # the keys as a set


def prints(events: pa.RecordBatch) -> Prints:
    """Keys and content hashes of a batch of `model.event.event_schema`."""
    ids = events.column("id").to_pylist()
    hashes = list(map(hash, ids))
    keys = np.array(hashes, np.int64).view(np.uint64)
    keys[keys == 0] = 1
    return Prints(ids, keys, _contents(events), frozenset(hashes))


def _contents(events: pa.RecordBatch) -> Values:
    total = np.zeros(events.num_rows, np.uint64)
    for name, column in zip(events.schema.names, events.columns, strict=True):
        if name not in APART:
            _add(total, name, column)
    return ((_mixed(total) >> _HALF) | np.uint64(1)).astype(np.uint32)


def _add(total: Words, name: str, column: pa.Array) -> None:
    """Adds one column's part to the rows' sums; a null adds nothing, so a column of nulls equals no column."""
    if column.null_count == len(column):
        return
    if pa.types.is_struct(column.type):
        for field, child in zip(column.type, column.flatten(), strict=True):
            _add(total, f"{name}.{field.name}", child)
        return
    salt = np.uint64(hash(name) & 0xFFFF_FFFF_FFFF_FFFF)
    part = _mixed(_words(column) * _ODD + salt)
    if column.null_count:
        part[column.is_null().to_numpy(zero_copy_only=False)] = 0
    total += part


def _words(column: pa.Array) -> Words:
    """One 64-bit word per row; the word of a null is arbitrary."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        known = _words(column.dictionary)
        codes = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        words: Words = known[codes]
        return words
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return np.array(list(map(hash, column.to_pylist())), np.int64).view(np.uint64)
    if pa.types.is_timestamp(kind):
        return _fixed(column, np.int64).view(np.uint64)
    if pa.types.is_floating(kind):
        return _fixed(column, np.float64).view(np.uint64)
    numbers: NDArray[np.int64] = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64).view(np.uint64)


def _fixed(column: pa.Array, dtype: type) -> NDArray[np.generic]:
    """The value buffer as it is, without a copy."""
    item = np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * item)


def _mixed(words: Words) -> Words:
    """Spreads every bit over the word (the finaliser of SplitMix64, one round)."""
    words = (words ^ (words >> _HALF)) * _MIX
    words ^= words >> _HALF
    return words
