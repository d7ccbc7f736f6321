"""Reports over what a node keeps: what is asked, and the table that answers with its figures, notes, units and the queries that made it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from .asking import Filter, Patience
from .time import to_iso

#: What each report says, by its name.
REPORTS: Final[Mapping[str, str]] = {
    "volume": "events by hour of the week, the last seven days against the weeks before",
    "forecast": "events expected in the next days, with the error the method made before",
    "responses": "how long it took from one instant of a call to another, by station and hour",
    "feeds": "whether feeds were heard when they should have been, and how late",
    "false-alarms": "sources behind alerts that came to nothing",
    "coverage": "people by distance to the nearest station",
}


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """`filter`: which events; of alerts its span counts. `days`: how far to forecast. `begins`, `ends`, `by`: attributes for response times.
    `people`, `stations`: layers of points, for coverage."""

    name: str
    filter: Filter = field(default_factory=Filter)
    days: int = 3
    begins: str = "event_time"
    ends: str = "arrived"
    by: str = ""
    people: str = "census-blocks"
    stations: str = "fire-stations"


@dataclass(frozen=True, slots=True)
class Report:
    """`queries`: SQL that `tocsin query` takes. `notes`: what the data does not allow to be said, and how to read it. `facts`: figures of the whole.
    `units`: what columns are counted in, by name."""

    name: str
    title: str
    table: pa.Table
    queries: tuple[str, ...]
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, float | int | str], ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)


#: Makes a report, in any thread. Raises Refused, TooMuch, TooSlow, Stopped, Retriable.
MakeReport = Callable[[ReportQuestion, Patience], Report]


def command_of(asked: ReportQuestion) -> str:
    """The command that makes the same report; CITY stands for the city directory."""
    usual, wanted = ReportQuestion(asked.name), asked.filter
    words = ["tocsin", "report", "CITY", asked.name]
    words += [word for name, at in (("--from", wanted.start), ("--to", wanted.stop)) if at is not None for word in (name, to_iso(at))]
    words += [word for name, values in (("--kind", wanted.kinds), ("--feed", wanted.feeds)) for value in values for word in (name, value)]
    for name in ("days", "begins", "ends", "by", "people", "stations"):
        if getattr(asked, name) != getattr(usual, name):
            words += [f"--{name}", str(getattr(asked, name))]
    return shlex.join(words)
