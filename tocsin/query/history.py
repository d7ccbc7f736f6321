"""All that one source said. Where it has been is looked up first: files are sorted by place, so its name alone would have them all read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.archive import Look, Want
from tocsin.model.asking import Answer, History
from tocsin.model.outline import NOWHERE, disjoint

from .engine import Session
from .search import Cursor, newest
from .straight import Near
from .where import Where, add_names, add_times

#: Ranges of `cell`, first and last.
Ranges = tuple[tuple[int, int], ...]


def want_history(asked: History) -> Want:
    """What files can hold events of the source."""
    cursor = Cursor.parse(asked.cursor) if asked.cursor else None
    stop = asked.stop if cursor is None else min(asked.stop or cursor.time + 1, cursor.time + 1)
    return Want(start=asked.start, stop=stop, feeds=(asked.feed,))


def history(session: Session, look: Look, asked: History, places: Ranges) -> Answer:
    """Events of the source, newest first, a page at a time. `places`: ranges of `cell` that hold every place it ever had."""
    cursor = Cursor.parse(asked.cursor) if asked.cursor else None
    where = Where()
    want = want_history(asked)
    add_times(where, want.start, want.stop)
    add_names(where, "feed", (asked.feed,))
    add_names(where, "source", (asked.source,))
    _add_places(where, places)
    if cursor is not None:
        where.add("(event_time < make_timestamptz(?) OR seq < ?)", cursor.time, cursor.seq)
    near = Near(places, want.start, want.stop, bare=True, sources=(asked.source,))

    def passes(rows: pa.Table) -> NDArray[np.bool_]:
        return _passes(rows, asked, want, cursor, places)

    return newest(session, look, where, asked.limit, whole=False, near=near, passes=passes)


def _passes(rows: pa.Table, asked: History, want: Want, cursor: Cursor | None, places: Ranges) -> NDArray[np.bool_]:
    """What the statement's conditions say of rows with names as texts."""
    time = rows["event_time"].cast(pa.int64()).to_numpy()
    held = _flags(
        pc.and_(
            *(pc.equal(rows[name], pa.scalar(wanted, pa.string())) for name, wanted in (("feed", asked.feed), ("source", asked.source)))
        )
    )
    if want.start is not None:
        held &= time >= want.start
    if want.stop is not None:
        held &= time < want.stop
    if cursor is not None:
        held &= (time < cursor.time) | (rows["seq"].to_numpy() < cursor.seq)
    firsts, lasts = disjoint((*places, (NOWHERE, NOWHERE)))
    cell = rows["cell"].fill_null(NOWHERE).to_numpy()
    nearest = np.minimum(np.searchsorted(lasts, cell), len(lasts) - 1)
    held &= (firsts[nearest] <= cell) & (cell <= lasts[nearest])
    return held


def _flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Null as false."""
    found: NDArray[np.bool_] = column.fill_null(False).to_numpy()
    return found


def _add_places(where: Where, places: Ranges) -> None:
    """Rows without a place may be anywhere, so they are asked for as well."""
    each = " OR ".join("cell BETWEEN ? AND ?" for _ in places)
    where.add(f"({each} OR cell IS NULL)" if places else "cell IS NULL", *(edge for one in places for edge in one))
