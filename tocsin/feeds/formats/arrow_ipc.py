"""Arrow IPC: a stream of record batches of one schema. Columns are checked as columns; a bad row becomes a stream of one row.

Without a mapping, columns are taken by the names of the event (`id`, `kind`, `event_time`, `lon`, ...). A mapped path is a column name, then
fields of structs. Column types that could unfold to far more than was sent (views, lists, run-ends, unions) cannot be mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.feeds import mapping, paths, records, vectors
from tocsin.feeds.contract import Decoded
from tocsin.feeds.mapping import EVENT_TYPES, Field
from tocsin.feeds.repair import effort
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap

from . import arrow_limits, options
from .options import Options

OPTIONS: Final[Options] = {}
FLAT: Final = False
_DEFAULTS: Final[Mapping[str, FieldMap]] = {name: FieldMap(path=name) for name in EVENT_TYPES if name != "action"} | {
    "action": FieldMap(path="action", default="report")
}
_BROKEN: Final = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, KeyError)


def defaults(spec: FeedSpec) -> Mapping[str, FieldMap]:
    """Every event field from the column of its name."""
    value = spec.mapping.get("value")
    declared = value is not None and (value.unit or value.unit_path)
    return {name: field_map for name, field_map in _DEFAULTS.items() if not (declared and name == "unit")}


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event per row. Raises Skippable when the stream is broken, too large, or uses column types that cannot be mapped."""
    options.read(spec, OPTIONS)
    recipe = mapping.recipe(spec, defaults(spec))
    rows = Rows(_read(body))
    if recipe.personal:  # the careful way removes them first
        return records.decode(recipe, rows)
    found = {path: rows.column(path) for field in recipe.columns for path in field.reads()}
    with effort():
        made, bad = vectors.build(recipe, len(rows), lambda field: _found(field, found))
    every = np.arange(len(rows))
    return records.decode_columns(recipe, rows, made, every[~bad], every, len(rows))


def decode_carefully(body: bytes, spec: FeedSpec) -> Decoded:
    """The same answer without the fast way: what tests compare it with."""
    recipe = mapping.recipe(spec, defaults(spec))
    return records.decode(recipe, Rows(_read(body)))


def _found(field: Field, columns: Mapping[paths.Path, pa.Array]) -> list[Any] | pa.Array:
    if field.path:
        return columns[field.path]
    return vectors.filled(field, [vectors.values(columns[path]) for path in field.reads()])


class Rows:
    """The rows of a table as records."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def column(self, path: paths.Path) -> pa.Array:
        """The column (or struct field) a path leads to; nulls when there is none."""
        if path[0] not in self._table.column_names:
            return pa.nulls(len(self))
        found = self._table.column(path[0]).combine_chunks()
        for segment in path[1:]:
            if not pa.types.is_struct(found.type) or found.type.get_field_index(segment) < 0:
                return pa.nulls(len(self))
            found = pc.struct_field(found, segment)
        _must_be_plain(found, ".".join(path))
        return found

    def load(self, number: int) -> Any:
        row = self._table.slice(number, 1)
        return {name: vectors.values(column)[0] for name, column in zip(row.column_names, row.columns, strict=True)}

    def raw(self, number: int) -> bytes:
        """A stream of just this row: it can be decoded again by itself."""
        row = self._table.slice(number, 1)
        plain = [
            column.chunk(0).dictionary_decode() if pa.types.is_dictionary(column.type) else column.combine_chunks()
            for column in row.columns
        ]
        sink = pa.BufferOutputStream()
        alone = pa.table(plain, names=row.column_names)
        with pa.ipc.new_stream(sink, alone.schema) as writer:
            writer.write_table(alone)
        return bytes(sink.getvalue())

    def size(self, _: int) -> int:
        return 0  # a row is always kept whole

    def where(self, number: int) -> str:
        return f"row {number + 1}"


def _read(body: bytes) -> pa.Table:
    if body.startswith(b"ARROW1"):
        raise Skippable("an Arrow file; write the stream format instead (pyarrow.ipc.new_stream)")
    try:
        arrow_limits.check(body)
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            batches: list[pa.RecordBatch] = []
            for batch in reader:
                records.bounded(sum(one.num_rows for one in batches) + batch.num_rows)
                batch.validate(full=True)
                batches.append(batch)
            names = reader.schema.names
            if len(set(names)) != len(names):
                raise Skippable("two columns have one name")
            return _plain_times(pa.Table.from_batches(batches, reader.schema))
    except Skippable:
        raise
    except _BROKEN as error:
        raise Skippable(f"not a readable Arrow IPC stream: {type(error).__name__}") from None
    except StopIteration:
        raise Skippable("an Arrow IPC stream without a schema") from None


def _plain_times(table: pa.Table) -> pa.Table:
    """Nanoseconds cut to microseconds, what an instant is here (and Python has no more), and every zone called UTC: the instants are the
    same, and the name of the zone may be nonsense."""
    for at, known in enumerate(table.schema):
        if pa.types.is_timestamp(known.type):
            unit = "us" if known.type.unit == "ns" else known.type.unit
            plain = pa.timestamp(unit, "UTC" if known.type.tz else None)
            table = table.set_column(at, known.name, table.column(at).cast(plain, safe=False))
    return table


def _must_be_plain(column: pa.Array, name: str) -> None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        if _is_bytes(kind) and _unfolded(column) > arrow_limits.LARGEST:
            raise Skippable(f"a dictionary column that unfolds to more than {arrow_limits.LARGEST} bytes", name)
    if not any(test(kind) for test in _PLAIN):
        raise Skippable(f"a column of type {kind} cannot be mapped", name)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary))


def _unfolded(column: pa.Array) -> int:
    lengths = pc.cast(pc.binary_length(column.dictionary), pa.int64()).take(column.indices)
    return pc.sum(lengths).as_py() or 0


_PLAIN: Final = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_timestamp, pa.types.is_date,
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_null,
)  # fmt: skip
