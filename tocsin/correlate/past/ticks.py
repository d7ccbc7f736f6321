"""The ticks of a history: how the journal clock moved on while nothing was heard. Nobody has to look at those at which nothing happens."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.model.time import SECOND

#: Later than every tick.
NEVER: Final = (1 << 63) - 1


class Ticks(Protocol):
    """Clocks in µs of city time. `before`: per event, by its journal position (`seq`), the newest tick before it."""

    def next(self, at: int) -> int:
        """The first tick at `at` or later; `NEVER` when there is none."""

    def before(self, seq: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """None: no tick is ahead of an event that follows it."""


class EverySecond:
    """Where ticks were not kept: one at every full second, as ingest sends them. A second that had none (the node was stopped, an older one ticked in
    between) changes when an alert became known, and nothing else that it says."""

    def next(self, at: int) -> int:
        """The first full second at `at` or later."""
        return -(-at // SECOND) * SECOND if at < NEVER - SECOND else NEVER

    def before(self, _seq: NDArray[np.int64]) -> None:
        """Not known."""
        return


class Recorded:
    """Ticks as they were journaled. `seqs`: journal position of each (`model.ids.event_seq(message, 0)`), ascending; `clocks`: µs."""

    def __init__(self, seqs: NDArray[np.int64], clocks: NDArray[np.int64]) -> None:
        self._seqs = seqs
        self._clocks = np.maximum.accumulate(clocks) if len(clocks) else clocks

    def next(self, at: int) -> int:
        """The first one at `at` or later."""
        place = int(np.searchsorted(self._clocks, at))
        return int(self._clocks[place]) if place < len(self._clocks) else NEVER

    def before(self, seq: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The newest one before each event."""
        if not len(self._seqs):
            return None
        return np.concatenate([[0], self._clocks])[np.searchsorted(self._seqs, seq)]
