"""Questions to the archive and their answers. Times in µs UTC, places in degrees WGS 84, distances in metres."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import Final, Literal

import pyarrow as pa

from .archive import Box

#: What a series may be counted by, and how it may be split.
STEPS: Final = ("hour", "day", "hour-of-week")
SPLITS: Final = ("", "kind", "feed", "source", "zone", "cell")
Step = Literal["hour", "day", "hour-of-week"]
Split = Literal["", "kind", "feed", "source", "zone", "cell"]


class Refused(Exception):
    """A question that cannot be asked like this; the message says what was found and what would be valid."""


class TooSlow(Exception):
    """A question that ran longer, or needs more memory, than it may."""


class Stopped(Exception):
    """Whoever asked has gone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question would read, known before it reads. `rows`, `bytes`: of all that has to be looked at, at most. `tail`: rows that no file has
    yet. `basis`: `raw`, `hourly` or `daily`. `whole`: nothing narrows it down: it reads everything there is.
    `damaged`: files that belong to the answer and cannot be read."""

    files: int
    rows: int
    bytes: int
    tail: int
    basis: str = "raw"
    whole: bool = False
    damaged: int = 0


class TooMuch(Exception):
    """A question that would read more than it may without being confirmed."""

    def __init__(self, plan: Plan, words: str) -> None:
        super().__init__(words)
        self.plan = plan


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events. `start` inclusive, `stop` exclusive: event time. `kinds`: dotted prefixes, any of them; `feeds`, `sources`: exact, any of
    them. `severity`: at least. `text`: words that all occur in the text, the attributes, the source or the id; "in quotes" for a phrase."""

    start: int | None = None
    stop: int | None = None
    box: Box | None = None
    kinds: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    severity: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """Events, newest first. `cursor`: `next` of the page before."""

    filter: Filter = field(default_factory=Filter)
    limit: int = 200
    cursor: str | None = None


#: Metres around a place; beyond it a map box says more.
WITHIN_MOST: Final = 200_000.0


@dataclass(frozen=True, slots=True)
class Around:
    """Everything within `within` metres of a place and `before` and `after` µs of a time, edges included; nearest first."""

    lon: float
    lat: float
    at: int
    within: float
    before: int
    after: int
    kinds: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    limit: int = 1000
    sources: tuple[str, ...] = ()
    severity: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Count, mean, smallest and largest value by step of time in `zone` (an IANA name), whole or split. `detail`: name of the layer for `zone`,
    zoom (4 to 16) for `cell`. Hours of the week count from Monday 00:00."""

    filter: Filter
    step: Step = "hour"
    split: Split = ""
    detail: str = ""
    zone: str = "UTC"
    rollups: bool = True  # may be answered from rollups
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """The map tiles of one zoom (4 to 16) with the most events."""

    filter: Filter
    zoom: int = 14
    limit: int = 20
    rollups: bool = True
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """All that one source said, newest first."""

    feed: str
    source: str
    start: int | None = None
    stop: int | None = None
    limit: int = 1000
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How often values occur. `sql`: the house's statement over `columns` of events, which stand for `{events}` in it once, row by row: nothing in it looks at two
    rows. `keys`: columns of it that are counted by; `most`: those whose largest value is wanted."""

    columns: tuple[str, ...]
    sql: str
    keys: tuple[str, ...]
    most: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Points:
    """Places, times, kinds and severities of events, as columns for a map; no order."""

    filter: Filter
    limit: int = 1_000_000
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """One vector tile of the web-mercator scheme."""

    z: int
    x: int
    y: int
    filter: Filter


@dataclass(frozen=True, slots=True)
class Statement:
    """Read-only SQL of an analyst. `limit`: rows at most. `seconds`: wall time at most."""

    sql: str
    limit: int = 10_000
    seconds: float = 30.0
    confirmed: bool = False


Asked = Search | Around | Series | Cells | History | Points | Statement


@dataclass(frozen=True, slots=True)
class Answer:
    """`table`: the rows. `reaches`: highest journal `seq` in the archive when it was asked. `next`: cursor of the next page. `sql`: the query
    that made it, from the views `events`, `hourly`, `daily`. `notes`: what whoever reads it must know. `cut`: there was more than the limit."""

    table: pa.Table
    plan: Plan
    reaches: int
    sql: str = ""
    next: str | None = None
    notes: tuple[str, ...] = ()
    cut: bool = False


@dataclass(eq=False, slots=True)
class Patience:
    """How long whoever asked waits. `given_up` is set from any thread when they have gone."""

    seconds: float = 30.0
    given_up: Event = field(default_factory=Event)
