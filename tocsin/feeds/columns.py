"""Columns to the record batch: dictionaries, instants, the exercise's shift, `attrs`. Both ways of decoding end here.

A column is an Arrow array of the plain type `mapping.STORED` names (instants as int64 microseconds), or None for a field that is
the same in every record of the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        "ingest_time": pa.nulls(count, INSTANT),
    }
    for field, column in zip(recipe.fields, columns, strict=False):
        made[field.name] = _base(field, column, count, spec.shift)
    arrays = [made[name] for name in (known.name for known in BASE_FIELDS)]
    attrs = [_plain(field, column, count) for field, column in zip(recipe.attrs, columns[len(recipe.fields) :], strict=True)]
    schema = event_schema({name: field_map.as_type for name, field_map in spec.attrs.items()})
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
    if column is not None:
        return column
    if field.default is None:
        return pa.nulls(count, STORED[field.type])
    return pa.repeat(pa.scalar(field.default, STORED[field.type]), count)


def _dictionary(name: str, column: pa.Array | None, constant: Any, known: pa.DataType, count: int) -> pa.Array:
    if column is None:
        values = [] if constant is None else [constant]
        zeros = pa.array(np.zeros(count, np.int16 if known.index_type == pa.int16() else np.int32))
        indices = pa.nulls(count, known.index_type) if constant is None else zeros
        return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))
    encoded = column.dictionary_encode()
    if known.index_type == pa.int16() and len(encoded.dictionary) > np.iinfo(np.int16).max:
        raise Skippable(f"{len(encoded.dictionary)} different values of {name} in one message; 32767 fit", name)
    indices = encoded.indices if known.index_type == encoded.indices.type else encoded.indices.cast(known.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)


_BASE: Final = {known.name: known.type for known in BASE_FIELDS}
