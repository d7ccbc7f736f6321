"""One batch of events as the kernels read it: flat arrays, codes instead of names, canonical units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Extras(Protocol):
    """What few rules ask of few events, looked up when it is asked: names and texts, areas. `rows` count from the batch's first."""

    def links(self, field: str, rows: Sequence[int]) -> list[str | int | float | None]:
        """Values of a field (`model/links.py`), None where it is missing. A boolean is the text `true` or `false`."""

    def areas(self, rows: Sequence[int]) -> list[bytes | None]:
        """Areas as WKB, lon/lat in degrees."""


class Columns(NamedTuple):
    """n events in journal order.

    `seq`: int64, `model.ids.event_seq`. `time`: int64 µs, event time already clamped to ingest + skew. `kind`: int32, code
    of (kind, dimension of the unit) given by `Engine.kind_code`. `source`: int32, code of (feed, source) given by
    `Engine.source_code`; an event that names no source has the code of (feed, None), or -1 when not even the feed matters.
    `lon`, `lat`: float64 degrees, NaN when unknown. `value`: float64 in the canonical unit of the dimension, -inf when there
    is none. `bits`: uint64[n, words], bit i of word i // 64 set where predicate i of `Engine.predicates` holds.
    `valid_until`: int64 µs, exclusive, -1 when the event names no end; None when no event does. Read-only arrays are fine.
    `extras`: what else events say; None when no rule asks. `first`: the row of `extras` that these columns begin with.
    """

    seq: NDArray[np.int64]
    time: NDArray[np.int64]
    kind: NDArray[np.int32]
    source: NDArray[np.int32]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    value: NDArray[np.float64]
    bits: NDArray[np.uint64]
    valid_until: NDArray[np.int64] | None = None
    extras: Extras | None = None
    first: int = 0
