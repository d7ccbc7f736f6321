"""What the archive holds, as those see it who ask it: stored files, what a question needs of them, and one consistent look."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import pyarrow as pa

from .event import INSTANT

#: Events of the same nature share files: sparse and rich, many and small, many and moving.
CLASSES: Final = ("events", "readings", "positions")

_NAME: Final = pa.dictionary(pa.int32(), pa.string())

#: One row of the archive: an event with its place in the journal. `attrs` is a JSON object, because files hold events of many feeds.
ROW: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),  # journal order; negative for what was imported
        pa.field("event_time", INSTANT, nullable=False),
        pa.field("ingest_time", INSTANT, nullable=False),
        pa.field("feed", _NAME, nullable=False),
        pa.field("kind", _NAME, nullable=False),
        pa.field("source", _NAME),
        pa.field("id", pa.string(), nullable=False),
        pa.field("lon", pa.float64()),
        pa.field("lat", pa.float64()),
        pa.field("area", pa.binary()),  # WKB
        pa.field("valid_until", INSTANT),
        pa.field("value", pa.float64()),
        pa.field("unit", _NAME),
        pa.field("severity", pa.int8()),
        pa.field("action", pa.int8(), nullable=False),
        pa.field("refers_to", pa.string()),
        pa.field("text", pa.string()),
        pa.field("attrs", pa.string()),
        pa.field("cell", pa.int64()),  # Morton code of the web-mercator tile at zoom 16 (its quadkey as a number); null without a place
    ]
)

#: Column of the files beside those of ROW: how the `id` is made when it is null in the file (`model/rowids.py`); 0 or null: it is not null.
ID_FORM: Final = pa.field("id_form", pa.int8())

#: One row of a rollup: what one kind of one feed said in one tile (zoom 14) in one hour or one UTC day.
ROLLUP: Final = pa.schema(
    [
        pa.field("start", INSTANT, nullable=False),
        pa.field("cell", pa.int64()),  # zoom 14: cell >> 4
        pa.field("feed", _NAME, nullable=False),
        pa.field("kind", _NAME, nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("values", pa.int64(), nullable=False),  # rows that had a value
        pa.field("total", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("severity", pa.int8()),  # the most severe
    ]
)


class Box(NamedTuple):
    """Degrees, WGS 84; west > east crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True)
class Want:
    """What a question needs, so that files that cannot hold it are never opened. Empty and None mean: no limit. `start`, `stop`: event time, µs,
    exclusive at the end. `kinds`: dotted prefixes. `first`, `last`: `seq`, both inclusive. `figures`: no file will be
    opened, so none need be here."""

    start: int | None = None
    stop: int | None = None
    box: Box | None = None
    feeds: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    figures: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One published Parquet file: the columns of ROW (or ROLLUP) under their names, and `id_form`. An `id` that is made of source and time in one of a few
    common ways is null in the file: `model.rowids.full_ids` (Arrow) or `model.rowids.ID_SQL` gives it. Do not take columns from the path
    (`hive_partitioning = false`). `tier`: `day`, `month`, `hourly` or `daily`. `start`, `stop`: bounds of event time, µs, inclusive.
    `box`: of all places in it, None when none has one. `first`, `last`: bounds of `seq`."""

    path: Path
    tier: str
    stream: str  # one of CLASSES
    feeds: tuple[str, ...]
    rows: int
    size: int
    start: int
    stop: int
    box: Box | None
    first: int
    last: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Look:
    """All that is stored of what is wanted at one moment: each row is in exactly one of `files` and `tail`. `tail`: rows of schema ROW that no file
    has yet, already filtered. `reaches`: highest journal `seq` in the archive; later events are still on their way. `heard`: the journal clock there, µs, 0 where
    nobody knows."""

    files: Sequence[StoredFile]
    tail: pa.Table
    reaches: int
    damaged: Sequence[StoredFile] = ()  # would have been looked at, but cannot be read: the answer is incomplete
    heard: int = 0

    @property
    def rows(self) -> int:
        """At most so many rows have to be looked at."""
        return sum(file.rows for file in self.files) + len(self.tail)


class Holdings(Protocol):
    """The archive, to those who read. While a look is open none of its files is removed."""

    def look(self, want: Want) -> AbstractContextManager[Look]:
        """Events of the day and month tiers and the hot tail."""

    def rollup(self, want: Want, step: str) -> AbstractContextManager[Look]:
        """`step`: `hourly` or `daily`; `tail` has schema ROLLUP and covers what no rollup file has yet."""

    def outline(self, file: StoredFile) -> bytes | None:
        """What the row groups of a file of an open look hold, as bytes (`model/outline.py`); None where that is not known."""
