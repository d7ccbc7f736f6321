"""An engine whose matching is done elsewhere: what the shards found is thinned, joined and told here, exactly as if it had been found here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import Firings, What, joined
from tocsin.correlate.kernels import layout
from tocsin.correlate.kernels.doors import gather
from tocsin.correlate.series.runner import PRUNE_EVERY
from tocsin.correlate.series.track import Ticket
from tocsin.correlate.state import Memory
from tocsin.kernel.fault import Fatal
from tocsin.model.plan import Absence, Plan, Silence
from tocsin.model.predicate import covers
from tocsin.model.reading import selectors
from tocsin.model.time import MINUTE

from .assign import rest
from .desk import Desk
from .matches import ARRIVED, FORMAT
from .regions import Regions

#: Matches that may still be taken back are looked through for those that cannot any more whenever so many have come.
_SWEEP: Final = 4096
Rows = NDArray[np.void]


class GatheredEngine(Engine):
    """An `Engine` for a plan of which the shards match a part (`assign.shares`). The desk holds what they found in the entry that is pushed
    next; `regions`: how they are cut."""

    def __init__(
        self, plan: Plan, desk: Desk, regions: Regions, sizes: Sizes | None = None, corrects: frozenset[str] | None = frozenset()
    ) -> None:
        super().__init__(rest(plan), sizes or Sizes(), corrects)
        self.desk = desk
        self._whole = plan
        self._regions = regions
        self._standing: dict[tuple[int, int], tuple[int, int, int]] = {}  # (shard, its number) -> number, slot, time
        self._swept = 0
        self._aside, self._noted = 0, 0  # samples that shards left aside, up to this entry
        self._prefixes = frozenset(selector.kind for rule in self.plan.rules for selector in selectors(rule))

    def hears(self, _kind: str) -> bool:
        return any(covers(prefix, _kind) for prefix in self._prefixes)

    @property
    def stale(self) -> int:
        """Of its own rules and of those that the shards match."""
        return super().stale + self._aside

    def disordered(self, columns: Columns) -> NDArray[np.bool_]:
        """As `Engine.disordered`, of all rules."""
        return np.asarray(super().disordered(columns) | np.isin(columns.seq, self.desk.behind), np.bool_)

    def push(self, columns: Columns, ingest: int) -> Firings:
        if self.desk.entry != self._noted:
            self._noted, self._aside = self.desk.entry, self._aside + len(self.desk.behind)
        before = self._told(self.desk.deadlines())
        own = super().push(columns, ingest)
        after = self._told(self.desk.arrived(int(columns.seq[-1]))) if len(columns.seq) else None
        return _together(before, own, after)

    def tick(self, clock: int) -> Firings:
        before = self._told(self.desk.deadlines())
        return _together(before, super().tick(clock), None)

    def withdraw(self, seqs: Iterable[int], until: int = int(layout.LONG_AGO)) -> Firings:
        gone = set(seqs)
        own = super().withdraw(gone, until)
        return _together(None, own, self._told(self.desk.withdrawn(gone)))

    def snapshot(self) -> Mapping[str, Any]:
        standing = [(*key, *value) for key, value in self._standing.items()]
        return {
            **super().snapshot(),
            "shards": list(self._regions.cuts),
            "matches": FORMAT,
            "heard": list(self.desk.heard),
            "standing": np.array(standing, np.int64).reshape(-1, 5),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if list(state.get("shards", ())) != list(self._regions.cuts) or state.get("matches") != FORMAT:
            raise Fatal("the snapshot was taken with other shards, or those of another version; replay the journal instead of restoring it")
        super().restore(state)
        self.desk.heard = list(state["heard"])
        self._standing = {(row[0], row[1]): (row[2], row[3], row[4]) for row in np.asarray(state["standing"]).tolist()}

    def counters(self) -> Mapping[str, int]:
        return {**super().counters(), "gathered_standing": len(self._standing)}

    def _heir(self, plan: Plan, corrects: frozenset[str] | None) -> GatheredEngine:
        return GatheredEngine(plan, self.desk, self._regions, self._sizes, corrects)

    def _told(self, rows: Rows | None) -> Firings | None:
        """What becomes of some matches."""
        if rows is None:
            return None
        memory, meta = self._memory, self._memory.meta
        meta[layout.PUSH] += 1
        meta[layout.ROWS] = meta[layout.SAID] = 0
        histories = rows["history"] != 0
        self._join(self._known(rows[~histories]))
        for row in rows[histories]:
            self._retell(row)
        self._sweep()
        said, labels = memory.said(), dict(self._said.labels)
        self._said.clear()
        meta[layout.ROWS] = meta[layout.SAID] = 0
        return Firings(*said, labels)

    def _join(self, rows: Rows) -> None:
        """What the shards' kernels found goes through the kernels that thin and join."""
        memory = self._memory
        made, told = self.desk.prepared(rows, self.source_code, self._falling())
        self._place(rows, made)
        _make_room(memory, int((made["last"] - made["first"]).max(initial=0)))
        at, full = gather(memory.m, made, told, 0)
        while full != layout.DONE:
            memory.grow(full)
            at, full = gather(memory.m, made, told, at)
        self._note(rows, made)

    def _retell(self, row: np.void) -> None:
        """What a history of a shard said goes the way of what histories here say."""
        found, label = self.desk.said(row, self.source_code)
        key, outlet = (int(row["shard"]), int(row["number"])), self._outlet(int(row["rule"]))
        cause = int(row["cause"]) if row["phase"] == ARRIVED else int(layout.NEVER)
        if row["what"] == What.RAISE:
            self._standing[key] = (*outlet.fire(found, label, cause), found.time)
            return
        number, slot, time = self._standing.pop(key)
        ticket = Ticket(number, slot, found)
        if row["what"] == What.JOIN:
            self._standing[key] = number, slot, time
            outlet.amend(ticket, found, cause)
        else:
            outlet.take_back(ticket, cause)

    def _known(self, rows: Rows) -> Rows:
        """Without what takes back a match that was not told: it was another shard's to tell, or something suppressed it."""
        back = rows["what"] == What.RETRACT
        if not back.any():
            return rows
        pairs = zip(rows["shard"].tolist(), rows["number"].tolist(), strict=True)
        told = np.array([pair in self._standing for pair in pairs])
        known: Rows = rows[~back | told]
        return known

    def _place(self, rows: Rows, made: Rows) -> None:
        for at in np.flatnonzero(rows["what"] == What.RETRACT).tolist():
            number, slot, _ = self._standing.pop((int(rows["shard"][at]), int(rows["number"][at])))
            made["number"][at], made["slot"][at] = number, self._slot(number, slot)

    def _slot(self, number: int, slot: int) -> int:
        """Where an alert's group is now: a reload of rules may have moved it."""
        groups = self._memory["groups"]
        if slot < 0 or groups[slot]["number"] == number:
            return slot
        found = np.flatnonzero(groups["number"] == number)
        return int(found[0]) if len(found) else slot

    def _note(self, rows: Rows, made: Rows) -> None:
        """Remembers what may still be taken back: only what was missing can come."""
        rules = self._whole.rules
        absent = np.array([isinstance(rule.when, Absence | Silence) for rule in rules], np.bool_)
        for at in np.flatnonzero((rows["what"] == What.RAISE) & absent[rows["rule"]]).tolist():
            one, key = made[at], (int(rows["shard"][at]), int(rows["number"][at]))
            self._standing[key] = (int(one["number"]), int(one["slot"]), int(one["time"]))

    def _sweep(self) -> None:
        """Forgets what nobody can speak of any more: what was missing is too late, histories have forgotten what they gave."""
        if len(self._standing) - self._swept > _SWEEP:
            keep = self.plan.lateness + self.plan.delay + PRUNE_EVERY + MINUTE
            oldest = int(self._memory.meta[layout.CLOCK]) - keep
            self._standing = {key: value for key, value in self._standing.items() if value[2] >= oldest}
            self._swept = len(self._standing)

    def _falling(self) -> int:
        """The code of a source whose events may be taken back, -1 when there is none."""
        return self.source_code(min(self._corrects), None) if self._corrects else -1


def _make_room(memory: Memory, evidence: int) -> None:
    """Lets a match of so many events stand in the kernels' hands."""
    if evidence + 2 > len(memory["found"]):
        memory.put("found", np.zeros(2 * (evidence + 2), layout.FOUND))


def _together(*parts: Firings | None) -> Firings:
    some = [one for one in parts if one is not None and len(one)]
    if len(some) == 1:
        return some[0]
    labels: dict[int, str] = {}
    for one in some:
        labels.update(one.labels)
    empty = [(np.empty(0, layout.OUT), np.empty(0, layout.TOLD))]
    return joined([(one.rows, one.told) for one in some] or empty, labels)
