"""Where in a stored file places and times lie: what each row group holds, known before the file is opened, and as bytes for the archive's catalogue."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .time import HOUR

#: As `cell`: rows without a place.
NOWHERE: Final = -1
#: What the bytes begin with: their version, row groups, spots.
_HEAD: Final = struct.Struct("<BII")
_VERSION: Final = 1
Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class GroupOutline:
    """Of one row group, as `Outline` has it of many."""

    rows: int
    empty: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outline:
    """Of one file. `rows`: of each row group; `empty`: bit n: its column n is null in all of them. A row group has spots, `firsts[group]` up to `firsts[group + 1]`: each of its rows has a `cell` from `low` to `high`
    (both NOWHERE: it has none) and an event time from `begin` to `end` (µs) of one of them, all inclusive. What is not known bounds nothing."""

    rows: NDArray[np.int64]
    empty: NDArray[np.int64]
    firsts: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """In memory."""
        return sum(one.nbytes for one in (self.rows, self.empty, self.firsts, self.low, self.high, self.begin, self.end))

    def groups(self, start: int | None, stop: int | None, ranges: Ranges, *, bare: bool) -> NDArray[np.int64]:
        """Row groups that may hold a row of these event times (`stop` exclusive) with a cell in one of the ranges (both ends inclusive) or, if `bare`, with none."""
        firsts, lasts = disjoint((*ranges, (NOWHERE, NOWHERE)) if bare else ranges)
        if not len(firsts):
            return np.zeros(0, np.int64)
        nearest = np.searchsorted(lasts, self.low)  # the first range that does not end before the spot begins
        held = (nearest < len(firsts)) & (firsts[np.minimum(nearest, len(firsts) - 1)] <= self.high)
        if start is not None:
            held &= self.end >= start
        if stop is not None:
            held &= self.begin < stop
        return np.unique(np.searchsorted(self.firsts, np.flatnonzero(held), "right") - 1)

    def times(self, group: int) -> tuple[int, int]:
        """Event times of a row group lie from the first to the second, inclusive."""
        mine = slice(self.firsts[group], self.firsts[group + 1])
        return int(self.begin[mine].min(initial=2**63 - 1)), int(self.end[mine].max(initial=-(2**63)))

    @classmethod
    def of(cls, groups: Sequence[GroupOutline]) -> Outline:
        none = np.zeros(0, np.int64)
        return cls(
            np.array([one.rows for one in groups], np.int64),
            np.array([one.empty for one in groups], np.int64),
            np.cumsum([0, *(len(one.low) for one in groups)], dtype=np.int64),
            np.concatenate([none, *(one.low for one in groups)]),
            np.concatenate([none, *(one.high for one in groups)]),
            np.concatenate([none, *(one.begin for one in groups)]),
            np.concatenate([none, *(one.end for one in groups)]),
        )

    def to_bytes(self) -> bytes:
        """Times by whole hours, rounded outward."""
        parts = [
            self.rows, self.empty, np.diff(self.firsts), np.diff(self.low, prepend=0), self.high - self.low, self.begin // HOUR,
            self.end // HOUR - self.begin // HOUR,
        ]  # fmt: skip
        body = np.concatenate(parts).astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes()  # equal bytes together
        packed: bytes = pa.compress(body, codec="zstd", asbytes=True)
        return _HEAD.pack(_VERSION, len(self.rows), len(self.low)) + packed

    def is_said_by(self, body: bytes) -> bool:
        """Whether these bytes say the same; False for bytes of another version."""
        one, two = Outline.from_bytes(self.to_bytes()), Outline.from_bytes(body)
        if one is None or two is None:
            return False
        return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in self.__slots__)

    @classmethod
    def from_bytes(cls, body: bytes) -> Outline | None:
        """None for bytes of another version."""
        version, groups, spots = _HEAD.unpack_from(body)
        if version != _VERSION:
            return None
        count = 3 * groups + 4 * spots
        whole = pa.decompress(body[_HEAD.size :], decompressed_size=8 * count, codec="zstd", asbytes=True)
        numbers = np.frombuffer(whole, np.uint8).reshape(8, count).T.copy().view("<i8").ravel().astype(np.int64)
        rows, empty, each, low, wide, begin, long = np.split(numbers, np.cumsum([groups, groups, groups, spots, spots, spots]))
        low, begin = low.cumsum(), begin * HOUR
        return cls(rows, empty, np.concatenate([[0], each.cumsum()]), low, low + wide, begin, begin + (long + 1) * HOUR - 1)


def disjoint(ranges: Ranges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last of ranges that hold the same numbers, in order, none touching another."""
    found: list[list[int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    firsts, lasts = zip(*found, strict=True) if found else ((), ())
    return np.array(firsts, np.int64), np.array(lasts, np.int64)
