"""Rows to a Parquet file that any engine reads as it is, and back: how columns are encoded, and what the catalogue must know of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tocsin.model.archive import ID_FORM, ROW, Box
from tocsin.model.outline import GroupOutline, Outline
from tocsin.model.rowids import full_ids

from .forms import forms_of
from .order import present
from .rows import instants, numbers
from .spots import bits, group_outline

#: Rows of a row group, by tier. Whoever looks for a place and an hour decodes whole ones, so they are small, and smaller where most questions are about;
#: rollups are read by the month. A column of a row group is one page: it is smaller than two, and nobody reads half of one.
GROUPS: Final = {"day": 16_384, "month": 32_768, "hourly": 65_536, "daily": 65_536}
LEVEL: Final = 3  # of zstd
#: Columns of a file: those of ROW, an id that can be made again being null, and how it is made.
STORED: Final = pa.schema([*(f.with_nullable(True) if f.name == "id" else f for f in ROW), ID_FORM])
_LOOKED_AT: Final = 16_384  # rows that decide how a column is written
_ALWAYS: Final = frozenset({"severity", "action", "id_form"})  # few values: a dictionary


def stored(table: pa.Table) -> pa.Table:
    """ROW -> STORED: ids that can be made of source and time are left out."""
    ids, source = table.column("id").combine_chunks(), table.column("source").combine_chunks()
    forms = forms_of(ids, source, instants(table.column("event_time")))
    found = {"id": _kept(ids, forms), "id_form": pa.array(forms)}
    return pa.table([found[f.name] if f.name in found else table.column(f.name) for f in STORED], schema=STORED)


def _kept(ids: pa.Array, forms: NDArray[np.int8]) -> pa.Array:
    """Null where the id has a form."""
    if not forms.any():
        return ids
    if forms.all():
        return pa.nulls(len(ids), pa.string())
    return pc.if_else(pa.array(forms > 0), pa.scalar(None, pa.string()), ids)


def loaded(table: pa.Table) -> pa.Table:
    """STORED -> ROW."""
    whole = table.set_column(table.schema.get_field_index("id"), ROW.field("id"), full_ids(table))
    return whole.select(ROW.names).cast(ROW)


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A file as schema STORED, or some of its columns."""
    return pq.ParquetFile(path, memory_map=False).read(columns=None if columns is None else list(columns))


@dataclass(slots=True)
class Summary:
    """What the catalogue must know of the rows of a file. Times in µs."""

    rows: int = 0
    start: int = 2**63 - 1
    stop: int = -(2**63)
    first: int = 2**63 - 1
    last: int = -(2**63)
    box: Box | None = None
    feeds: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def add(self, table: pa.Table) -> None:
        """A table with the columns of ROW."""
        if not len(table):
            return
        time, seq = instants(table.column("event_time")), table.column("seq").to_numpy()
        self.rows += len(table)
        self.start, self.stop = min(self.start, int(time.min())), max(self.stop, int(time.max()))
        self.first, self.last = min(self.first, int(seq.min())), max(self.last, int(seq.max()))
        self.box = _joined(self.box, numbers(table.column("lon")), numbers(table.column("lat")))
        self.feeds |= set(distinct(table.column("feed")))
        self.kinds |= set(distinct(table.column("kind")))


def distinct(column: pa.ChunkedArray) -> list[str]:
    """The names that occur, sorted."""
    return sorted(name for name in pc.unique(column.combine_chunks()).cast(pa.string()).to_pylist() if name is not None)


