"""All that one source said. Where it has been is looked up first: files are sorted by place, so its name alone would have them all read."""

from __future__ import annotations

from tocsin.model.archive import Look, Want
from tocsin.model.asking import Answer, History

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
    return newest(session, look, where, asked.limit, whole=False, near=near)


def _add_places(where: Where, places: Ranges) -> None:
    """Rows without a place may be anywhere, so they are asked for as well."""
    each = " OR ".join("cell BETWEEN ? AND ?" for _ in places)
    where.add(f"({each} OR cell IS NULL)" if places else "cell IS NULL", *(edge for one in places for edge in one))
