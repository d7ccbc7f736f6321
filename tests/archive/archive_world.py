"""Journal entries, archives and readers that the archive's tests share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from tocsin.archive.holdings import Archive
from tocsin.archive.keeper import Keeper
from tocsin.archive.parquet import loaded, read
from tocsin.archive.rows import journal_rows
from tocsin.archive.steps import step
from tocsin.model.archive import CLASSES, ROW, Want
from tocsin.model.event import ATTR_TYPES, event_schema

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
START = 1_767_225_600_000_000  # 2026-01-01
EVERYTHING = Want()
FEEDS = {"air": 1, "fleet": 2, "calls": 0}  # as `classes_of` gives them
ATTRS = {"type": "string", "level": "number", "units": "integer", "open": "boolean", "due": "time"}


class Crash(BaseException):
    """The process ended here."""


def event(number: int, feed: str = "air", time: int = START, **more):
    """One event as a dict; what is not said is null."""
    kind = {"air": "air.pm", "fleet": "asset.position", "calls": "call.fire"}[feed]
    return {
        "id": f"{feed}{number}",
        "feed": feed,
        "kind": kind,
        "source": f"s{number % 5}",
        "event_time": time,
        "ingest_time": time + SECOND,
        "action": 0,
    } | more


def batch(events, attrs=ATTRS) -> pa.RecordBatch:
    """Events of one feed as the journal has them."""
    schema = event_schema(attrs)
    arrays = []
    for one in schema:
        values = [row.get(one.name) for row in events]
        kind = one.type.value_type if pa.types.is_dictionary(one.type) else one.type
        array = pa.array(values, kind)
        arrays.append(array.dictionary_encode().cast(one.type) if pa.types.is_dictionary(one.type) else array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def rows(folder: Path, want: Want = EVERYTHING) -> pa.Table:
    """All rows that one look shows, by seq."""
    archive = Archive(folder)
    try:
        with archive.look(want) as look:
            parts = [loaded(read(file.path)) for file in look.files]
            assert [len(part) for part in parts] == [file.rows for file in look.files]
            return pa.concat_tables([*parts, look.tail]).unify_dictionaries().combine_chunks().sort_by("seq")
    finally:
        archive.close()


def plain(table: pa.Table) -> list[dict]:
    """Comparable rows: names as texts, times as numbers."""
    columns = {}
    for one in ROW:
        column = table.column(one.name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns[one.name] = column.cast(pa.string()).to_pylist() if pa.types.is_dictionary(column.type) else column.to_pylist()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@dataclass
class Book:
    """What was acknowledged, to compare with: the journal's entries."""

    entries: list[tuple[int, pa.RecordBatch]] = field(default_factory=list)

    def expected(self) -> list[dict]:
        return plain(journal_rows(self.entries))


def keeper(folder: Path) -> Keeper:
    return Keeper(folder, FEEDS)


def crash_at(count: int):
    """The hook that ends everything at the count-th step from now."""
    left = count

    def hook(_name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    step.hook = hook


def calm() -> None:
    step.hook = None


def spread(count: int, seed: int = 0, days: int = 3, feed: str = "air", first: int = 0, start: int = START):
    """Events of a feed over some days: most near one place, some nowhere."""
    rng = np.random.default_rng([seed, first])
    made = []
    for number in range(first, first + count):
        time = start + int(rng.integers(0, days * 86_400)) * SECOND
        place = {} if rng.random() < 0.1 else {"lon": -122.3 + float(rng.normal(0, 0.05)), "lat": 47.6 + float(rng.normal(0, 0.05))}
        more = {"value": float(rng.integers(0, 50)) / 10, "unit": "ug/m3", "severity": int(rng.integers(0, 5))} if feed != "calls" else {}
        name = {"id": f"s{number % 5}/{time // SECOND}"} if number % 3 else {}
        made.append(
            event(
                number,
                feed,
                time,
                **place,
                **more,
                **name,
                text="a call" if feed == "calls" else None,
                attrs={"type": "x", "units": number},
            )
        )
    return made


assert set(FEEDS.values()) == set(range(len(CLASSES))) and set(ATTRS.values()) == set(ATTR_TYPES)
