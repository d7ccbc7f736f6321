"""Parquet and Arrow files in columns like ROW's, to rows: what must be there, what may be, and which rows are refused and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import ipc

from tocsin.kernel.fault import Fatal, Skippable, nearest
from tocsin.model.archive import ROW

from .rows import attrs_json, cell_column, numbers

NEEDED: Final = ("id", "kind", "event_time")
OWN: Final = ("seq", "feed", "cell")  # given by the archive
KNOWN: Final = tuple(name for name in ROW.names if name not in OWN)
IGNORED: Final = (*OWN, "id_form")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_DEFAULT: Final[Mapping[str, Any]] = {"action": 0}


def tables(path: Path, skip: int = 0) -> Iterator[pa.Table]:
    """The row groups of a Parquet file, or the batches of an Arrow IPC file or stream, from number `skip` on. Raises Fatal, OSError."""
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if head[:4] == b"PAR1":
            with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=_names(path)) as found:
                check(path, found.schema_arrow)
                for number in range(skip, found.metadata.num_row_groups):
                    yield found.read_row_group(number, columns=[name for name in found.schema_arrow.names if name in KNOWN])
            return
        for number, batch in enumerate(_batches(path, head)):
            if number >= skip:
                yield pa.Table.from_batches([batch])
    except pa.ArrowException as fault:
        raise Fatal(f"{path} cannot be read as Parquet or Arrow: {fault}") from None


def _names(path: Path) -> list[str]:
    """Columns of names that repeat: read as dictionaries."""
    schema = pq.read_schema(path)
    return [
        name for name in ("kind", "source", "unit") if name in schema.names and schema.field(name).type in {pa.string(), pa.large_string()}
    ]


def is_columns(path: Path) -> bool:
    """Whether a file is Parquet or Arrow, by its first bytes or its name. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(6)
    return head[:4] == b"PAR1" or head == b"ARROW1" or path.suffix in {".arrow", ".arrows", ".feather"}


def _batches(path: Path, head: bytes) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file:
        if head == b"ARROW1":
            reader = ipc.open_file(file)
            check(path, reader.schema)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)
            return
        stream = ipc.open_stream(file)
        check(path, stream.schema)
        yield from stream


def check(path: Path, schema: pa.Schema) -> None:
    """Raises Fatal when columns are missing or unknown."""
    missing = [name for name in NEEDED if name not in schema.names]
    if missing:
        raise Fatal(f"{path} has no column {', '.join(missing)}; found {', '.join(schema.names)}; needed are {', '.join(NEEDED)}")
    for name in schema.names:
        if name not in KNOWN and name not in IGNORED:
            raise Fatal(
                f"{path} has a column {name!r} that an event does not have; {nearest(name, KNOWN)}. Put what is the feed's own into attrs"
            )


def rows(table: pa.Table, feed: str, learnt: int, personal: Iterable[str]) -> tuple[pa.Table, dict[str, int]]:
    """Schema ROW with `seq` 0, and how many rows were refused, by reason. `learnt`: ingest time of rows that have none, µs.
    `personal`: names of attributes that must not be kept. Raises Skippable when a column is of the wrong type."""
    count = len(table)
    feeds = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([feed]))
    columns: dict[str, Any] = {"seq": pa.array(np.zeros(count, np.int64)), "feed": feeds}
    for field in ROW:
        if field.name in columns or field.name == "cell":
            continue
        columns[field.name] = _column(table, field, personal)
    columns["ingest_time"] = pc.fill_null(columns["ingest_time"], pa.scalar(learnt, ROW.field("ingest_time").type))
    columns["cell"] = cell_column(columns["lon"], columns["lat"])
    good, refused = _fit(columns, count)
    whole = pa.table([columns[field.name] for field in ROW], names=ROW.names)
    return (whole if good.all() else whole.filter(pa.array(good))).cast(ROW), refused


def _column(table: pa.Table, field: pa.Field, personal: Iterable[str]) -> pa.ChunkedArray:
    if field.name not in table.schema.names:
        value = pa.scalar(_DEFAULT.get(field.name), field.type)
        return pa.chunked_array([pa.array([value.as_py()], field.type).take(pa.array(np.zeros(len(table), np.int64)))])
    column = table.column(field.name)
    try:
        if field.name == "attrs":
            return _attrs(column, frozenset(personal))
        if pa.types.is_timestamp(field.type) and pa.types.is_timestamp(column.type) and column.type.tz is None:
            column = column.cast(pa.timestamp(column.type.unit, "UTC"))
        if pa.types.is_dictionary(field.type):
            return (column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()).cast(field.type)
        return column.cast(field.type)
    except (pa.ArrowException, ValueError, TypeError) as fault:
        raise Skippable(f"column {field.name} is {column.type}, which cannot be {field.type}: {fault}") from None


def _attrs(column: pa.ChunkedArray, personal: frozenset[str]) -> pa.ChunkedArray:
    if pa.types.is_struct(column.type):
        kept = [field for field in column.type if field.name not in personal]
        struct = column.combine_chunks()
        parts = pa.StructArray.from_arrays([struct.field(field.name) for field in kept], fields=kept, mask=struct.is_null())
        return pa.chunked_array([attrs_json(pa.chunked_array([parts]))])
    texts = column.cast(pa.string())
    if not personal:
        return texts
    cleaned = []
    for text in texts.to_pylist():
        said = None if text is None else {name: value for name, value in orjson.loads(text).items() if name not in personal}
        cleaned.append(orjson.dumps(said).decode() if said else None)
    return pa.chunked_array([pa.array(cleaned, pa.string())])


def _fit(columns: dict[str, Any], count: int) -> tuple[Any, dict[str, int]]:
    """Which rows can be events."""
    lon, lat = numbers(columns["lon"]), numbers(columns["lat"])
    nowhere = np.isnan(lon) & np.isnan(lat)
    kinds = pa.table([columns["kind"]], ["kind"]).unify_dictionaries().column(0).combine_chunks()
    valid = np.array([*(kind is not None and _KIND.fullmatch(kind) is not None for kind in kinds.dictionary.to_pylist()), False])
    action, severity = (pc.fill_null(columns[name], 0).to_numpy() for name in ("action", "severity"))
    tests = {
        "no id": pc.is_null(columns["id"]).to_numpy() | (pc.equal(pc.fill_null(columns["id"], ""), "").to_numpy()),
        "no event_time": pc.is_null(columns["event_time"]).to_numpy(),
        "no valid kind": ~valid[kinds.indices.fill_null(-1).to_numpy()],
        "lon or lat out of range": ~(nowhere | ((np.abs(lon) <= 180) & (np.abs(lat) <= 90))),
        "action is not 0, 1 or 2": (action < 0) | (action > 2),
        "severity is not 0 to 4": (severity < 0) | (severity > 4),
    }
    good = np.ones(count, bool)
    refused = {}
    for reason, bad in tests.items():
        if number := int((bad & good).sum()):
            refused[reason] = number
        good &= ~bad
    return good, refused
