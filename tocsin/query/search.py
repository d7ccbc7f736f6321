"""Search: events newest first, reading the newest files first and no more of them than the page needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.archive import ROW, Look, StoredFile
from tocsin.model.asking import Answer, Filter, Refused, Search
from tocsin.model.time import to_iso

from .engine import Session
from .rows import EVENT_COLUMNS, NO_TIME, as_written, from_clause, plan_of, straight_rows
from .straight import ROWS_MOST, Near, near_of
from .where import Where, is_open, want_of, where_of

#: Rows of the files that are read together; one search reads at most BUDGET of them and then says how far it came.
WAVE_ROWS: Final = 8_000_000
BUDGET: Final = 200_000_000
#: Of a small place or one source: rows that are looked at for the first page, so many for each event of it and at least so many.
ROWS_EACH: Final = 500
ROWS_FIRST: Final = 500_000
#: Which rows of a table pass.
Passes = Callable[[pa.Table], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything before this event, in the order of (event_time, seq), is still to come."""

    time: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises Refused."""
        time, point, seq = text.partition(".")
        try:
            found = cls(int(time), int(seq))
            if not point or abs(found.time) >= NO_TIME or not -(1 << 63) <= found.seq < 1 << 63:
                raise ValueError
            return found
        except ValueError:
            raise Refused(f"cursor: found {text[:40]!r}; valid is `next` of the page before") from None

    def __str__(self) -> str:
        return f"{self.time}.{self.seq}"


def capped(wanted: Filter, cursor: Cursor | None) -> Filter:
    """The filter of the pages that follow a cursor."""
    if cursor is None:
        return wanted
    stop = cursor.time + 1 if wanted.stop is None else min(wanted.stop, cursor.time + 1)
    return replace(wanted, stop=stop)


def search(session: Session, look: Look, asked: Search, budget: int = BUDGET) -> Answer:
    """One page. `look` must be of `want_of(capped(filter, cursor))`."""
    cursor = Cursor.parse(asked.cursor) if asked.cursor else None
    wanted = capped(asked.filter, cursor)
    where = where_of(wanted)
    if cursor is not None:
        where.add("(event_time < make_timestamptz(?) OR seq < ?)", cursor.time, cursor.seq)
    before = cursor.time if cursor else None
    return newest(session, look, where, asked.limit, whole=is_open(want_of(wanted)), budget=budget, before=before, near=near_of(wanted))


def newest(
    session: Session,
    look: Look,
    where: Where,
    limit: int,
    *,
    whole: bool,
    budget: int = BUDGET,
    before: int | None = None,
    near: Near | None = None,
    passes: Passes | None = None,
) -> Answer:
    """The newest `limit` events that pass, in the order of (event_time, seq), newest first. `before`: how far the pages before came; this one comes
    farther, whatever the budget. `near`: holds all that pass. `passes`: says the same of rows as `where`, so that the engine need not."""
    shown = ""
    found = ROW.empty_table()
    tail: pa.Table | None = look.tail
    read = 0
    weigh = _rows if near is None else cache(partial(_rows_near, session, near))
    for wave, horizon in waves(look.files, weigh, first=None if near is None else min(ROWS_MOST, max(limit * ROWS_EACH, ROWS_FIRST))):
        some, shown = _of_wave(session, wave, tail, where, limit, near, passes)
        found = _merged(found, some, limit + 1)
        tail = None
        read += sum(weigh(file) for file in wave)
        if horizon is None or (len(found) > limit and _time(found, limit) > horizon):
            break
        if read >= budget and (before is None or horizon < before):
            return _partial(found, look, horizon, limit, shown, whole)
    more = len(found) > limit
    page = found.slice(0, limit)
    following = str(Cursor(_time(page, limit - 1), page["seq"][limit - 1].as_py())) if more else None
    return Answer(page, plan_of(look, whole=whole), look.reaches, shown, following)


def _of_wave(
    session: Session, wave: list[StoredFile], tail: pa.Table | None, where: Where, limit: int, near: Near | None, passes: Passes | None
) -> tuple[pa.Table, str]:
    """At least the newest of a wave, and the statement that gives them."""
    rows = straight_rows(session, wave, tail, EVENT_COLUMNS, near) if near is not None and passes is not None else None
    source = "events" if rows is not None else from_clause(session, wave, tail, EVENT_COLUMNS, near=near)
    sql = f"SELECT * FROM {source} WHERE {where.sql} ORDER BY event_time DESC, seq DESC LIMIT {limit + 1}"  # noqa: S608
    shown = as_written(sql, source, "events", where.values)
    if rows is None or passes is None:
        return session.table(sql, where.values), shown
    kept = passes(rows)
    return rows if kept.all() else rows.filter(pa.array(kept)), shown


def _partial(found: pa.Table, look: Look, horizon: int, limit: int, shown: str, whole: bool) -> Answer:
    """What is certain so far: no unread file holds anything newer than `horizon`."""
    settled = found.filter(pc.greater(found["event_time"].cast(pa.int64()), horizon)).slice(0, limit)
    words = f"looked back to {to_iso(horizon)} so far; go on with the next page"
    edge = Cursor(horizon, (1 << 63) - 1)
    return Answer(settled, plan_of(look, whole=whole), look.reaches, shown, str(edge), (words,), cut=True)


def _rows(file: StoredFile) -> int:
    return file.rows


def _rows_near(session: Session, near: Near, file: StoredFile) -> int:
    """Of the row groups that have to be looked at."""
    try:
        return sum(part.rows for part in session.straight.parts([file], near, session.told))
    except (OSError, pa.ArrowException):  # whoever reads it will say so
        return file.rows


def waves(
    files: Sequence[StoredFile], weigh: Callable[[StoredFile], int] = _rows, first: int | None = None
) -> Iterator[tuple[list[StoredFile], int | None]]:
    """Files in the order of their newest event, some at a time, each time with the newest event that can be in what is left; None: nothing is.
    Without files, one empty wave, so that the tail is looked at. `weigh`: rows of a file that have to be read; a wave has WAVE_ROWS of them; with `first` the
    first wave has so many, and each one after it twice as many, up to ROWS_MOST."""
    left = sorted(files, key=lambda file: (-file.stop, str(file.path)))
    most = WAVE_ROWS if first is None else first
    while True:
        wave = [left.pop(0)] if left else []
        rows = sum(weigh(file) for file in wave)
        while left and (rows + weigh(left[0]) <= most or left[0].stop == wave[-1].stop):
            rows += weigh(left[0])
            wave.append(left.pop(0))
        most = most if first is None else min(2 * most, ROWS_MOST)
        yield wave, left[0].stop if left else None
        if not left:
            return


def _merged(one: pa.Table, two: pa.Table, limit: int) -> pa.Table:
    """The newest of both, in order."""
    both = pa.concat_tables([one, two.cast(ROW)]) if len(one) else two.cast(ROW)
    time, seq = (both[name].cast(pa.int64()).to_numpy() for name in ("event_time", "seq"))
    order = np.lexsort((seq, time))[::-1][:limit]
    return both.take(pa.array(order)).combine_chunks()


def _time(table: pa.Table, row: int) -> int:
    return int(table["event_time"][row].value)
