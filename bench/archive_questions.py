"""The questions of the archive benchmark: how each is drawn, how ours is asked, and numbers by which an answer is known to be the same.

An answer of rows is (rows, sum of their `n`); one of groups is (groups, rows, sum of the squares of the groups' rows); of busiest tiles, the rows of the
busiest. `n` is the place of a row in the import, so two answers with the same sum are of the same rows but by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bench import archive_data as data
from tocsin.model.archive import Box
from tocsin.model.asking import Around, Cells, Filter, History, Patience, Search, Series
from tocsin.model.ids import FIRST_IMPORTED
from tocsin.model.time import DAY, MINUTE
from tocsin.query.around import circle_box
from tocsin.query.ask import Questions

PATIENCE = Patience(600.0)
METRES, HALF = 500.0, 30 * MINUTE
Args = dict[str, Any]
Answer = list[int]


@dataclass(frozen=True, slots=True)
class Question:
    """`how`: which of HOW answers it. `aim_ms`: p95 that is aimed at, None where nobody said. `peers`: whether they are asked, too."""

    name: str
    how: str
    draw: Callable[[np.random.Generator], Args]
    aim_ms: float | None = None
    peers: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """Instants, µs: of all data, and from where on it lies in the day tier."""

    start: int
    stop: int
    recent: int


def questions(span: Span) -> list[Question]:
    """Of an archive; the month tier is asked where there is one."""
    made = []
    if span.recent < span.stop:
        made.append(Question("Q1 around an incident: 500 m, 30 min; day tier", "around", near(max(span.start, span.recent), span.stop), 40))
    if span.recent > span.start:
        made.append(Question("Q1 around an incident: 500 m, 30 min; month tier", "around", near(span.start, span.recent), 150))
    days = (span.stop - span.start) // DAY
    week = min(7, max(1, days))
    return [
        *made,
        Question("Q2 3 km box, a day, air: by source and hour", "by_hour", boxed(3_000.0, span, 1)),
        Question("Q3 1 km box, calls, all time", "calls", lambda rng: {"box": list(box(rng, 1_000.0)), "start": None, "stop": None}, 300),
        Question(f"Q4 dashboard: {week} days by hour and kind", "series", lambda rng: {**days_of(rng, span, week), "step": "hour", "split": "kind"}, 200),
        Question("Q5 dashboard: busiest tiles of calls, all time", "tiles", lambda _: {"start": None, "stop": None}, 200),
        Question("Q6 dashboard: all time by day and feed", "series", lambda _: {"start": None, "stop": None, "step": "day", "split": "feed"}, 200),
        Question("Q7 one sensor's history, all time", "history", one_sensor, 100),
    ]  # fmt: skip


def questions_of_a_day(start: int) -> list[Question]:
    """The same within one UTC day, for engines that do not take in more."""
    span = Span(start, start + DAY, start)
    day = {"start": start, "stop": start + DAY}
    return [
        Question("day: Q1 around an incident: 500 m, 30 min", "around", near(start, start + DAY)),
        Question("day: Q2 3 km box, air: by source and hour", "by_hour", boxed(3_000.0, span, 1)),
        Question("day: Q3 1 km box, calls", "calls", lambda rng: {"box": list(box(rng, 1_000.0)), **day}),
        Question("day: Q4 by hour and kind", "series", lambda _: {**day, "step": "hour", "split": "kind"}),
        Question("day: Q7 one sensor", "history", lambda rng: {**one_sensor(rng), **day}),
    ]


# ---- drawing
def place(rng: np.random.Generator) -> tuple[float, float]:
    """A place where the city has sensors."""
    lon, lat = data.city().place[rng.integers(0, data.SENSORS)] + rng.normal(0, 0.002, 2)
    return float(lon), float(lat)


def box(rng: np.random.Generator, metres: float) -> Box:
    return circle_box(*place(rng), metres / 2)


def near(start: int, stop: int) -> Callable[[np.random.Generator], Args]:
    def draw(rng: np.random.Generator) -> Args:
        lon, lat = place(rng)
        return {
            "lon": lon,
            "lat": lat,
            "box": list(circle_box(lon, lat, METRES)),
            "at": int(rng.integers(start + HALF, max(start + HALF + 1, stop - HALF))),
        }

    return draw


def boxed(metres: float, span: Span, days: int) -> Callable[[np.random.Generator], Args]:
    return lambda rng: {"box": list(box(rng, metres)), **days_of(rng, span, days)}


def days_of(rng: np.random.Generator, span: Span, days: int) -> Args:
    """So many whole days."""
    start = span.start + int(rng.integers(0, max(1, (span.stop - span.start) // DAY - days + 1))) * DAY
    return {"start": start, "stop": start + days * DAY}


def one_sensor(rng: np.random.Generator) -> Args:
    number = int(rng.integers(0, data.SENSORS))
    feed = data.NETWORKS[number % 8]
    return {"feed": feed, "source": f"{feed}-{number}", "start": None, "stop": None}


# ---- asking ours
def around(asked: Questions, q: Args) -> Answer:
    return rows_of(asked.around(Around(q["lon"], q["lat"], q["at"], METRES, HALF, HALF, limit=100_000), PATIENCE).table)


def by_hour(asked: Questions, q: Args) -> Answer:
    wanted = Filter(q["start"], q["stop"], Box(*q["box"]), kinds=("air",))
    return groups_of(asked.series(Series(wanted, "hour", "source"), PATIENCE).table)


def calls(asked: Questions, q: Args) -> Answer:
    wanted = Filter(q["start"], q["stop"], Box(*q["box"]), kinds=("call",), feeds=("calls",))
    return rows_of(asked.search(Search(wanted, 10_000_000), PATIENCE).table)


def series(asked: Questions, q: Args) -> Answer:
    return groups_of(asked.series(Series(Filter(q["start"], q["stop"]), q["step"], q["split"], confirmed=True), PATIENCE).table)


def tiles(asked: Questions, q: Args) -> Answer:
    return [int(asked.cells(Cells(Filter(kinds=("call",)), 14, 20, confirmed=True), PATIENCE).table["rows"][0].as_py())]


def history(asked: Questions, q: Args) -> Answer:
    wanted = History(q["feed"], q["source"], start=q["start"], stop=q["stop"], limit=10_000_000)
    return rows_of(asked.history(wanted, PATIENCE).table)


HOW: dict[str, Callable[[Questions, Args], Answer]] = {
    "around": around, "by_hour": by_hour, "calls": calls, "series": series, "tiles": tiles, "history": history,
}  # fmt: skip


def rows_of(table: pa.Table) -> Answer:
    numbers = table["seq"].to_numpy() - FIRST_IMPORTED
    return [len(table), int(numbers.sum())]


def groups_of(table: pa.Table) -> Answer:
    rows: Sequence[int] = table["rows"].to_numpy().astype(np.int64)
    return [len(table), int(np.sum(rows)), int(np.sum(np.square(rows)))]
