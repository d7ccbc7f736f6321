"""Rollups: what every kind of every feed said in a tile in an hour or a day, small enough to be added up for any dashboard."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.archive import ROLLUP, Want
from tocsin.model.event import INSTANT

from .order import DAY, codes, places, taken
from .rows import instants, wanted

HOUR: Final = 3_600_000_000
STEPS: Final = {"hourly": HOUR, "daily": 24 * HOUR}
_KEYS: Final = ("start", "cell", "feed", "kind")


def roll(table: pa.Table, step: str) -> pa.Table:
    """Rows (with the columns of ROW) -> ROLLUP, sorted by day, tile, feed, kind, start: who asks for some days opens no other row group."""
    start = pa.array(instants(table.column("event_time")) // STEPS[step] * STEPS[step], INSTANT)
    cell = table.column("cell").combine_chunks()
    value = table.column("value")
    tile = pa.array(cell.fill_null(0).to_numpy() >> 4, mask=cell.is_null().to_numpy(zero_copy_only=False))
    keyed = pa.table(
        {
            "start": start,
            "cell": tile,
            "feed": table.column("feed"),
            "kind": table.column("kind"),
            "rows": pa.array(np.ones(len(table), np.int64)),
            "values": pc.is_valid(value).cast(pa.int64()),
            "total": value,
            "low": value,
            "high": value,
            "severity": table.column("severity"),
        }
    )
    return _grouped(keyed)


def joined(parts: list[pa.Table], step: str) -> pa.Table:
    """Rollups of different rows as one of all of them; `step` may be coarser than theirs."""
    whole = pa.concat_tables([part.cast(ROLLUP) for part in parts]).unify_dictionaries().combine_chunks()
    start = pa.array(instants(whole.column("start")) // STEPS[step] * STEPS[step], INSTANT)
    return _grouped(whole.set_column(0, "start", start))


def _grouped(table: pa.Table) -> pa.Table:
    found = table.group_by(list(_KEYS), use_threads=False).aggregate(
        [("rows", "sum"), ("values", "sum"), ("total", "sum"), ("low", "min"), ("high", "max"), ("severity", "max")]
    )
    columns = [found.column(name if name in _KEYS else _found(name)) for name in ROLLUP.names]
    whole = pa.table([_named(column, field) for column, field in zip(columns, ROLLUP, strict=True)], schema=ROLLUP)
    start, tile = instants(whole.column("start")), whole.column("cell").combine_chunks().fill_null(-1).to_numpy()
    return taken(whole, places([start // DAY, tile, codes(whole.column("feed")), codes(whole.column("kind")), start]))


def _found(name: str) -> str:
    return f"{name}_{'min' if name == 'low' else 'max' if name in {'high', 'severity'} else 'sum'}"


def _named(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    return column.cast(field.type) if column.type != field.type else column


def wanted_rollups(table: pa.Table, want: Want) -> pa.Table:
    """Buckets that begin within the span asked for. A rollup knows tiles, not places: a box is for whoever asked to cut."""
    like = table.rename_columns(["event_time", *table.schema.names[1:]])
    kept = wanted(like, Want(want.start, want.stop, None, want.feeds, want.kinds))
    return kept.rename_columns(ROLLUP.names)
