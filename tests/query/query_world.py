"""A small archive for questions: files and a tail cut at random from the same rows, pruned as the contract says, and a plain answer beside it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.archive.outlines import outline_of
from tocsin.model.archive import ID_FORM, ROLLUP, ROW, Box, Look, StoredFile, Want
from tocsin.model.predicate import covers
from tocsin.model.time import DAY, HOUR

Row = dict[str, Any]
MONDAY = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z


def cell_of(lon: float, lat: float) -> int:
    """Morton code at zoom 16, bit by bit."""
    side = 1 << 16
    x = min(side - 1, max(0, int((lon + 180) / 360 * side)))
    bounded = max(-85.0511, min(85.0511, lat))
    y = min(side - 1, max(0, int((1 - math.asinh(math.tan(math.radians(bounded))) / math.pi) / 2 * side)))
    return sum((x >> bit & 1) << (2 * bit) | (y >> bit & 1) << (2 * bit + 1) for bit in range(16))


def row(seq: int, **values: Any) -> Row:
    """A row with plain values where none are given. `event_time`: µs."""
    full: Row = dict.fromkeys(ROW.names)
    full |= {
        "seq": seq,
        "event_time": MONDAY,
        "feed": "calls",
        "kind": "call.fire",
        "id": f"r{seq}",
        "lon": -122.33,
        "lat": 47.6,
        "action": 0,
    }
    full |= values
    full["ingest_time"] = values.get("ingest_time", full["event_time"] + 1_000_000)
    placed = full["lon"] is not None and full["lat"] is not None
    full["cell"] = cell_of(full["lon"], full["lat"]) if placed else None
    return full


def table(rows: Sequence[Row], schema: pa.Schema = ROW) -> pa.Table:
    return pa.table([pa.array([one[name] for one in rows], schema.field(name).type) for name in schema.names], schema=schema)


def rolled(rows: Sequence[Row], size: int) -> list[Row]:
    """The rollup rows of some rows; `size`: of a step in µs."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for one in rows:
        cell = None if one["cell"] is None else one["cell"] >> 4
        groups.setdefault((one["event_time"] // size * size, cell, one["feed"], one["kind"]), []).append(one)
    made = []
    for (start, cell, feed, kind), members in groups.items():
        values = [one["value"] for one in members if one["value"] is not None]
        made.append(
            {
                "start": start, "cell": cell, "feed": feed, "kind": kind, "rows": len(members), "values": len(values),
                "total": math.fsum(values) if values else None, "low": min(values, default=None), "high": max(values, default=None),
                "severity": max((one["severity"] for one in members if one["severity"] is not None), default=None),
            }
        )  # fmt: skip
    return made


def meets(stored: StoredFile, want: Want) -> bool:
    """Whether a file can hold anything of what is wanted."""
    if want.start is not None and stored.stop < want.start:
        return False
    if want.stop is not None and stored.start >= want.stop:
        return False
    if want.feeds and not set(want.feeds) & set(stored.feeds):
        return False
    if want.first is not None and stored.last < want.first:
        return False
    if want.last is not None and stored.first > want.last:
        return False
    return want.box is None or (stored.box is not None and touches(stored.box, want.box))


def touches(one: Box, two: Box) -> bool:
    if one.south > two.north or one.north < two.south:
        return False
    if two.west <= two.east:
        return one.west <= two.east and one.east >= two.west
    return one.east >= two.west or one.west <= two.east


def within(one: Row, want: Want) -> bool:
    """Whether a row of the tail is what is wanted."""
    time = one["event_time"]
    if (want.start is not None and time < want.start) or (want.stop is not None and time >= want.stop):
        return False
    if want.feeds and one["feed"] not in want.feeds:
        return False
    if want.kinds and not any(covers(prefix, one["kind"]) for prefix in want.kinds):
        return False
    if (want.first is not None and one["seq"] < want.first) or (want.last is not None and one["seq"] > want.last):
        return False
    return want.box is None or in_box(one, want.box)


def in_box(one: Row, box: Box) -> bool:
    if one["lon"] is None or not box.south <= one["lat"] <= box.north:
        return False
    return box.west <= one["lon"] <= box.east if box.west <= box.east else one["lon"] >= box.west or one["lon"] <= box.east


@dataclass
class SmallArchive:
    """`Holdings` over files in a folder. `wants`: what was asked for; `handed`: the paths of every look."""

    folder: Path
    wants: list[Want] = field(default_factory=list)
    handed: list[list[Path]] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    rollups: dict[str, list[StoredFile]] = field(default_factory=lambda: {"hourly": [], "daily": []})
    tail: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def add(self, rows: Sequence[Row], **options: Any) -> StoredFile:
        """Publishes a file, and its rollups."""
        stored = self._write("day", sorted(rows, key=lambda one: (one["cell"] or 0, one["kind"], one["event_time"])), ROW, **options)
        self.files.append(stored)
        self.rows += rows
        for step, size in (("hourly", HOUR), ("daily", DAY)):
            self.rollups[step].append(self._write(step, rolled(rows, size), ROLLUP))
        return stored

    def keep(self, rows: Sequence[Row]) -> None:
        """Rows that no file has yet."""
        self.tail += rows
        self.rows += rows

    def _write(self, tier: str, rows: Sequence[Row], schema: pa.Schema, drop: Sequence[str] = ()) -> StoredFile:
        path = self.folder / f"{tier}-{len(self.files)}.parquet"
        made = table(rows, schema)
        if schema is ROW:
            made = made.append_column(ID_FORM, pa.nulls(len(rows), ID_FORM.type))
        pq.write_table(made.drop_columns(list(drop)), path, row_group_size=16)
        time = "start" if tier in self.rollups else "event_time"
        placed = [one for one in rows if one.get("lon") is not None]
        box = (
            Box(*(f(one[name] for one in placed) for f, name in ((min, "lon"), (min, "lat"), (max, "lon"), (max, "lat"))))
            if placed
            else None
        )
        times, seqs = [one[time] for one in rows], [one.get("seq", 0) for one in rows]
        return StoredFile(
            path, tier, "events", tuple(sorted({one["feed"] for one in rows})), len(rows), path.stat().st_size, min(times), max(times),
            box, min(seqs), max(seqs), hashlib.sha256(path.read_bytes()).hexdigest(),
        )  # fmt: skip

    @contextmanager
    def look(self, want: Want) -> Iterator[Look]:
        yield self._look(want, self.files, table([one for one in self.tail if within(one, want)]))

    @contextmanager
    def rollup(self, want: Want, step: str) -> Iterator[Look]:
        size = {"hourly": HOUR, "daily": DAY}[step]
        tail = [one for one in self.tail if within(one, want)]
        yield self._look(want, self.rollups[step], table(rolled(tail, size), ROLLUP))

    def outline(self, file: StoredFile) -> bytes | None:
        """Of every other file, so that both ways are gone."""
        outline = outline_of(file.path) if self.files.index(file) % 2 else None
        return None if outline is None else outline.to_bytes()

    def _look(self, want: Want, files: Sequence[StoredFile], tail: pa.Table) -> Look:
        self.wants.append(want)
        chosen = [stored for stored in files if meets(stored, want)]
        self.handed.append([stored.path for stored in chosen])
        return Look(chosen, tail, max((one["seq"] for one in self.rows), default=0))
