"""Whose history an event belongs to: from rows of a batch to keys (`model.plan.Key`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from tocsin.correlate.columns import Columns
from tocsin.correlate.geometry import RADIUS
from tocsin.model.plan import Key

from .sample import Sample
from .zones import ZoneIndex

#: Metres to a degree of latitude.
DEGREE: Final = math.pi * RADIUS / 180
#: A key as plain values: a source's code, a name, a cell, texts.
KeyValue = Any
SourceName = Callable[[int], tuple[str, str | None]]


def source_rank(name: tuple[str, str | None]) -> tuple[str, bool, str]:
    """What orders sources (feed, source) in every process alike: their codes depend on what a process has heard, and in which order."""
    feed, source = name
    return feed, source is not None, source or ""


class Keyer:
    """Keys of one rule. `names`: code of a source -> (feed, source)."""

    def __init__(self, key: Key, names: SourceName) -> None:
        self._key = key
        self._names = names
        self._zones = ZoneIndex(key.zones) if key.zones is not None else None

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields whose values `keys` needs in `links`."""
        return self._key.fields if self._key.by == "fields" else ()

    def keys(self, sample: Sample, links: tuple[Any, ...]) -> tuple[KeyValue, ...]:
        """The keys of a sample: none, one, or one for each zone it lies in."""
        by = self._key.by
        if by == "source":
            return (sample.source,)
        if by == "all":
            return (0,)
        if by == "feed":
            return () if sample.source < 0 else (self._names(sample.source)[0],)
        if by == "fields":
            return () if None in links else (links,)
        if not sample.placed:
            return ()
        if by == "cell":
            return (cell(sample.lon, sample.lat, self._key.size),)
        assert self._zones is not None
        return tuple(self._zones.covering(sample.lon, sample.lat))

    def rank(self, key: KeyValue) -> Any:
        """What orders the keys of one rule: all are numbers, texts or tuples of one shape."""
        if self._key.by == "source":
            return source_rank(self._names(key) if key >= 0 else ("", None))
        return key if isinstance(key, int) else str(key)

    def text(self, key: KeyValue) -> str:
        """A key as people and baselines write it."""
        by = self._key.by
        if by == "source":
            feed, source = self._names(key) if key >= 0 else ("", None)
            return f"{feed}/{source or ''}"
        if by == "fields":
            return "/".join(str(value) for value in key)
        if by == "cell":
            return f"{key[0]}:{key[1]}"
        if by == "zone":
            assert self._zones is not None
            return self._zones.names[key]
        return "all" if by == "all" else str(key)

    def label(self, key: KeyValue) -> str:
        """What tells alerts of one anchor apart: nothing when the anchor has only one key."""
        return self.text(key) if self._key.by in ("zone", "cell", "fields", "feed") else ""


def cell(lon: float, lat: float, size: float) -> tuple[int, int]:
    """(row, column) of the cell of a place."""
    row = math.floor(lat * DEGREE / size)
    middle = math.radians((row + 0.5) * size / DEGREE)
    east = (lon + 180.0) % 360.0 - 180.0
    return row, math.floor(east * DEGREE * math.cos(middle) / size)


def links(columns: Columns, fields: Sequence[str], rows: Sequence[int]) -> list[tuple[Any, ...]]:
    """Per row the values of the fields; `@until`: end of validity (-1: none), `@area`: its WKB as hex."""
    return list(zip(*(_values(columns, name, rows) for name in fields), strict=True))


def _values(columns: Columns, field: str, rows: Sequence[int]) -> list[Any]:
    if field == "@until":
        return [-1] * len(rows) if columns.valid_until is None else columns.valid_until[list(rows)].tolist()
    if columns.extras is None:
        return [None] * len(rows)
    shifted = [row + columns.first for row in rows]
    if field == "@area":
        return [None if area is None else area.hex() for area in columns.extras.areas(shifted)]
    return columns.extras.links(field, shifted)
