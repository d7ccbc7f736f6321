"""What makes two records the same: a key from the id, and a hash of everything the record says.

Both are computed for a whole batch at once, from its Arrow columns, without making Python objects of them. Texts are hashed with
secrets of this process (`kernel/texthash.py`), so nobody can craft two ids that collide; the numbers mean nothing outside it and are never
written down.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.kernel.texthash import Words, mixed, text_words

from .idtable import Keys, Values

#: Not part of what a record says: the id is compared on its own, the feed is the same, the ingest time is ours.
APART: Final = ("id", "feed", "ingest_time")
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_HALF: Final = np.uint64(32)
_ONE: Final = np.uint64(1)
#: By type number, because comparing and hashing Arrow types goes through their names.
_RAW: Final[dict[int, type[np.generic]]] = {
    kind.id: raw
    for kind, raw in (
        (pa.float64(), np.float64),
        (pa.int64(), np.int64),
        (pa.timestamp("us"), np.int64),
        (pa.int8(), np.int8),
    )
}
_DICTIONARY: Final = pa.dictionary(pa.int8(), pa.string()).id
_STRUCT: Final = pa.struct([]).id
_TEXTS: Final = (pa.string().id, pa.binary().id)


@dataclass(frozen=True, slots=True)
class Prints:
    """`keys[i]` stands for the id of row i (never 0), `contents[i]` for what the row says (never 0)."""

    names: pa.Array
    keys: Keys
    contents: Values


def prints(events: pa.RecordBatch) -> Prints:
    """Keys and content hashes of a batch of `model.event.event_schema`."""
    names = events.column("id")
    keys = text_words(names)
    keys[keys == 0] = 1
    return Prints(names, keys, _contents(events))


def _contents(events: pa.RecordBatch) -> Values:
    """Per row the sum over its columns of a mixed word each. A null adds nothing, so a column of nulls equals no column."""
    said = [
        (name, column)
        for name, column in _plain(zip(events.schema.names, events.columns, strict=True))
        if name not in APART and column.null_count < len(column)
    ]
    words = np.empty((len(said), events.num_rows), np.uint64)
    for place, (_, column) in enumerate(said):
        words[place] = _words(column)
    words *= _ODD
    words += np.array([_salt(name) for name, _ in said], np.uint64)[:, None]
    words = mixed(words)
    for place, (_, column) in enumerate(said):
        if column.null_count:
            words[place, column.is_null().to_numpy(zero_copy_only=False)] = 0
    total: Words = words.sum(axis=0, dtype=np.uint64)
    return ((mixed(total) >> _HALF) | _ONE).astype(np.uint32)


def _plain(columns: Iterable[tuple[str, pa.Array]]) -> Iterator[tuple[str, pa.Array]]:
    """The columns, and for a struct those inside it."""
    for name, column in columns:
        if column.type.id == _STRUCT:
            yield from _plain((f"{name}.{field.name}", child) for field, child in zip(column.type, column.flatten(), strict=True))
        else:
            yield name, column


@functools.cache
def _salt(name: str) -> np.uint64:
    """Keeps the same value in two columns apart."""
    return np.uint64(hash(name) & 0xFFFF_FFFF_FFFF_FFFF)


def _words(column: pa.Array) -> Words:
    """One 64-bit word per row (one for all rows when all say the same); the word of a null is arbitrary."""
    kind = column.type.id
    if kind == _DICTIONARY:
        known = _words(column.dictionary)
        if known.size == 1:
            return known
        codes = column.indices if column.null_count == 0 else column.indices.fill_null(0)
        words: Words = known[codes.to_numpy(zero_copy_only=False)]
        return words
    if kind in _TEXTS:
        return text_words(column)
    if kind not in _RAW:  # booleans, which are bits
        column = column.cast(pa.int8())
    return _fixed(column, _RAW[column.type.id])


def _fixed(column: pa.Array, dtype: type[np.generic]) -> Words:
    """The value buffer as it is, widened to words."""
    item = np.dtype(dtype).itemsize
    raw = np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * item)
    return raw.view(np.uint64) if item == 8 else raw.astype(np.uint64)
