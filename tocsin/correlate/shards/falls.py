"""Which recent events may be taken back later, by journal entry: only feeds that can correct themselves are remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.ids import split_seq


class Falls:
    """Entries with events of feeds that can correct: all of an entry's rows, or some."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[int, NDArray[np.int64] | None]] = {}  # entry -> journal clock, rows or all

    def note(self, entry: int, batch: pa.RecordBatch, feeds: frozenset[str] | None, clock: int) -> None:
        """Takes in an entry. `feeds`: those that can correct; None: all, which needs no remembering."""
        column = batch.column("feed")
        names = column.dictionary.to_pylist()
        if not feeds or feeds.isdisjoint(names):
            return
        rows = None
        if not feeds.issuperset(names):
            can = np.array([name in feeds for name in names])
            rows = np.flatnonzero(can[column.indices.to_numpy(zero_copy_only=False).astype(np.intp)]).astype(np.int64)
        self._entries[entry] = (clock, rows)

    def of(self, seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each event may be taken back."""
        return np.array([self._falls(*split_seq(seq)) for seq in seqs.tolist()], np.bool_)

    def _falls(self, entry: int, row: int) -> bool:
        known = self._entries.get(entry)
        return known is not None and (known[1] is None or bool(np.any(known[1] == row)))

    def prune(self, before: int) -> None:
        """Forgets entries of a journal clock before this one. Called at fixed journal times."""
        self._entries = {entry: known for entry, known in self._entries.items() if known[0] >= before}

    def snapshot(self) -> dict[str, Any]:
        """Plain values and arrays."""
        some = [(entry, known[1]) for entry, known in self._entries.items() if known[1] is not None]
        return {
            "entries": np.array(list(self._entries), np.int64),
            "clocks": np.array([known[0] for known in self._entries.values()], np.int64),
            "some": [[entry, rows] for entry, rows in some],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot."""
        some = {entry: np.asarray(rows, np.int64) for entry, rows in state["some"]}
        pairs = zip(np.asarray(state["entries"]).tolist(), np.asarray(state["clocks"]).tolist(), strict=True)
        self._entries = {entry: (clock, some.get(entry)) for entry, clock in pairs}
