"""Ids that need not be stored: those made of source and time in one of a few common ways, as `air-17/1704067200`.

A file of the archive keeps such an id as null and a number, its form: `1 + 8 * separator + time`. Whether a row's id is of a form is decided by
making it and comparing, so the id that comes back is the id that came in.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SEPARATORS: Final = "/-_:@#. "
#: How the time is written: seconds, milliseconds, microseconds since 1970; ISO 8601 in UTC to the second, to the millisecond.
EPOCHS: Final = (1_000_000, 1_000, 1)
ISO: Final = {3: "s", 4: "ms"}
TIMES: Final = 5

#: The id of a row of a file, as SQL for DuckDB; `ROW_SQL` is the list of all columns of ROW for a SELECT from files.
ID_SQL: Final = (
    "coalesce(id, source || substr('/-_:@#. ', (id_form - 1) // 8 + 1, 1) || CASE (id_form - 1) % 8"
    " WHEN 0 THEN CAST(epoch_us(event_time) // 1000000 AS VARCHAR) WHEN 1 THEN CAST(epoch_us(event_time) // 1000 AS VARCHAR)"
    " WHEN 2 THEN CAST(epoch_us(event_time) AS VARCHAR)"
    " WHEN 3 THEN strftime(make_timestamp(epoch_us(event_time)), '%Y-%m-%dT%H:%M:%SZ')"
    " ELSE strftime(make_timestamp(epoch_us(event_time)), '%Y-%m-%dT%H:%M:%S.%gZ') END)"
)


def _texts(time: NDArray[np.int64], how: int) -> pa.Array:
    if how < len(EPOCHS):
        return pa.array(time // EPOCHS[how]).cast(pa.string())
    written = np.datetime_as_string(time.view("datetime64[us]"), unit=ISO[how], casting="unsafe")  # type: ignore[call-overload]
    return pc.binary_join_element_wise(pa.array(written), _text("Z"), _text(""))


def _text(text: str) -> pa.StringScalar:
    """Of a type that need not be found out, which takes longer than a few ids."""
    return pa.scalar(text, pa.string())


def make_ids(source: pa.Array, time: NDArray[np.int64], form: int) -> pa.Array:
    """Ids of one form. `source`: texts; `time`: event time, µs."""
    separator, how = divmod(form - 1, 8)
    return pc.binary_join_element_wise(source, _texts(time, how), _text(SEPARATORS[separator]))


def form_of(name: str, source: str | None, time: int) -> int:
    """The form of one id; 0 when it has none. `time`: µs."""
    if not source or time < 0 or len(name) < len(source) + 2 or not name.startswith(source):
        return 0
    separator = SEPARATORS.find(name[len(source)])
    if separator < 0:
        return 0
    instant = np.array([time])
    for how in range(TIMES):
        form = 1 + 8 * separator + how
        if make_ids(pa.array([source]), instant, form)[0].as_py() == name:
            return form
    return 0


def full_ids(table: pa.Table) -> pa.ChunkedArray:
    """The ids of rows as a file has them. Needs the columns `id`, `id_form`, `source`, `event_time`."""
    ids, forms = table.column("id"), table.column("id_form")
    if not ids.null_count:
        return ids
    needed = table.select(["source", "event_time"])
    for form in pc.unique(forms).to_pylist():
        if not form:
            continue
        rows = pc.fill_null(pc.equal(forms, pa.scalar(form, forms.type)).combine_chunks(), pa.scalar(False, pa.bool_()))
        some = needed.filter(rows)
        made = make_ids(
            some.column("source").cast(pa.string()).combine_chunks(), some.column("event_time").cast(pa.int64()).to_numpy(), form
        )
        if len(made) == len(table):  # all of them
            return pa.chunked_array([made])
        ids = pc.replace_with_mask(ids, rows, made)
    return ids
