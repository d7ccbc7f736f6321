"""What the parts of a history found, told by one run: an engine that takes matches from a table instead of finding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Sizes
from tocsin.correlate.firing import Firings
from tocsin.correlate.kernels import layout
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.run import Past
from tocsin.correlate.past.ticks import NEVER
from tocsin.correlate.setting import Setting
from tocsin.correlate.shards.desk import Desk
from tocsin.correlate.shards.gather import GatheredEngine
from tocsin.correlate.shards.matches import ARRIVED, DEADLINE, WITHDRAWN, Matches
from tocsin.correlate.shards.regions import Regions
from tocsin.kernel.fault import Fatal
from tocsin.model.plan import Plan

Rows = NDArray[np.void]


class PastDesk(Desk):
    """All matches of a whole history at once. The `cause` of a deadline's match is the first clock at which it counts."""

    def __init__(self, found: Sequence[tuple[int, Matches]]) -> None:
        super().__init__()
        self.now = 0
        self.pushed: NDArray[np.int64] = np.empty(0, np.int64)
        some = [one for one in found if len(one[1].rows)]
        if some:
            self._merge(some)
        waiting = self._found.pop(DEADLINE, None)
        self._waiting: Rows | None = None if waiting is None else waiting[np.argsort(waiting["cause"], kind="stable")]
        self._passed = 0
        arrived = self._found.pop(ARRIVED, None)
        self._arrived: Rows | None = None if arrived is None else arrived[np.argsort(arrived["anchor"], kind="stable")]
        self._told_of = np.zeros(0 if self._arrived is None else len(self._arrived), np.bool_)

    @property
    def left(self) -> int:
        """Matches of events that were never heard of: there are none."""
        return int((~self._told_of).sum()) + len(self._found.get(WITHDRAWN, ()))

    def next_deadline(self) -> int:
        """The clock at which the next deadline counts, NEVER when none is left."""
        return NEVER if self._waiting is None or self._passed == len(self._waiting) else int(self._waiting["cause"][self._passed])

    def deadlines(self) -> Rows | None:
        """Those up to `now`."""
        if self._waiting is None:
            return None
        start, stop = self._passed, int(np.searchsorted(self._waiting["cause"], self.now, "right"))
        if stop <= start:
            return None
        self._passed = stop
        some = self._waiting[start:stop]
        due: Rows = some[np.lexsort((some["anchor"], some["time"]))]
        return due

    def arrived(self, _last: int) -> Rows | None:
        """What the events in `pushed` completed, in their order."""
        if self._arrived is None:
            return None
        anchors = self._arrived["anchor"]
        first, last = np.searchsorted(anchors, self.pushed), np.searchsorted(anchors, self.pushed, "right")
        at = [np.arange(*pair) for pair in zip(first.tolist(), last.tolist(), strict=True) if pair[0] < pair[1]]
        if not at:
            return None
        chosen = np.concatenate(at)
        self._told_of[chosen] = True
        rows: Rows = self._arrived[chosen]
        return rows


class TellEngine(GatheredEngine):
    """An engine for a plan that was matched in parts."""

    def __init__(self, plan: Plan, desk: PastDesk, corrects: frozenset[str] | None, sizes: Sizes | None = None) -> None:
        super().__init__(plan, desk, Regions(), sizes, corrects)
        self._history = desk

    def push(self, columns: Columns, ingest: int) -> Firings:
        self._history.now, self._history.pushed = ingest, columns.seq
        return super().push(columns, ingest)

    def tick(self, clock: int) -> Firings:
        self._history.now = clock
        return super().tick(clock)

    def next_deadline(self) -> int:
        at = self._history.next_deadline()
        return min(super().next_deadline(), at - self.plan.delay if at < NEVER else NEVER)

    def next_move(self) -> int:
        at, clock = self._history.next_deadline(), int(self._memory.meta[layout.CLOCK])
        return min(super().next_move(), max(at, clock + 1))


class Teller(Past):
    """A run that tells what the parts found. It takes the events that complete a match, those that correct, and those that alerts listen to.
    `begins`: clock of the first event of the whole history. `heard`: all clocks at which anything was heard, ascending, in pieces; they decide
    when a deadline counts, and may be left out where no rule has one. `attrs`, `by_time`, `exercise`: as `Past`."""

    def __init__(
        self,
        setting: Setting,
        facts: PastFacts,
        found: Sequence[tuple[int, Matches]],
        heard: Sequence[NDArray[np.int64]],
        begins: int,
        *,
        attrs: Mapping[str, Mapping[str, str]] | None = None,
        by_time: bool = False,
        exercise: bool = False,
        sizes: Sizes | None = None,
        **more: Any,
    ) -> None:
        self._desk = desk = PastDesk(found)

        def engine(plan: Plan, corrects: frozenset[str] | None) -> TellEngine:
            return TellEngine(plan, desk, corrects, sizes)

        super().__init__(setting, facts, attrs=attrs, by_time=by_time, exercise=exercise, engine=engine, **more)
        self._all_heard = heard
        self.clock = begins

    def finish(self) -> None:
        """Raises Fatal when matches were left over: then the parts and this run have read the history differently."""
        super().finish()
        if self._desk.left:
            raise Fatal(f"{self._desk.left} matches that the parts found belong to events that the history does not have")

    def _heard(self, at: int) -> int:
        found = [super()._heard(at)]
        for clocks in self._all_heard:
            place = int(np.searchsorted(clocks, at))
            found += [int(clocks[place])] if place < len(clocks) else []
        return min(found)
