"""One batch of events as the kernels read it: flat arrays, codes instead of names, canonical units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Columns:
    """n events in journal order.

    `seq`: int64, `model.ids.event_seq`. `time`: int64 µs, event time already clamped to ingest + skew. `kind`: int32, code
    of (kind, dimension of the unit) given by `Engine.kind_code`. `source`: int32, code of (feed, source), -1 when the event
    names none. `lon`, `lat`: float64 degrees, NaN when unknown. `value`: float64 in the canonical unit of the dimension,
    -inf when there is none. `bits`: uint64[n, words], bit i of word i // 64 set where predicate i of `Engine.predicates`
    holds. Read-only arrays are fine.
    """

    seq: NDArray[np.int64]
    time: NDArray[np.int64]
    kind: NDArray[np.int32]
    source: NDArray[np.int32]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    value: NDArray[np.float64]
    bits: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.seq)
