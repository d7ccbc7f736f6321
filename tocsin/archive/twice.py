"""Rows that more than one file holds, found by their numbers, in passes over ranges of these: each holds no more numbers than a small machine has room for,
and reads only files that reach into its range.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tocsin.model.archive import StoredFile

#: Numbers that one pass looks at, about.
AT_ONCE: Final = 16_000_000
#: One number in so many says where passes begin.
_SAMPLED: Final = 1024

Numbers = NDArray[np.int64]


def twice(files: Sequence[StoredFile], say: Callable[[float], None] = lambda _share: None) -> dict[int, Numbers]:
    """Which files hold rows that a file before them holds too: index of the file -> positions of these rows in it, ascending. Raises OSError, pa.ArrowException."""
    edges = _edges(files)
    found: dict[int, list[Numbers]] = {}
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        say(number / (len(edges) - 1))
        for place, rows in _pass(files, low, high):
            found.setdefault(place, []).append(rows)
    return {place: np.sort(np.concatenate(rows)) for place, rows in sorted(found.items())}


def _edges(files: Sequence[StoredFile]) -> list[int]:
    """Where passes begin, and one beyond the last."""
    if not files:
        return []
    sampled = [numbers[::_SAMPLED].copy() for file in files for numbers in _numbers(file)]
    passes = -(-sum(file.rows for file in files) // AT_ONCE)
    inner = np.quantile(np.concatenate(sampled), np.arange(1, passes) / passes, method="lower")
    first = min(file.first for file in files)
    return sorted({first, *inner.tolist(), max(file.last for file in files) + 1})


def _pass(files: Sequence[StoredFile], low: int, high: int) -> Iterator[tuple[int, Numbers]]:
    """Of the numbers from `low` to below `high`: (file, positions of rows that are there a second time)."""
    parts: list[Numbers] = []
    sizes: list[int] = []
    for file in files:
        reaches = file.first < high and low <= file.last
        mine = [numbers[(numbers >= low) & (numbers < high)] for numbers in _numbers(file)] if reaches else []
        parts += mine
        sizes.append(sum(len(some) for some in mine))
    every = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    del parts
    in_order = np.sort(every)
    if not (in_order[1:] == in_order[:-1]).any():
        return
    order = np.argsort(every, kind="stable")  # of equal ones, that of the earlier file comes first
    again = np.sort(order[1:][every[order[1:]] == every[order[:-1]]])
    stops = np.cumsum(sizes)
    for place in np.unique(np.searchsorted(stops, again, side="right")).tolist():
        start = stops[place] - sizes[place]
        mine = again[(again >= start) & (again < stops[place])] - start
        yield place, _positions(files[place], low, high)[mine]


def _positions(file: StoredFile, low: int, high: int) -> Numbers:
    """Where in a file the numbers of a pass stand."""
    numbers = np.concatenate(list(_numbers(file)))
    found: Numbers = np.flatnonzero((numbers >= low) & (numbers < high))
    return found


def _numbers(file: StoredFile) -> Iterator[Numbers]:
    """The numbers of a file's rows, row group by row group."""
    with pq.ParquetFile(file.path) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            yield parquet.read_row_group(group, columns=["seq"], use_threads=False).column("seq").to_numpy()
