"""A settled stretch of the journal: a few thousand events as flat arrays for searching and Arrow parts for showing.

Journal entries are often a single event, and an Arrow batch of one row costs 20 kB and 15 µs to look into. So entries are
joined into blocks: one Arrow part per feed, and beside them arrays over all rows in journal order. Large entries stay parts of their own:
joining them would cost more than it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from tocsin.model.ids import event_seq

from .eventjson import Json, events_json

Mask = NDArray[np.bool_]
#: Rows from which on a batch, or what was joined, is left as it is.
LARGE: Final = 1024


class Entry(Protocol):
    """A journal entry as it was read. `batch`: None for a tick. `ingest`: city time, µs; `wall`: wall clock, ns."""

    @property
    def seq(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def ingest(self) -> int: ...
    @property
    def wall(self) -> int: ...
    @property
    def batch(self) -> pa.RecordBatch | None: ...


class Names:
    """Text <-> code, shared by all blocks, so that a filter is a look-up by code."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def code(self, name: str) -> int:
        return self._codes.setdefault(name, len(self._codes))

    def names(self) -> list[str]:
        return list(self._codes)

    def where(self, accepts: Callable[[str], bool]) -> Mask:
        """By code: whether the name is accepted."""
        return np.array([accepts(name) for name in self.names()], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Box:
    """Degrees, edges inclusive. `west` > `east` crosses the antimeridian (RFC 7946, 5.2)."""

    west: float
    south: float
    east: float
    north: float

    def longitudes(self) -> tuple[tuple[float, float], ...]:
        return ((self.west, self.east),) if self.west <= self.east else ((self.west, 180.0), (-180.0, self.east))


@dataclass(frozen=True, eq=False)
class Block:
    """n events in journal order: `seq` ascending, `ingest` µs; event i is row `row[i]` of `parts[part[i]]`. Immutable."""

    subjects: tuple[str, ...]
    parts: tuple[pa.RecordBatch, ...]
    part: NDArray[np.int16]
    row: NDArray[np.int32]
    seq: NDArray[np.int64]
    ingest: NDArray[np.int64]
    names: Names

    def __len__(self) -> int:
        return len(self.seq)

    @cached_property
    def nbytes(self) -> int:
        """Arrow buffers, and the arrays made of them on first use (52 bytes a row)."""
        return sum(int(part.get_total_buffer_size()) for part in self.parts) + 52 * len(self)

    @cached_property
    def time(self) -> NDArray[np.int64]:
        return self._gather("event_time", np.int64, lambda column: column.cast(pa.int64()).to_numpy(zero_copy_only=False))

    @cached_property
    def span(self) -> tuple[int, int]:
        """Smallest and largest event time, µs."""
        return int(self.time.min()), int(self.time.max())

    @cached_property
    def lon(self) -> NDArray[np.float64]:
        return self._gather("lon", np.float64, _floats)

    @cached_property
    def lat(self) -> NDArray[np.float64]:
        return self._gather("lat", np.float64, _floats)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all points and areas; inverted when no event has a place."""
        rows, areas = self.areas
        boxes = shapely.bounds(areas) if len(rows) else np.empty((0, 4))
        lons, lats = np.concatenate([self.lon, boxes[:, 0], boxes[:, 2]]), np.concatenate([self.lat, boxes[:, 1], boxes[:, 3]])
        lons, lats = lons[~np.isnan(lons)], lats[~np.isnan(lats)]
        if not len(lons) or not len(lats):
            return (np.inf, np.inf, -np.inf, -np.inf)
        return float(lons.min()), float(lats.min()), float(lons.max()), float(lats.max())

    @cached_property
    def areas(self) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """Rows that have an area, and their geometries."""
        found: list[tuple[int, bytes]] = []
        for number, part in enumerate(self.parts):
            column = part.column("area")
            if column.null_count < len(column):
                wkb = column.to_pylist()
                mine = np.flatnonzero(self.part == number).tolist()
                found += [(i, wkb[self.row[i]]) for i in mine if wkb[self.row[i]] is not None]
        return np.array([i for i, _ in found], np.int64), np.asarray(
            shapely.from_wkb([wkb for _, wkb in found], on_invalid="ignore"), dtype=object
        )

    @cached_property
    def kind(self) -> NDArray[np.int32]:
        return self._gather("kind", np.int32, self._codes)

    @cached_property
    def feed(self) -> NDArray[np.int32]:
        return self._gather("feed", np.int32, self._codes)

    def _codes(self, column: Any) -> NDArray[np.int32]:
        codes = np.array([self.names.code(name) for name in column.dictionary.to_pylist()], np.int32)
        return codes[column.indices.to_numpy(zero_copy_only=False)] if len(codes) else np.empty(0, np.int32)

    def _gather(self, name: str, dtype: Any, read: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
        """One column of all parts in journal order."""
        out = np.empty(len(self), dtype)
        for number, part in enumerate(self.parts):
            mine = self.part == number
            out[mine] = read(part.column(name))[self.row[mine]]
        return out

    def inside(self, box: Box) -> Mask:
        """Events whose point lies in the box or whose area meets it."""
        mask = np.zeros(len(self), np.bool_)
        if self.bounds[1] > box.north or self.bounds[3] < box.south:
            return mask
        for west, east in box.longitudes():
            if self.bounds[0] <= east and self.bounds[2] >= west:
                mask |= (self.lon >= west) & (self.lon <= east)
        mask &= (self.lat >= box.south) & (self.lat <= box.north)
        rows, areas = self.areas
        for west, east in box.longitudes() if len(rows) else ():
            mask[rows[shapely.intersects(areas, shapely.box(west, box.south, east, box.north))]] = True
        return mask

    def json(self, rows: Sequence[int]) -> list[Json]:
        """Event objects of these rows, in the order given."""
        out: list[Json] = [{}] * len(rows)
        for number in sorted({int(self.part[i]) for i in rows}):
            places = [place for place, i in enumerate(rows) if self.part[i] == number]
            mine = [rows[place] for place in places]
            made = events_json(self.parts[number], [int(self.row[i]) for i in mine], self.seq[mine].tolist(), self.ingest[mine].tolist())
            for place, event in zip(places, made, strict=True):
                out[place] = event
        return out


def _floats(column: Any) -> NDArray[np.float64]:
    """Nulls become NaN, which no comparison holds for."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


class _Parts:
    """Batches by feed, while a block is being joined. `careful`: compare schemas (15 µs a batch)."""

    def __init__(self, before: Block | None, careful: bool) -> None:
        self.careful = careful
        self.subjects = list(before.subjects) if before else []
        self.batches: list[list[pa.RecordBatch]] = [[part] for part in before.parts] if before else []
        self.sizes = [part.num_rows for part in before.parts] if before else []
        self.known: dict[str, int] = {subject: number for number, subject in enumerate(self.subjects) if self.sizes[number] < LARGE}

    def add(self, subject: str, batch: pa.RecordBatch) -> tuple[int, int]:
        """-> the part it went to and its first row there. A feed whose attributes changed gets a new part, and so does a large batch."""
        alone = batch.num_rows >= LARGE
        number = None if alone else self.known.get(subject)
        if number is None or (self.careful and not self.batches[number][0].schema.equals(batch.schema)):
            number = len(self.subjects)
            if not alone:
                self.known[subject] = number
            self.subjects.append(subject)
            self.batches.append([])
            self.sizes.append(0)
        start = self.sizes[number]
        self.batches[number].append(batch)
        self.sizes[number] += batch.num_rows
        return number, start

    def joined(self) -> tuple[pa.RecordBatch, ...]:
        return tuple(one[0] if len(one) == 1 else pa.concat_batches(one) for one in self.batches)


def join(entries: Sequence[Entry], names: Names, before: Block | None = None) -> Block:
    """Entries in journal order (at least one event), after the rows of `before`, as one block."""
    try:
        return _join(entries, names, before, _Parts(before, careful=False))
    except pa.ArrowInvalid:  # a feed's attributes changed on the way: rare, so compared only now
        return _join(entries, names, before, _Parts(before, careful=True))


def _join(entries: Sequence[Entry], names: Names, before: Block | None, parts: _Parts) -> Block:
    part, row, seq = ([array] for array in (before.part, before.row, before.seq)) if before else ([], [], [])
    ingest = [before.ingest] if before else []
    for entry in entries:
        batch = entry.batch
        if batch is None or not batch.num_rows:
            continue
        rows = batch.num_rows
        number, start = parts.add(entry.subject, batch)
        part.append(np.full(rows, number, np.int16))
        row.append(np.arange(start, start + rows, dtype=np.int32))
        seq.append(event_seq(entry.seq, 0) + np.arange(rows, dtype=np.int64))
        ingest.append(np.full(rows, entry.ingest, np.int64))
    block = Block(
        subjects=tuple(parts.subjects),
        parts=parts.joined(),
        part=np.concatenate(part),
        row=np.concatenate(row),
        seq=np.concatenate(seq),
        ingest=np.concatenate(ingest),
        names=names,
    )
    _ = block.kind, block.feed  # codes are given here, by one thread, never by a reader
    return block
