"""A filter as SQL with bound parameters, and as what the catalogue prunes by. Never text of a question inside the SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.model.archive import Box, Want
from tocsin.model.asking import Filter, Refused

from .grid import cell_ranges

_WORD: Final = re.compile(r'"([^"]*)"|(\S+)')
#: Words whose letters JSON writes as they are.
_PLAIN: Final = re.compile(r"[\x20\x21\x23-\x2e\x30-\x5b\x5d-\x7e]+")
_WORDS_MOST: Final = 12


@dataclass(slots=True)
class Where:
    """Conditions that all must hold, and the values of their `?` in order."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        self.parts.append(condition)
        self.values += values

    @property
    def sql(self) -> str:
        return " AND ".join(self.parts) or "true"


def where_of(wanted: Filter, time: str = "event_time") -> Where:
    """The conditions of a filter. `time`: the column that `start` and `stop` speak of."""
    found = Where()
    add_times(found, wanted.start, wanted.stop, time)
    if wanted.box is not None:
        add_box(found, wanted.box)
    add_kinds(found, wanted.kinds)
    add_names(found, "feed", wanted.feeds)
    add_names(found, "source", wanted.sources)
    if wanted.severity is not None:
        found.add("severity >= ?", wanted.severity)
    for word in words_of(wanted.text):
        add_word(found, word)
    return found


def want_of(wanted: Filter) -> Want:
    """What files can hold events of a filter."""
    return Want(start=wanted.start, stop=wanted.stop, box=wanted.box, feeds=wanted.feeds, kinds=wanted.kinds)


def add_times(where: Where, start: int | None, stop: int | None, time: str = "event_time") -> None:
    if start is not None:
        where.add(f"{time} >= make_timestamptz(?)", start)
    if stop is not None:
        where.add(f"{time} < make_timestamptz(?)", stop)


def add_box(where: Where, box: Box) -> None:
    """A box with its edges; west > east crosses the antimeridian."""
    where.add("lat BETWEEN ? AND ?", box.south, box.north)
    if box.west <= box.east:
        where.add("lon BETWEEN ? AND ?", box.west, box.east)
        add_cells(where, box)
    else:
        where.add("(lon >= ? OR lon <= ?)", box.west, box.east)


def add_cells(where: Where, box: Box) -> None:
    """The tiles of a box that does not cross the antimeridian: they choose nothing that its edges would not, but files are sorted by tile, so row groups
    elsewhere stay closed."""
    ranges = cell_ranges(box)
    where.add(f"({' OR '.join('cell BETWEEN ? AND ?' for _ in ranges)})", *(edge for one in ranges for edge in one))


def add_kinds(where: Where, kinds: Sequence[str]) -> None:
    """Dotted prefixes as ranges: the engine skips row groups by the smallest and largest kind in them (`.` is followed by `/`)."""
    if not kinds:
        return
    where.add("kind >= ? AND kind < ?", min(kinds), max(f"{kind}/" for kind in kinds))
    if len(kinds) == 1:
        where.add("(kind = ? OR kind >= ?)", kinds[0], f"{kinds[0]}.")
        return
    each = ["(kind = ? OR (kind >= ? AND kind < ?))" for _ in kinds]
    where.add(f"({' OR '.join(each)})", *(value for kind in kinds for value in (kind, f"{kind}.", f"{kind}/")))


def add_names(where: Where, column: str, names: Sequence[str]) -> None:
    """Exact names, any of them."""
    if names:
        where.add(f"{column} IN ({', '.join('?' for _ in names)})", *names)


def add_word(where: Where, word: str) -> None:
    """A word in the text, the values of the attributes, the source or the id, whatever its case."""
    inside = "len(list_filter(json_extract_string(attrs, '$.*'), lambda one: contains(lower(one), lower(?)))) > 0"
    values: list[Any] = [word, word, word, word]
    if _PLAIN.fullmatch(word):
        inside = f"contains(lower(attrs), lower(?)) AND {inside}"
        values.append(word)
    columns = " OR ".join(f"contains(lower({name}), lower(?))" for name in ("text", "source", "id"))
    where.add(f"coalesce({columns} OR ({inside}), false)", *values)


def words_of(text: str) -> tuple[str, ...]:
    """`pike "engine 5"` -> (`pike`, `engine 5`). Raises Refused."""
    found = tuple(quoted or plain for quoted, plain in _WORD.findall(text) if quoted or plain)
    if len(found) > _WORDS_MOST:
        raise Refused(f"text: found {len(found)} words; valid is at most {_WORDS_MOST}")
    return found


def is_open(want: Want) -> bool:
    """Whether nothing keeps this from reading everything."""
    return want == Want()


def hull(boxes: Iterable[Box]) -> Box | None:
    """The smallest box round boxes that do not cross the antimeridian."""
    known = list(boxes)
    if not known:
        return None
    return Box(min(b.west for b in known), min(b.south for b in known), max(b.east for b in known), max(b.north for b in known))
