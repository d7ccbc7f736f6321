"""How ids are made, row by row: which can be left out of a file because source and time say them again (`model/rowids.py`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.rowids import EPOCHS, SEPARATORS, form_of, make_ids

from .compiled import MANY, bytes_of, spelled


def forms_of(ids: pa.Array, source: pa.Array, time: NDArray[np.int64], many: int = MANY) -> NDArray[np.int8]:
    """The form of each id, 0 for none. `ids`: texts; `source`: names by a dictionary; `time`: event time, µs. Forms that a few rows do not show are
    not looked for."""
    found = np.zeros(len(ids), np.int8)
    for form in _shown(ids, source, time):
        separator, how = divmod(form - 1, 8)
        if how < len(EPOCHS) and len(ids) >= many and not ids.null_count:
            _compare(ids, source, time, found, SEPARATORS[separator], EPOCHS[how], form)
        else:
            _compare_texts(ids, source, time, found, form)
    return found


def _shown(ids: pa.Array, source: pa.Array, time: NDArray[np.int64]) -> list[int]:
    """Forms that a few rows of the table show."""
    rows: Any = np.unique(np.linspace(0, max(len(ids) - 1, 0), 24).astype(int)) if len(ids) else []
    found = {form_of(ids[row].as_py(), source[row].as_py(), int(time[row])) for row in map(int, rows)}
    return sorted(found - {0})


def _compare_texts(ids: pa.Array, source: pa.Array, time: NDArray[np.int64], found: NDArray[np.int8], form: int) -> None:
    rows = np.flatnonzero((found == 0) & (time >= 0))
    some = pa.array(rows)
    made = make_ids(source.take(some).cast(pa.string()), time[rows], form)
    same = pc.fill_null(pc.equal(made, ids.take(some)), False).to_numpy(zero_copy_only=False)
    found[rows[same]] = form


def _compare(
    ids: pa.Array, source: pa.Array, time: NDArray[np.int64], found: NDArray[np.int8], separator: str, width: int, form: int
) -> None:
    indices = source.indices.cast(pa.int32())
    codes = (indices.fill_null(-1) if indices.null_count else indices).to_numpy(zero_copy_only=False)
    times = np.ascontiguousarray(time)
    spelled(*bytes_of(ids), *bytes_of(source.dictionary), np.ascontiguousarray(codes), times, found, ord(separator), width, form)
