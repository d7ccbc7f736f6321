"""Rows of the archive as the engine reads them: the journal's events again, entry by entry, encoded all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.codebook import CodeBook
from tocsin.correlate.columns import Columns
from tocsin.model.archive import ROW
from tocsin.model.ids import ROW_BITS

from .numbers import Numbering
from .typed import parsed


@dataclass(frozen=True, slots=True)
class Entries:
    """Events in the order they are to be taken. `clock`: journal clock of each, never going back; `seq`: their places in the journal.
    `starts`: rows at which a journal entry begins, the first and one past the last row included. `batch`: all columns of ROW, those that were not
    read null."""

    batch: pa.RecordBatch
    seq: NDArray[np.int64]
    ingest: NDArray[np.int64]
    clock: NDArray[np.int64]
    starts: NDArray[np.intp]

    def columns(self, codebook: CodeBook) -> Columns:
        """Encoded, arrays the kernels can write to (so that none is copied)."""
        encoded = codebook.encode(self.batch, self.ingest, self.seq)
        until = encoded.valid_until
        return encoded._replace(
            time=_own(encoded.time),
            kind=_own(encoded.kind),
            source=_own(encoded.source),
            lon=_own(encoded.lon),
            lat=_own(encoded.lat),
            value=_own(encoded.value),
            bits=_own(encoded.bits),
            valid_until=None if until is None else _own(until),
        )


def entries(
    batch: pa.RecordBatch,
    since: int,
    ticks: NDArray[np.int64] | None,
    attrs: Mapping[str, Mapping[str, str]],
    numbers: Numbering | None = None,
) -> Entries:
    """Rows in order. `since`: the clock before them; `ticks`: the newest tick before each of them, None when none is ahead. `attrs`: feed -> name -> type
    of the attributes that are looked at. `numbers`: in the order of time, where every event is known when it happens, those to use instead of the
    archive's; None in journal order."""
    seq, by_time = _numbers(batch.column("seq")), numbers is not None
    ingest = _numbers(batch.column("event_time" if by_time else "ingest_time"))
    known = ingest if ticks is None else np.maximum(ingest, ticks)
    clock = np.maximum(np.maximum.accumulate(known), since) if len(known) else known
    cuts = (np.diff(clock) != 0) if by_time else (np.diff(seq >> ROW_BITS) != 0) | (np.diff(ingest) != 0)
    starts = np.concatenate([[0], np.flatnonzero(cuts) + 1, [len(seq)]]).astype(np.intp)
    if numbers is not None and len(seq):
        seq = numbers.take(seq, int(clock[-1]))
    return Entries(whole(batch, attrs), seq, ingest, clock, starts)


def whole(batch: pa.RecordBatch, attrs: Mapping[str, Mapping[str, str]]) -> pa.RecordBatch:
    """The batch with every column of ROW, in its order; `attrs` as the struct that conditions ask."""
    names, columns = [], []
    for field in ROW:
        if field.name == "attrs":
            if not any(attrs.values()) or "attrs" not in batch.schema.names:
                continue
            column = parsed(batch.column("attrs"), attrs)
        else:
            column = batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        names.append(field.name)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names)


def attribute_types(names: Sequence[str], feeds: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Of the attributes that rules look at: feed -> name -> type. `feeds`: all attributes as declared."""
    return {feed: {name: kind for name, kind in own.items() if name in names} for feed, own in feeds.items()}


def _numbers(column: pa.Array) -> NDArray[np.int64]:
    plain = column.view(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return np.asarray(plain.to_numpy(zero_copy_only=False), np.int64)


def _own(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.flags.writeable and values.flags.c_contiguous else np.array(values, order="C")
