"""Columns to the record batch: dictionaries, instants, the exercise's shift, `attrs`. Both ways of decoding end here.

A column is an Arrow array of the plain type `mapping.STORED` names (instants as int64 microseconds), or None for a field that is
the same in every record of the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.kernel.fault import Skippable
from tocsin.model.event import BASE_FIELDS, INSTANT, KIND, event_schema

from .mapping import STORED, Field, Recipe

Columns = list[pa.Array | None]

_DICTIONARIES: Final = {"kind", "source", "unit"}
_SHIFTED: Final = {"event_time", "valid_until"}
_FEW: Final = 64  # rows


def from_rows(recipe: Recipe, rows: Sequence[Sequence[Any]]) -> Columns:
    """Rows of `Recipe.row` -> columns."""
    table: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(recipe.columns)
    return [None if field.fixed else pa.array(values, STORED[field.type]) for field, values in zip(recipe.columns, table, strict=True)]


def interleave(first: Columns, at: Sequence[int], second: Columns, other: Sequence[int]) -> Columns:
    """Two sets of columns as one, ordered by the record index each row came from."""
    order = pa.array(np.argsort(np.concatenate([np.asarray(at, np.int64), np.asarray(other, np.int64)]), kind="stable"))
    return [None if one is None else pa.concat_arrays([one, two]).take(order) for one, two in zip(first, second, strict=True)]


def batch(recipe: Recipe, columns: Columns, count: int) -> pa.RecordBatch:
    """Columns of `count` rows -> a batch of `model.event.event_schema`. Raises Skippable when there are more kinds or units in one
    message than a dictionary holds (32,767)."""
    spec = recipe.spec
    made: dict[str, pa.Array] = {
        "feed": _dictionary("feed", None, spec.name, KIND, count),
        "ingest_time": _constant(INSTANT, None, count),
    }
    for field, column in zip(recipe.fields, columns, strict=False):
        made[field.name] = _base(field, column, count, spec.shift)
    arrays = [made[name] for name in (known.name for known in BASE_FIELDS)]
    attrs = [_plain(field, column, count) for field, column in zip(recipe.attrs, columns[len(recipe.fields) :], strict=True)]
    schema = _schema(tuple((name, field_map.as_type) for name, field_map in spec.attrs.items()))
    if attrs:
        kind = schema.field("attrs").type
        typed = [array if array.type == one.type else array.view(one.type) for array, one in zip(attrs, kind, strict=True)]
        arrays.append(pa.StructArray.from_arrays(typed, fields=list(kind)))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _base(field: Field, column: pa.Array | None, count: int, shift: int) -> pa.Array:
    known = _BASE[field.name]
    if field.name in _DICTIONARIES:
        return _dictionary(field.name, column, field.default, known, count)
    plain = _plain(field, column, count)
    if field.name not in _SHIFTED:
        return plain
    return (pc.add(plain, shift) if shift else plain).view(INSTANT)


def _plain(field: Field, column: pa.Array | None, count: int) -> pa.Array:
    return _constant(STORED[field.type], field.default, count) if column is None else column


def _dictionary(name: str, column: pa.Array | None, constant: Any, known: pa.DataType, count: int) -> pa.Array:
    if column is None:
        return _constant(known, constant, count)
    if count <= _FEW:
        return _small_dictionary(column.to_pylist(), known)
    encoded = column.dictionary_encode()
    if known.index_type == pa.int16() and len(encoded.dictionary) > np.iinfo(np.int16).max:
        raise Skippable(f"{len(encoded.dictionary)} different values of {name} in one message; 32767 fit", name)
    indices = encoded.indices if known.index_type == encoded.indices.type else encoded.indices.cast(known.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)


def _small_dictionary(values: Sequence[str | None], known: pa.DataType) -> pa.Array:
    """The same without Arrow's function calls, which cost more than the work when a message holds one record."""
    codes: dict[str, int] = {}
    indices = [None if value is None else codes.setdefault(value, len(codes)) for value in values]
    return pa.DictionaryArray.from_arrays(pa.array(indices, known.index_type), pa.array(list(codes), pa.string()))


def _constant(known: pa.DataType, value: Any, count: int) -> pa.Array:
    return _few(known, value, count) if count <= _FEW else _make_constant(known, value, count)


def _make_constant(known: pa.DataType, value: Any, count: int) -> pa.Array:
    if not pa.types.is_dictionary(known):
        return pa.nulls(count, known) if value is None else pa.repeat(pa.scalar(value, known), count)
    zeros = np.zeros(count, np.int16 if known.index_type == pa.int16() else np.int32)
    indices = pa.nulls(count, known.index_type) if value is None else pa.array(zeros)
    return pa.DictionaryArray.from_arrays(indices, pa.array([] if value is None else [value], pa.string()))


_few = lru_cache(maxsize=4096)(_make_constant)  # arrays never change, so small constant ones are made once


@lru_cache(maxsize=1024)
def _schema(attrs: tuple[tuple[str, str], ...]) -> pa.Schema:
    return event_schema(dict(attrs))


_BASE: Final = {known.name: known.type for known in BASE_FIELDS}
