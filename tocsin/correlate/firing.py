"""What the kernels report: one row per thing that happened to an alert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: An alert shows the first this many distinct events as evidence, in the order they joined; `count` goes on.
EVIDENCE_MAX = 64


class What(IntEnum):
    RAISE = 0  # a new alert
    JOIN = 1  # a match joined an open alert (SEMANTICS 6)
    RETRACT = 2  # a match no longer holds (late B of an absence); with the last one the alert falls
    CLOSE = 3  # the alert closed by itself at `time` (`alert.resolve`)
    REOPEN = 4  # it is open again: what closed it was taken back, or a late match came after it


class Firings:
    """m firings in a deterministic order.

    `rule`: int32, index into the plan. `what`: int64 of `What`. `group`: int64, the alert's number inside the engine, given at RAISE and
    stable over snapshots. `anchor`: int64 seq of the event that completed the match or started the clock, -1 for a declared
    source never heard. `time`: int64 µs, event time of the anchor, or the deadline. `source`: int32 code of the
    anchor's (or silent) source. `count`: int64, matches joined so far. `evidence[offset[i]:offset[i + 1]]`: int64 seqs new to the
    alert with this firing, anchor first; `role`: int64 beside it, 0 anchor, 1 member, 10 + i for step i of a sequence,
    30 the `after` of an absence. Of events that may be withdrawn later everything is told, beyond EVIDENCE_MAX too, and a match that
    comes back tells its anchor again. A RETRACT tells the late event and the anchor of the match it took back; its `count` is what is left. CLOSE and REOPEN tell
    no evidence and come last; `count` of a CLOSE says how (`parts.groups`), `anchor` which event did it, -1 for none.

    All are columns of two record arrays, `rows` and `told`, as the kernels wrote them. `labels`: group -> what tells the alert from
    another one of the same rule and anchor (a zone, an early warning), for groups raised here that have such.
    """

    __slots__ = ("labels", "rows", "told")

    def __init__(self, rows: NDArray[Any], told: NDArray[Any], labels: Mapping[int, str] | None = None) -> None:
        self.rows = rows
        self.told = told
        self.labels: Mapping[int, str] = labels or {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rule(self) -> NDArray[np.int32]:
        return self.rows["rule"]

    @property
    def what(self) -> NDArray[np.int64]:
        return self.rows["what"]

    @property
    def group(self) -> NDArray[np.int64]:
        return self.rows["group"]

    @property
    def anchor(self) -> NDArray[np.int64]:
        return self.rows["anchor"]

    @property
    def time(self) -> NDArray[np.int64]:
        return self.rows["time"]

    @property
    def source(self) -> NDArray[np.int32]:
        return self.rows["source"]

    @property
    def count(self) -> NDArray[np.int64]:
        return self.rows["count"]

    @property
    def offset(self) -> NDArray[np.int64]:
        return np.append(self.rows["first"], len(self.told))

    @property
    def evidence(self) -> NDArray[np.int64]:
        return self.told["seq"]

    @property
    def role(self) -> NDArray[np.int64]:
        return self.told["role"]


def joined(parts: Sequence[tuple[NDArray[Any], NDArray[Any]]], labels: Mapping[int, str]) -> Firings:
    """Firings said in several parts, one after the other."""
    if len(parts) == 1:
        return Firings(*parts[0], labels)
    told = 0
    for rows, evidence in parts:
        rows["first"] += told
        rows["last"] += told
        told += len(evidence)
    return Firings(np.concatenate([rows for rows, _ in parts]), np.concatenate([evidence for _, evidence in parts]), labels)
