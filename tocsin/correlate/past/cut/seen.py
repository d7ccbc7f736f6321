"""What a part of a history finds: an engine that notes every match and keeps it from being told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import Firings, What
from tocsin.correlate.horizon import rows as some_rows
from tocsin.correlate.kernels import layout
from tocsin.correlate.past.run import Past
from tocsin.correlate.shards.assign import Way
from tocsin.correlate.shards.matches import ARRIVED, DEADLINE, MATCH, WITHDRAWN, Matches
from tocsin.correlate.units_columns import coordinates
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import ROW
from tocsin.model.plan import Plan

from .ways import Cut, Mask, owner_of

_NOTHING: Final = Firings(np.empty(0, layout.OUT), np.empty(0, layout.TOLD))
Fetch = Callable[[Sequence[int], Sequence[str] | None], pa.Table]


@dataclass(slots=True)
class _Piece:
    """Matches of one call. `phase`, `cause`: as in MATCH."""

    firings: Firings
    phase: NDArray[np.int8]
    cause: int


class PartEngine(Engine):
    """An `Engine` for `ways.matched(plan)` in one part: takes what lies near it, says nothing, and remembers what it found."""

    def __init__(self, plan: Plan, cut: Cut, sizes: Sizes | None = None, corrects: frozenset[str] | None = frozenset()) -> None:
        super().__init__(plan, sizes or Sizes(), corrects)
        self.cut = cut
        self.new: list[_Piece] = []
        self._owners: NDArray[np.int64] = np.empty(0, np.int64)

    def push(self, columns: Columns, ingest: int) -> Firings:
        near = self.near(columns)
        some = columns if near.all() else some_rows(columns, near)
        found = super().push(some, ingest) if len(some.seq) else super().tick(ingest)
        return self._note(found, np.where(np.isin(found.anchor, some.seq), ARRIVED, DEADLINE).astype(np.int8))

    def tick(self, clock: int) -> Firings:
        found = super().tick(clock)
        return self._note(found, np.full(len(found), DEADLINE, np.int8))

    def withdraw(self, seqs: Iterable[int], until: int = int(layout.LONG_AGO)) -> Firings:
        gone = list(seqs)
        found = super().withdraw(gone, until)
        return self._note(found, np.full(len(found), WITHDRAWN, np.int8), gone[0] if gone else -1)

    def near(self, columns: Columns) -> Mask:
        """Which events this part looks at."""
        if self.cut.way == Way.PLACE:
            return self.cut.regions.near(self.cut.number, columns.lon, columns.lat, self.cut.halo)
        return self.owned(columns)

    def owned(self, columns: Columns) -> Mask:
        """Which events belong to this part and to no other."""
        if self.cut.way == Way.PLACE:
            return np.asarray(self.cut.regions.owner(columns.lon) == self.cut.number)
        if len(self._owners) < len(self._names):
            more = [owner_of(*self._names[code], self.cut.count) for code in range(len(self._owners), len(self._names))]
            self._owners = np.concatenate([self._owners, np.array(more, np.int64)])
        return np.asarray((columns.source >= 0) & (self._owners[columns.source] == self.cut.number))

    def _note(self, found: Firings, phase: NDArray[np.int8], cause: int = -1) -> Firings:
        if len(found):
            self.new.append(_Piece(found, phase, cause))
        return _NOTHING


class PartPast(Past):
    """A run of one part. Late facts are counted where they belong."""

    def move(self, clock: int) -> None:
        """Nothing more is heard until `clock`: deadlines alone matter to a part."""
        while (at := self._ticks.next(max(self._engine.next_move(), self.clock + 1))) <= clock:
            self._apply(self._engine.tick(at), at, 0)

    def _count_late(self, columns: Columns, late: Mask) -> int:
        assert isinstance(self._engine, PartEngine)
        return int((late & self._engine.owned(columns)).sum())


class Finds:
    """The matches of one run in one part, gathered while it goes. `corrects`: feeds whose events may be withdrawn, None for all. `by_time`: an event
    counts as known when it happened."""

    def __init__(self, engine: PartEngine, corrects: frozenset[str] | None, by_time: bool = False) -> None:
        self._engine, self._corrects = engine, corrects
        self._known_at = "event_time" if by_time else "ingest_time"
        self._rows: list[NDArray[np.void]] = []
        self._told: list[NDArray[np.void]] = []
        self._names: dict[tuple[str, str | None], int] = {}
        self._facts: list[pa.Table] = []
        self._known: set[int] = set()

    def gather(self, fetch: Fetch) -> None:
        """Takes over what the engine has noted since. `fetch`: reads events by their numbers. Raises Fatal for those that are not there."""
        pieces, self._engine.new = self._engine.new, []
        if not pieces:
            return
        wanted = np.unique(np.concatenate([*(one.firings.evidence for one in pieces), *(one.firings.anchor for one in pieces)]))
        missing = [seq for seq in wanted.tolist() if seq not in self._known]
        if missing:
            table = fetch(missing, None).cast(ROW)
            if len(table) != len(missing):
                raise Fatal(f"{len(missing) - len(table)} events that matches rest on cannot be read again from the archive")
            self._facts.append(table)
            self._known.update(missing)
        where, falls = self._places()
        for one in pieces:
            self._take(one, where, falls)

    def _places(self) -> tuple[dict[int, tuple[float, float, int]], frozenset[int]]:
        """Of the events known: where they are and when they were known, and which of them may be withdrawn."""
        table = pa.concat_tables(self._facts).unify_dictionaries().combine_chunks()
        self._facts = [table]
        batch = table.to_batches()[0]
        lon, lat, _ = coordinates(batch.column("lon"), batch.column("lat"))
        seqs = batch.column("seq").to_pylist()
        falls: frozenset[int] = frozenset(seqs) if self._corrects is None else frozenset()
        if self._corrects:
            own = pc.is_in(batch.column("feed").cast(pa.string()), pa.array(sorted(self._corrects), pa.string())).to_pylist()
            falls = frozenset(seq for seq, mine in zip(seqs, own, strict=True) if mine)
        known = batch.column(self._known_at).cast(pa.int64()).to_pylist()
        return dict(zip(seqs, zip(lon.tolist(), lat.tolist(), known, strict=True), strict=True)), falls

    def _take(self, piece: _Piece, places: dict[int, tuple[float, float, int]], falls: frozenset[int]) -> None:
        firings, cut = piece.firings, self._engine.cut
        rows = np.zeros(len(firings), MATCH)
        rows["number"], rows["anchor"], rows["time"], rows["what"] = firings.group, firings.anchor, firings.time, firings.what
        rows["rule"], rows["phase"] = firings.rule, piece.phase
        where = [places[seq] for seq in firings.anchor.tolist()]
        rows["lon"], rows["lat"] = [one[0] for one in where], [one[1] for one in where]
        due = np.maximum(firings.time + self._engine.plan.delay, np.array([one[2] for one in where], np.int64) + 1)
        rows["cause"] = np.where(piece.phase == WITHDRAWN, piece.cause, np.where(piece.phase == DEADLINE, due, firings.anchor))
        if cut.way == Way.PLACE:
            mine = (cut.regions.owner(rows["lon"]) == cut.number) | (firings.what == What.RETRACT)
        else:
            mine = np.ones(len(rows), np.bool_)
        first, last = firings.rows["first"], firings.rows["last"]
        for at in np.flatnonzero(mine).tolist():
            told = firings.told[first[at] : last[at]]
            row = rows[at : at + 1].copy()
            name = self._engine.source_name(int(firings.source[at])) if firings.source[at] >= 0 else ("", None)
            row["source"] = self._names.setdefault(name, len(self._names))
            row["falls"] = not falls.isdisjoint(told["seq"].tolist()) if falls else 0
            row["first"], row["last"] = 0, len(told)
            self._rows.append(row)
            self._told.append(told)

    def result(self) -> tuple[Matches, pa.Table]:
        """All matches that are this part's to tell, and the events they rest on, of schema ROW."""
        if not self._rows:
            return Matches(0), ROW.empty_table()
        rows, told = np.concatenate(self._rows), np.concatenate(self._told)
        ends = np.cumsum(rows["last"])
        rows["first"], rows["last"] = ends - rows["last"], ends
        used = pa.array(np.unique(np.concatenate([told["seq"], rows["anchor"]])))
        table = self._facts[0]
        return Matches(0, rows, told, tuple(self._names)), table.filter(pc.is_in(table.column("seq"), used))
