"""What few rules ask of few events of a batch: values that events are linked by, and areas. Looked up only for the rows asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .columns import Extras

Link = str | int | float | None
_ATTRS = "attrs."


class BatchExtras:
    """`columns.Extras` of a record batch."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def links(self, field: str, rows: Sequence[int]) -> list[Link]:
        """Values of a field. A source is scoped to its feed (SEMANTICS 8); a boolean is the text `true` or `false`, an instant its µs."""
        there = pa.array(rows, pa.int32())
        if field == "source":
            feeds, sources = (self._batch.column(name).take(there).to_pylist() for name in ("feed", "source"))
            return [None if source is None else f"{feed}/{source}" for feed, source in zip(feeds, sources, strict=True)]
        column = self._column(field)
        if column is None:
            return [None] * len(rows)
        if pa.types.is_timestamp(column.type):
            column = column.view(pa.int64())
        return [_plain(value) for value in column.take(there).to_pylist()]

    def areas(self, rows: Sequence[int]) -> list[bytes | None]:
        """Areas as WKB."""
        areas: list[bytes | None] = self._batch.column("area").take(pa.array(rows, pa.int32())).to_pylist()
        return areas

    def _column(self, field: str) -> pa.Array | None:
        names = self._batch.schema.names
        if not field.startswith(_ATTRS):
            return self._batch.column(field) if field in names else None
        name = field.removeprefix(_ATTRS)
        if "attrs" not in names or self._batch.column("attrs").type.get_field_index(name) < 0:
            return None
        return pc.struct_field(self._batch.column("attrs"), [name])


class Picked:
    """Some rows of other extras, in any order."""

    def __init__(self, whole: Extras, rows: NDArray[np.intp]) -> None:
        self._whole = whole
        self._rows = rows

    def links(self, field: str, rows: Sequence[int]) -> list[Link]:
        """Values of a field."""
        return self._whole.links(field, self._rows[list(rows)].tolist())

    def areas(self, rows: Sequence[int]) -> list[bytes | None]:
        """Areas as WKB."""
        return self._whole.areas(self._rows[list(rows)].tolist())


class Joined:
    """Rows of several extras, one after the other: (extras or None, first row in them, how many)."""

    def __init__(self, parts: Sequence[tuple[Extras | None, int, int]]) -> None:
        self._parts = [(extras, first) for extras, first, _ in parts]
        self._starts = np.cumsum([0, *(n for _, _, n in parts)])

    def links(self, field: str, rows: Sequence[int]) -> list[Link]:
        """Values of a field."""
        return [None if extras is None else extras.links(field, [row])[0] for extras, row in map(self._place, rows)]

    def areas(self, rows: Sequence[int]) -> list[bytes | None]:
        """Areas as WKB."""
        return [None if extras is None else extras.areas([row])[0] for extras, row in map(self._place, rows)]

    def _place(self, row: int) -> tuple[Extras | None, int]:
        part = int(np.searchsorted(self._starts, row, "right")) - 1
        extras, first = self._parts[part]
        return extras, row - int(self._starts[part]) + first


def _plain(value: Link | bool) -> Link:
    return str(value).lower() if isinstance(value, bool) else value
