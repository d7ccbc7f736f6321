"""What the kernels report: one row per thing that happened to an alert."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

#: An alert keeps the first this many distinct events as evidence, in the order they joined; `count` goes on.
EVIDENCE_MAX = 64


class What(IntEnum):
    RAISE = 0  # a new alert
    JOIN = 1  # a match joined an open alert (SEMANTICS 6)
    RETRACT = 2  # the alert no longer holds (late B of an absence)


@dataclass(frozen=True, slots=True)
class Firings:
    """m firings in a deterministic order.

    `rule`: int32, index into the plan. `what`: int8. `group`: int64, the alert's number inside the engine, given at RAISE and
    stable over snapshots. `anchor`: int64 seq of the event that completed the match or started the clock, -1 for a declared
    source never heard. `time`: int64 µs, event time of the anchor, or the deadline. `source`: int32 code of the
    anchor's (or silent) source. `count`: int64, matches joined so far. `evidence[offset[i]:offset[i + 1]]`: seqs new to the
    alert with this firing, anchor first; `role`: int8 beside it, 0 anchor, 1 member, 10 + i for step i of a sequence,
    30 the `after` of an absence.
    """

    rule: NDArray[np.int32]
    what: NDArray[np.int8]
    group: NDArray[np.int64]
    anchor: NDArray[np.int64]
    time: NDArray[np.int64]
    source: NDArray[np.int32]
    count: NDArray[np.int64]
    offset: NDArray[np.int64]
    evidence: NDArray[np.int64]
    role: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.rule)
