"""How ids are made, row by row: which can be left out of a file because source and time say them again (`model/rowids.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.kernel.machine import INT, Array, Library, Spec
from tocsin.model.rowids import EPOCHS, SEPARATORS, form_of, make_ids

#: Fewer rows are compared as texts: that costs less than having the compiled check ready.
MANY: Final = 50_000
_BYTES, _PLACES, _TIMES, _FORMS = (Array(np.dtype(name)) for name in ("u1", "i4", "i8", "i1"))
LIBRARY: Final = Library(
    "archive",
    [Path(__file__), Path(__file__).with_name("forms_kernel.py")],
    {
        "spelled": Spec(
            "tocsin.archive.forms_kernel:spelled",
            (_BYTES, _PLACES, _BYTES, _PLACES, _PLACES, _TIMES, _FORMS, INT, INT, INT),
            gives=1,
            frees=True,
        )
    },
)
_spelled = LIBRARY.door("spelled")


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
    _spelled(*_texts(ids), *_texts(source.dictionary), np.ascontiguousarray(codes), times, found, ord(separator), width, form)


def _texts(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of all texts, and where each begins, as they lie in memory."""
    _, places, content = array.buffers()
    begins = np.frombuffer(places, np.int32, len(array) + 1, array.offset * 4)
    return np.frombuffer(content, np.uint8) if content is not None and content.size else np.zeros(1, np.uint8), begins
