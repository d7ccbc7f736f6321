"""Rows of the archive: what the journal says of an event, as ROW has it, and what of them is wanted."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.archive import ROW, Want
from tocsin.model.event import INSTANT
from tocsin.model.ids import event_seq
from tocsin.model.time import EPOCH, from_datetime, to_iso

from .tiles import cells

#: ROW as the hot tail keeps it: every batch with its own texts, because a dictionary for a handful of rows costs more than it saves.
PLAIN: Final = pa.schema([field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in ROW])
_SAME: Final = ("id", "event_time", "ingest_time", "lon", "lat", "area", "valid_until", "value", "severity", "action", "refers_to", "text")
_NAMES: Final = ("feed", "kind", "source", "unit")
_FIRST: Final = from_datetime(EPOCH.replace(year=1))
_LAST: Final = from_datetime(EPOCH.replace(year=9999, month=12, day=31))


def journal_rows(entries: Sequence[tuple[int, pa.RecordBatch]]) -> pa.Table:
    """Journal entries (stream sequence, batch of `model.event.event_schema`) as rows of schema PLAIN in journal order."""
    groups: dict[pa.Schema, list[tuple[int, pa.RecordBatch]]] = {}
    for seq, batch in entries:
        groups.setdefault(batch.schema, []).append((seq, batch))
    parts = [_rows([batch for _, batch in group], _seqs(group)) for group in groups.values()]
    if not parts:
        return PLAIN.empty_table()
    whole = pa.concat_tables(parts)
    return whole if len(groups) == 1 else whole.sort_by("seq")


def _seqs(group: Sequence[tuple[int, pa.RecordBatch]]) -> NDArray[np.int64]:
    return np.concatenate([event_seq(seq, 0) + np.arange(len(batch), dtype=np.int64) for seq, batch in group])


def _rows(batches: Sequence[pa.RecordBatch], seqs: NDArray[np.int64]) -> pa.Table:
    events = pa.Table.from_batches(batches)
    columns: dict[str, Any] = {"seq": pa.array(seqs)}
    columns |= {name: events.column(name) for name in _SAME}
    columns |= {name: events.column(name).cast(pa.string()) for name in _NAMES}
    columns["attrs"] = attrs_json(events.column("attrs")) if "attrs" in events.schema.names else pa.nulls(len(events), pa.string())
    columns["cell"] = cell_column(events.column("lon"), events.column("lat"))
    return pa.table([columns[field.name] for field in PLAIN], schema=PLAIN)


def attrs_json(column: pa.ChunkedArray) -> pa.Array:
    """Attributes as JSON objects without those that are null; null where none is left. Times are ISO 8601 in UTC, or microseconds where no
    calendar has them."""
    struct = column.combine_chunks()
    fields = {
        field.name: [_instant(us) for us in values.cast(pa.int64()).to_pylist()] if field.type == INSTANT else values.to_pylist()
        for field, values in zip(struct.type, struct.flatten(), strict=True)
    }
    texts = []
    for row in range(len(struct)):
        said = {name: values[row] for name, values in fields.items() if values[row] is not None}
        texts.append(orjson.dumps(said).decode() if said else None)
    return pa.array(texts, pa.string())


def _instant(us: int | None) -> str | int | None:
    return us if us is None or not _FIRST <= us <= _LAST else to_iso(us)


def cell_column(lon: pa.ChunkedArray, lat: pa.ChunkedArray) -> pa.Array:
    """Null where there is no place."""
    east, north = numbers(lon), numbers(lat)
    nowhere = ~(np.isfinite(east) & np.isfinite(north))
    return pa.array(cells(np.where(nowhere, 0.0, east), np.where(nowhere, 0.0, north)), mask=nowhere)


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """As float64, nan for null."""
    return np.asarray(column.to_numpy(), np.float64)


def instants(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Microseconds; 0 for null."""
    whole = column.cast(pa.int64())
    return np.asarray((pc.fill_null(whole, 0) if whole.null_count else whole).to_numpy(), np.int64)


def encoded(table: pa.Table) -> pa.Table:
    """PLAIN -> ROW: names as dictionaries, one dictionary a column. Names may be dictionaries already."""
    whole = table.unify_dictionaries()
    columns = []
    for field in ROW:
        column = whole.column(field.name)
        if pa.types.is_dictionary(field.type):
            column = column.combine_chunks()
            column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        columns.append(column)
    return pa.table(columns, schema=ROW)


def wanted(table: pa.Table, want: Want) -> pa.Table:
    """The rows that a question needs. A row without a place is in no box."""
    masks: list[Any] = []
    time = table.column("event_time").cast(pa.int64()) if want.start is not None or want.stop is not None else None
    if want.start is not None:
        masks.append(pc.greater_equal(time, want.start))
    if want.stop is not None:
        masks.append(pc.less(time, want.stop))
    if want.first is not None:
        masks.append(pc.greater_equal(table.column("seq"), want.first))
    if want.last is not None:
        masks.append(pc.less_equal(table.column("seq"), want.last))
    if want.feeds:
        masks.append(pc.is_in(table.column("feed").cast(pa.string()), pa.array(want.feeds, pa.string())))
    masks += [*_kind_mask(table, want), *_box_mask(table, want)]
    return table.filter(functools.reduce(pc.and_, masks)) if masks else table


def _kind_mask(table: pa.Table, want: Want) -> Iterable[Any]:
    if not want.kinds:
        return
    kinds = table.column("kind").cast(pa.string())
    known = [kind for kind in pc.unique(kinds).to_pylist() if is_kind(kind, want.kinds)]
    yield pc.is_in(kinds, pa.array(known, pa.string()))


def is_kind(kind: str, prefixes: Sequence[str]) -> bool:
    """Whether a kind is one of those asked for by dotted prefixes."""
    return any(kind == prefix or kind.startswith(prefix + ".") for prefix in prefixes)


def _box_mask(table: pa.Table, want: Want) -> Iterable[Any]:
    if want.box is None:
        return
    west, south, east, north = want.box
    lon, lat = table.column("lon"), table.column("lat")
    if west <= east:
        across = pc.and_(pc.greater_equal(lon, west), pc.less_equal(lon, east))
    else:
        across = pc.or_(pc.greater_equal(lon, west), pc.less_equal(lon, east))
    yield pc.fill_null(pc.and_(across, pc.and_(pc.greater_equal(lat, south), pc.less_equal(lat, north))), False)
