"""A shard: reads every journal entry, matches what lies in its region or comes from its sources, and hands on what it found.

It decides nothing about alerts. What it finds follows from the journal alone, so whoever goes on from any of its snapshots finds the
same under the same numbers.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate import snapshots
from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Corrections, Run, reach
from tocsin.correlate.engine import Sizes
from tocsin.correlate.firing import Firings, What
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.horizon import rows as some_rows
from tocsin.correlate.recent import Entry, Fetch, Recent
from tocsin.correlate.reconcile.learnt import SUBJECT as LEARNT
from tocsin.correlate.setting import Configure, Setting
from tocsin.correlate.units_columns import microseconds
from tocsin.kernel.fault import Fatal
from tocsin.model.alert import Evidence
from tocsin.model.ids import event_seq
from tocsin.model.time import MINUTE

from .assign import Way
from .falls import Falls
from .lane import Lane
from .matches import ARRIVED, DEADLINE, MATCH, WITHDRAWN, Matches
from .origins import placed
from .regions import Regions

log = logging.getLogger(__name__)

#: As in the correlator: both forget ids of corrections at the same entries.
PRUNE_EVERY: Final = 10 * MINUTE


@dataclass(slots=True)
class Piece:
    """Matches of one call of one engine: columns of MATCH, evidence, names, labels."""

    rows: NDArray[np.void]
    told: NDArray[np.void]
    names: list[tuple[str, str | None]]
    labels: list[str]


class Matcher:
    """`shard`: number of its region. `fetch`: reads an entry again. `configure`: reads entries that put another setting in force."""

    def __init__(
        self, setting: Setting, shard: int, regions: Regions, fetch: Fetch, configure: Configure | None = None, sizes: Sizes | None = None
    ) -> None:
        self.seq = 0
        self.clock = 0
        self.events = 0  # looked at here
        self.found = 0
        self.setting = setting
        self.shard, self.regions = shard, regions
        self._sizes = sizes or Sizes()
        self._configure = configure
        self._recent = Recent(fetch)
        self._falls = Falls()
        self._horizon = Horizon(setting.plan, setting.lateness)
        self._corrections = Corrections(self._plan(), setting.corrects, lateness=self._horizon.of)
        self._lanes = [self._lane(way) for way in (Way.SOURCE, Way.PLACE)]
        self._watermark = 0  # before the entry in hand
        self._pieces: list[Piece] = []
        self._behind: list[NDArray[np.int64]] = []  # samples of the entry in hand that came out of order

    @property
    def version(self) -> str:
        """What a snapshot of this state depends on."""
        more = f"{self._horizon.settings} {self.setting.corrects and sorted(self.setting.corrects)} {self.shard} {self.regions.cuts}"
        return hashlib.sha256(f"{snapshots.plan_version(self._plan(), more)}".encode()).hexdigest()[:16]

    async def take(self, entry: Entry) -> Matches | None:
        """One journal entry, in order; what was found in it. None for an entry that was taken in before."""
        if entry.seq <= self.seq:
            return None
        before, self.clock = self.clock, max(self.clock, entry.ingest)
        self._watermark = before - self.setting.plan.delay
        self._pieces, self._behind = [], []
        if entry.batch is not None:
            self._recent.add(entry)
            await self._events(entry, entry.batch)
        elif entry.content and entry.subject != LEARNT:
            await self._switch(entry)
        else:
            await self._tick(entry.seq)
        if before // PRUNE_EVERY != self.clock // PRUNE_EVERY:
            self._corrections.prune(self.clock)
            self._falls.prune(self.clock - 2 * reach(self._plan()))
        self.seq = entry.seq
        return self._matches(entry.seq)

    def snapshot(self) -> snapshots.Snapshot:
        """The state after the last entry."""
        state: dict[str, Any] = {
            "lanes": {lane.way.value: lane.snapshot() for lane in self._lanes},
            "corrections": self._corrections.snapshot(),
            "falls": self._falls.snapshot(),
        }
        return snapshots.Snapshot(self.seq, self.clock, state, self.setting.entry)

    def restore(self, found: snapshots.Snapshot) -> None:
        """Goes on from a snapshot of this `version`. Raises Fatal when the engines refuse it."""
        for lane in self._lanes:
            lane.restore(found.state["lanes"][lane.way.value])
        self._corrections.restore(found.state["corrections"])
        self._falls.restore(found.state["falls"])
        self.seq, self.clock = found.seq, found.clock

    def counters(self) -> Mapping[str, int]:
        """Of the engines, summed up."""
        total: dict[str, int] = {}
        for lane in self._lanes:
            for name, value in lane.engine.counters().items():
                total[name] = total.get(name, 0) + value
        return total

    def rules(self, way: Way) -> int:
        """How many rules go this way."""
        return next(len(lane.rules) for lane in self._lanes if lane.way == way)

    def warm_up(self) -> None:
        """Compiles or loads the kernels."""
        self._lanes[0].engine.warm_up()

    def _plan(self) -> Any:
        return replace(self.setting.plan, lateness=self._horizon.longest)

    def _lane(self, way: Way, before: Lane | None = None) -> Lane:
        engine = None if before is None else before.engine
        return Lane(self._plan(), way, self.shard, self.regions, self.setting.corrects, self.setting.skews, self._sizes, engine)

    async def _switch(self, entry: Entry) -> None:
        if self._configure is None:
            raise Fatal(f"journal entry {entry.seq} puts other rules in force, and this shard was not told how to read them")
        setting = await self._configure(entry)
        before, self.setting = self.setting, setting
        if setting.version == before.version:
            return
        self._horizon = Horizon(setting.plan, setting.lateness)
        self._corrections.adopt(self._plan(), setting.corrects, self._horizon.of)
        self._lanes = [self._lane(lane.way, lane) for lane in self._lanes]
        log.info("journal entry %d: %s", entry.seq, ", ".join(f"{len(lane.rules)} rules by {lane.way}" for lane in self._lanes))

    async def _tick(self, entry: int) -> None:
        for lane in self._lanes:
            if lane.rules:
                await self._keep(lane, lane.engine.tick(self.clock), entry, DEADLINE)

    async def _events(self, entry: Entry, batch: pa.RecordBatch) -> None:
        self._falls.note(entry.seq, batch, self.setting.corrects, self.clock)
        runs = self._corrections.runs(batch, self.clock, entry.seq)
        if runs is not None:
            await self._tick(entry.seq)  # deadlines fire before anything is taken back
        for lane in self._lanes:
            if lane.rules:
                await self._lane_events(lane, entry, batch, runs)

    async def _lane_events(self, lane: Lane, entry: Entry, batch: pa.RecordBatch, runs: Sequence[Run] | None) -> None:
        wanted = lane.wanted(batch)
        self.events += len(wanted)
        if not len(wanted):
            columns = None
            if runs is None:
                await self._keep(lane, lane.engine.tick(self.clock), entry.seq, DEADLINE)
                return
        else:
            columns = lane.columns(batch, wanted, entry.ingest, entry.seq)
            late = self._horizon.late(batch if len(wanted) == batch.num_rows else batch.take(pa.array(wanted)), columns.time, self.clock)
            if late is not None:
                columns, wanted = some_rows(columns, ~late), wanted[~late]
        stale = lane.engine.stale
        if runs is None:
            assert columns is not None
            await self._keep(lane, lane.engine.push(columns, self.clock), entry.seq, ARRIVED, columns)
        else:
            await self._lane_runs(lane, entry, batch, runs, columns, wanted)
        if lane.engine.stale != stale and columns is not None:
            self._behind.append(columns.seq[lane.engine.disordered(columns)])

    async def _lane_runs(
        self, lane: Lane, entry: Entry, batch: pa.RecordBatch, runs: Sequence[Run], columns: Columns | None, wanted: NDArray[np.intp]
    ) -> None:
        """An entry that takes something back: run by run."""
        for run in runs:
            if run.withdrawn:
                firings = lane.engine.withdraw(run.withdrawn, self._time_of(batch, run.row, entry.ingest, lane))
                await self._keep(lane, firings, entry.seq, WITHDRAWN, cause=run.withdrawn[0])
            chosen = slice(*np.searchsorted(wanted, [run.start, run.stop]).tolist())
            if columns is not None and chosen.start < chosen.stop:
                part = some_rows(columns, np.arange(chosen.start, chosen.stop))
                await self._keep(lane, lane.engine.push(part, self.clock), entry.seq, ARRIVED, part)

    def _time_of(self, batch: pa.RecordBatch, row: int, ingest: int, lane: Lane) -> int:
        """The event time a row is matched by (SEMANTICS 2)."""
        one = batch.slice(row, 1)
        feed = str(one.column("feed").to_pylist()[0])
        return min(int(microseconds(one.column("event_time"))[0]), ingest + lane.codebook.skew(feed))

    async def _keep(self, lane: Lane, firings: Firings, entry: int, phase: int, columns: Columns | None = None, cause: int = -1) -> None:
        """Takes what an engine reported, if it is this shard's to tell. `columns`: what was pushed."""
        origins = lane.engine.origins()
        if not len(firings):
            return
        anchors, backs, histories = firings.anchor, firings.what == What.RETRACT, lane.histories[firings.rule]
        lon, lat = await self._places(np.where(histories, -1, anchors), columns)
        mine = lane.owned(firings, lon) | backs  # who told a match is known where all are told
        if not mine.any():
            return
        rows = np.zeros(len(firings), MATCH)
        rows["number"] = 2 * firings.group + (lane.way == Way.SOURCE)  # each engine counts for itself
        rows["anchor"], rows["time"], rows["what"] = anchors, firings.time, firings.what
        rows["rule"] = np.array(lane.rules, np.int32)[firings.rule]
        rows["lon"], rows["lat"], rows["falls"] = lon, lat, self._falling(firings)
        base = event_seq(entry, 0)
        rows["phase"] = np.where(anchors >= base, ARRIVED, DEADLINE) if phase == ARRIVED else phase
        rows["cause"] = cause if phase == WITHDRAWN else anchors
        rows["source"], names = _named(firings.source, lane)
        rows["label"], rows["history"] = -1, histories
        labels = _labelled(rows, firings)
        if len(origins):
            own = rows[histories]
            placed(own, origins, phase, self._watermark)
            rows[histories] = own
        self._pieces.append(_chosen(rows, firings, names, labels, np.flatnonzero(mine)))

    def _falling(self, firings: Firings) -> NDArray[np.bool_]:
        """Whether an event of each match may be taken back."""
        if self.setting.corrects is None or not self.setting.corrects:
            return np.full(len(firings), self.setting.corrects is None)
        falls = np.concatenate((np.zeros(1, np.int64), np.cumsum(self._falls.of(firings.evidence))))
        return np.asarray(falls[firings.rows["last"]] > falls[firings.rows["first"]])

    async def _places(self, anchors: NDArray[np.int64], columns: Columns | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Degrees, NaN where unknown. What was pushed is at hand; the anchors of deadlines are looked up."""
        lon, lat = np.full(len(anchors), np.nan), np.full(len(anchors), np.nan)
        older = np.ones(len(anchors), np.bool_)
        if columns is not None and len(columns.seq):
            older = anchors < columns.seq[0]
            at = np.searchsorted(columns.seq, anchors[~older])
            lon[~older], lat[~older] = columns.lon[at], columns.lat[at]
        if older.any():
            facts = await self._recent.lookup(set(anchors[older].tolist()))
            for row in np.flatnonzero(older).tolist():
                lon[row], lat[row] = _degrees(facts.get(int(anchors[row])))
        return lon, lat

    def _matches(self, entry: int) -> Matches:
        behind = np.sort(np.concatenate([np.empty(0, np.int64), *self._behind]))
        if not self._pieces:
            return Matches(entry, behind=behind)
        told, parts = 0, []
        names: list[tuple[str, str | None]] = []
        labels: list[str] = []
        for piece in self._pieces:
            rows = piece.rows
            rows["first"] += told
            rows["last"] += told
            rows["source"] += len(names)
            rows["label"][rows["label"] >= 0] += len(labels)
            told += len(piece.told)
            names += piece.names
            labels += piece.labels
            parts.append(rows)
        every = np.concatenate(parts)
        self.found += len(every)
        return Matches(entry, every, np.concatenate([piece.told for piece in self._pieces]), tuple(names), behind, tuple(labels))


def _degrees(fact: Evidence | None) -> tuple[float, float]:
    if fact is None or fact.lon is None or fact.lat is None or abs(fact.lon) > 180.0 or abs(fact.lat) > 90.0:
        return np.nan, np.nan
    return fact.lon, fact.lat


def _named(sources: NDArray[np.int32], lane: Lane) -> tuple[NDArray[np.intp], list[tuple[str, str | None]]]:
    """Codes as indices into names."""
    present, where = np.unique(sources, return_inverse=True)
    return where, [lane.engine.source_name(code) if code >= 0 else ("", None) for code in present.tolist()]


def _labelled(rows: NDArray[np.void], firings: Firings) -> list[str]:
    """Labels, to which those rows point that raise an alert with one."""
    labels: list[str] = []
    for at in np.flatnonzero(rows["what"] == What.RAISE).tolist() if firings.labels else []:
        label = firings.labels.get(int(firings.group[at]))
        if label is not None:
            rows["label"][at] = len(labels)
            labels.append(label)
    return labels


def _chosen(
    rows: NDArray[np.void], firings: Firings, names: list[tuple[str, str | None]], labels: list[str], at: NDArray[np.intp]
) -> Piece:
    """Some rows with their evidence."""
    first, last = firings.rows["first"][at], firings.rows["last"][at]
    ends = np.cumsum(last - first)
    told = np.concatenate([firings.told[one:two] for one, two in zip(first.tolist(), last.tolist(), strict=True)])
    some = rows[at]
    some["first"], some["last"] = ends - (last - first), ends
    return Piece(some, told, names, labels)