def _joined(box: Box | None, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Box | None:
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        return box
    lon, lat = lon[known], lat[known]
    found = Box(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    if box is None:
        return found
    return Box(min(box.west, found.west), min(box.south, found.south), max(box.east, found.east), max(box.north, found.north))


class Writer:
    """Writes one file of a tier, row group by row group. Encodings are chosen by the first rows."""

    def __init__(self, path: Path, tier: str, schema: pa.Schema = STORED) -> None:
        self.path = path
        self.schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._group = GROUPS[tier]
        self._outlines: list[GroupOutline] = []

    @property
    def outline(self) -> Outline | None:
        """What the row groups of a closed file hold; None for a rollup."""
        return Outline.of(self._outlines) if self.schema is STORED else None

    def add(self, table: pa.Table) -> None:
        """Rows in the order of the file."""
        self._waiting.append(table)
        self._rows += len(table)
        if self._rows >= 2 * self._group:
            self._flush(self._rows - self._rows % self._group)

    def close(self) -> None:
        """Raises OSError. The file is written, not yet synced."""
        self._flush(self._rows)
        assert self._writer is not None
        self._writer.close()

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.path.unlink(missing_ok=True)

    def _flush(self, rows: int) -> None:
        whole = pa.concat_tables(self._waiting) if self._waiting else self.schema.empty_table()
        now, later = whole.slice(0, rows), whole.slice(rows)
        self._waiting, self._rows = ([later] if len(later) else []), len(later)
        table = now.unify_dictionaries().combine_chunks()
        if self._writer is None:
            self._writer = self._open(table)
        for start in range(0, len(table), self._group):
            self._write_group(table.slice(start, self._group))
        if not len(table):
            self._write_group(table)

    def _write_group(self, table: pa.Table) -> None:
        assert self._writer is not None
        self._writer.write_table(fitted(table), row_group_size=self._group)
        if self.schema is STORED:
            self._outlines.append(group_outline(table, bits(column.null_count == len(table) for column in table.columns)))

    def _open(self, table: pa.Table) -> pq.ParquetWriter:
        names, encodings = choose(table)
        return pq.ParquetWriter(
            self.path, self.schema, compression="zstd", compression_level=LEVEL, use_dictionary=names or False, column_encoding=encodings or None,
            max_rows_per_page=self._group, write_page_index=True, write_page_checksum=True, version="2.6",
        )  # fmt: skip


def fitted(table: pa.Table) -> pa.Table:
    """With dictionaries of those names alone that occur: a row group is written with the whole dictionary, and who looks into it reads that first. One
    chunk a column."""
    for place, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type) and column.null_count < len(column):
            table = table.set_column(place, table.schema.field(place), _fitted(column.chunk(0)))
    return table


def _fitted(array: pa.DictionaryArray) -> pa.Array:
    codes = array.indices.fill_null(0).to_numpy() if array.null_count else array.indices.to_numpy()
    used = np.bincount(codes if not array.null_count else codes[present(array.indices)], minlength=len(array.dictionary)) > 0
    if used.all():
        return array
    numbers = (np.cumsum(used, dtype=np.int32) - 1)[codes]
    gone = ~present(array.indices) if array.null_count else None
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32(), mask=gone), array.dictionary.filter(pa.array(used)))


def choose(table: pa.Table) -> tuple[list[str], dict[str, str]]:
    """Columns with a dictionary, and the encodings of the others."""
    sample = table.slice(max(0, (len(table) - _LOOKED_AT) // 2), _LOOKED_AT)
    names, encodings = [], {}
    for column in table.schema:
        if pa.types.is_dictionary(column.type) or column.name in _ALWAYS:
            names.append(column.name)
            continue
        best = _smallest(sample.select([column.name]))
        if best == "DICTIONARY":
            names.append(column.name)
        else:
            encodings[column.name] = best
    return names, encodings


def _smallest(sample: pa.Table) -> str:
    """The encoding that takes least room for one column: tried, because it hangs on how regularly a feed speaks."""
    (column,) = sample.schema
    if sample.column(0).null_count == len(sample):
        return "DICTIONARY"
    tries = ["DICTIONARY", "PLAIN"]
    if pa.types.is_integer(column.type) or pa.types.is_timestamp(column.type):
        tries.append("DELTA_BINARY_PACKED")
    elif pa.types.is_string(column.type):
        tries.append("DELTA_BYTE_ARRAY")
    sizes = {}
    for encoding in tries:
        sink = pa.BufferOutputStream()
        how: Any = (
            {"use_dictionary": True} if encoding == "DICTIONARY" else {"use_dictionary": False, "column_encoding": {column.name: encoding}}
        )
        pq.write_table(sample, sink, compression="zstd", compression_level=LEVEL, store_schema=False, **how)
        sizes[encoding] = sink.tell()
    return min(sizes, key=lambda name: sizes[name])


def sha256_of(path: Path) -> str:
    """Of a file's bytes, as hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def groups_of(path: Path) -> Any:
    """The footer of a file. Raises OSError, pa.ArrowInvalid."""
    return pq.read_metadata(path)


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Tables of one schema as one; dictionaries are made one."""
    return pa.concat_tables(list(tables)).unify_dictionaries().combine_chunks()
