"""The correlator: journal entries in, alerts out, state that survives a crash.

One loop over whole entries; nothing is awaited per event. Everything it decides follows from the journal alone, so a replay from
any snapshot, or from the start, tells the same revisions of the same alerts; those that are durable already are not told again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tocsin.kernel.fault import Fatal
from tocsin.model.alert import Alert
from tocsin.model.plan import Plan
from tocsin.model.time import MINUTE

from . import snapshots
from .adopt import kinship
from .assemble import Assembler, Context
from .codebook import CodeBook
from .columns import Columns
from .corrections import Corrections, Run
from .engine import Engine
from .firing import Firings
from .horizon import Horizon, rows
from .meters import COUNTER_WORDS, PREFIX, Counters, Latency, Sample, render
from .outbox import Outbox, Publish, Times
from .parts.beside import Beside
from .parts.told import part_samples
from .recent import Entry, Fetch, Recent
from .reconcile.late import LateFacts, Mask
from .reconcile.learnt import SUBJECT as LEARNT
from .saving import Saver
from .setting import Configure, Setting
from .telling import Teller
from .wording import Telling, Wording

log = logging.getLogger(__name__)

#: Journal time between two rounds of forgetting; fixed, so that every replay forgets at the same entries.
PRUNE_EVERY: Final = 10 * MINUTE
#: Counters of the kernels that also go down.
_LEVELS: Final = frozenset({"histories", "samples_kept", "recent", "groups_open", "absences_pending", "state_bytes"})
_BREATH: Final = 0.01  # seconds of work after which other tasks get a turn
#: An entry taken in so long after its receipt (ns) waited for others: work that can wait does.
_BEHIND: Final = 40_000_000


class Correlator:
    """Runs one plan over the journal.

    `fetch` reads an entry again (evidence that is no longer in memory). `published`: alert id -> newest revision already in the
    ALERTS stream. `corrects`: feeds whose records may update or cancel others (`corrections.correcting`), None for all.
    `skews`: feed -> µs an event time may be ahead. `lateness`: feed -> µs an event may be late; later ones are set aside (`late`).
    `snapshot`: the file, None for none. `live_from`: entries up to this stream sequence are catch-up and do not count for latency.
    `in_force`: the journal entry that brought the plan, and its version. `configure`: reads entries that bring another one
    (`setting.py`); None where the journal has none.
    """

    def __init__(
        self,
        plan: Plan,
        fetch: Fetch,
        *,
        name_place: Callable[[float, float], str] = lambda _lon, _lat: "",
        published: Mapping[str, int] | None = None,
        snapshot: Path | None = None,
        snapshot_every: float = 5.0,
        corrects: frozenset[str] | None = None,
        skews: Mapping[str, int] | None = None,
        lateness: Mapping[str, int] | None = None,
        exercise: bool = False,
        live_from: int = 0,
        recent_bytes: int = 64 << 20,
        engine: Engine | None = None,
        in_force: tuple[int, str] = (0, ""),
        configure: Configure | None = None,
    ) -> None:
        self.seq = 0
        self.clock = 0
        self.counters = Counters()
        self.latency = Latency()
        self.live_from = live_from
        self.setting = Setting(plan, name_place, corrects, skews or {}, *in_force, lateness or {})
        self._configure = configure
        horizon = Horizon(plan, lateness)
        plan = replace(plan, lateness=horizon.longest)
        self._plan_version = snapshots.plan_version(plan, horizon.settings)
        self._engine = engine if engine is not None else Engine(plan, corrects=corrects)
        self._codebook = CodeBook(self._engine, plan, skews)
        self._corrections = Corrections(plan, corrects, lateness=horizon.of)
        context = Context(self._corrections.root, self._engine.source_name, self._engine.source_code, self._codebook.skew)
        self._assembler = Assembler(plan, context)
        self.late = LateFacts(plan, horizon, self._assembler, self._corrections)
        self._wording = Wording(name_place, self._codebook.skew, exercise, plan.timezone)
        self._recent = Recent(fetch, recent_bytes)
        self._published = dict(published or {})
        self._outbox: Outbox | None = None
        self._teller: Teller | None = None
        self._read = 0  # wall clock, ns, when the last entry was taken in
        self._settled = True  # nothing is half done and all that was told is durable
        self._saver = None if snapshot is None else Saver(snapshot, self._plan_version, snapshot_every, self.counters)

    def resume(self) -> int:
        """Loads the snapshot if there is a usable one. Returns the last journal entry it contains: read on from the next."""
        saver = self._saver
        found = None if saver is None else snapshots.load(saver.file, self._plan_version)
        if saver is not None and found is not None and self._restored(found.state["engine"], saver.file):
            self._codebook.reset()
            self._beside.reset()
            self._assembler.restore(found.state["alerts"])
            self._corrections.restore(found.state["corrections"])
            self.late.restore(found.state["late"])
            self.seq, self.clock = found.seq, found.clock
            saver.seq = found.seq
        return self.seq

    def _restored(self, state: Mapping[str, Any], file: Path) -> bool:
        try:
            self._engine.restore(state)
        except Fatal as error:
            log.warning("snapshot %s is not used: %s", file, error)
            return False
        return True

    def warm_up(self) -> None:
        """Compiles or loads the kernels; takes seconds on a cold cache. Call before saying "ready"."""
        self._engine.warm_up()

    async def run(self, entries: AsyncIterator[Entry], publish: Publish, *, finish: bool = False) -> None:
        """Until the entries end. `finish`: tell also what waits for its second to pass (end of a rule test or a back-test; never
        when the journal goes on). To stop in peace, end the entries. Raises what `publish` or `fetch` raise; after that, and after a
        cancellation, what was told may not be durable: make a new correlator and go on from its `resume`."""
        if not self._settled:
            raise Fatal("this correlator was stopped in the middle of its work; make a new one and go on from its resume()")
        self._settled = False
        self._outbox = outbox = Outbox(publish, self._published, self._told)
        self._teller = teller = Teller(self._wording, self._recent.lookup, outbox, self._count)
        breath = time.perf_counter()
        try:
            async for entry in entries:
                await self._take(entry, teller)
                if self._saver is not None and self._saver.due(self.seq):
                    self._saver.start(self._state, self.seq, teller.settled)
                if time.perf_counter() - breath > _BREATH:
                    await asyncio.sleep(0)
                    breath = time.perf_counter()
            if finish:
                await self._tell(teller, 0, self.seq, everything=True)
            await teller.flush()
            await outbox.drain()
            self._settled = True
        finally:
            await teller.close()
            await outbox.close()
            if self._saver is not None:
                await self._saver.close(self._settled)

    def save(self) -> bool:
        """Writes a snapshot now, on this thread, if `run` came to its end: only then is all that was told durable."""
        if self._saver is None or not self._settled:
            return False
        self._saver.now(self._state())
        return True

    def times(self, alert: Alert) -> Times:
        """Wall clocks of a revision that is being published, for `publish` to note beside it."""
        assert self._outbox is not None
        return self._outbox.times(alert)

    @property
    def untold(self) -> int:
        """Revisions of alerts that entries up to `seq` decided and that are not durable yet."""
        return 0 if self._teller is None else self._teller.untold

    @property
    def behind(self) -> bool:
        """Whether the last entry had waited before it was taken in: work that can wait should."""
        return self._teller is not None and self._teller.behind

    @property
    def _beside(self) -> Beside:
        return self._assembler.parts.beside

    @property
    def forgotten(self) -> int:
        """Recent events that gave way while a rule could still have needed them, because the store was full: answers may be incomplete."""
        return self._engine.counters().get("overwritten", 0)

    @property
    def state_bytes(self) -> int:
        """Memory the kernels' tables take."""
        return self._engine.counters().get("state_bytes", 0)

    def metrics(self) -> str:
        """Prometheus text."""
        counted = [Sample(name, "counter", words, getattr(self.counters, name)) for name, words in COUNTER_WORDS.items()]
        repairs, recent = self._codebook.repairs, self._recent
        counted += [
            *(
                Sample("clamped_times", "counter", "Events dated ahead of their receipt by more than the feed's skew.", n, f'feed="{feed}"')
                for feed, n in sorted(repairs.clamped_times.items())
            ),
            Sample("bad_coordinates", "counter", "Events whose coordinates are not on the globe.", repairs.bad_coordinates),
            Sample("unknown_units", "counter", "Events with a unit that is not in UCUM.", repairs.unknown_units),
            Sample("corrections_dangling", "counter", "Updates and cancels that name no target.", self._corrections.dangling),
            Sample("already_told", "counter", "Revisions left out because they were durable before a restart.", self._skipped()),
            Sample("evidence_reread", "counter", "Journal entries read again for evidence.", recent.fetched),
            Sample("evidence_missing", "counter", "Events of evidence that the journal no longer has.", recent.missing),
            Sample("alerts_forgotten", "counter", "Alerts forgotten because there were too many.", self._assembler.ledger.forgotten),
            Sample("evidence_untraced", "counter", "Events of one alert beyond those it remembers.", self._assembler.ledger.untraced),
            Sample("alerts_remembered", "gauge", "Alerts that can still change.", len(self._assembler.ledger.cases)),
            Sample(
                "amendments_waiting", "gauge", "Amendments decided and not yet put into words.", self._teller.waiting if self._teller else 0
            ),
            Sample("recent_bytes", "gauge", "Journal entries kept in memory.", recent.size),
            Sample("snapshot_bytes", "gauge", "Size of the newest snapshot.", self.counters.snapshot_bytes),
            Sample("snapshot_duration_seconds", "gauge", "Time the newest snapshot took.", self.counters.snapshot_seconds),
            Sample("snapshot_pause_seconds", "gauge", "How long the newest snapshot held up the events.", self.counters.snapshot_pause),
            Sample("rules", "gauge", "Rules in force.", len(self.setting.plan.rules)),
            Sample("setting_sequence", "gauge", "Stream sequence of the entry that put them in force, 0 for none.", self.setting.entry),
            Sample("last_sequence", "gauge", "Stream sequence of the last entry taken in.", self.seq),
            Sample("journal_clock_seconds", "gauge", "The journal clock, seconds since 1970.", self.clock / 1e6),
        ]
        counted += self.late.samples()
        counted += part_samples(self._assembler.parts, self._assembler.ledger.cases.values())
        for name, value in self._engine.counters().items():
            kind = "gauge" if name in _LEVELS else "counter"
            counted.append(Sample(f"engine_{name}", kind, f"Kernels: {name.replace('_', ' ')}.", value))
        return render(counted) + self.latency.text(PREFIX + "alert_latency_seconds", "Receipt of a record to its alert being durable.")

    async def _take(self, entry: Entry, teller: Teller) -> None:
        if entry.seq <= self.seq:
            self.counters.repeated += 1
            return
        before, self.clock = self.clock, max(self.clock, entry.ingest)
        self.counters.entries += 1
        self._read = time.time_ns()
        teller.behind = entry.wall > 0 and entry.seq > self.live_from and self._read - entry.wall > _BEHIND
        if entry.batch is not None:
            await self._events(entry)
        elif entry.content and entry.subject != LEARNT:  # another configuration
            await self._switch(entry, teller)
        else:
            await self._apply(self._engine.tick(self.clock), entry.seq)
            if entry.content:
                self.late.learn(entry.content, self.clock, entry.seq)
                await self._settle(entry.seq, learnt=True)
        await self._tell(teller, entry.wall if entry.seq > self.live_from else 0, entry.seq)
        if before // PRUNE_EVERY != self.clock // PRUNE_EVERY:
            self._assembler.ledger.prune(self.late.since(self.clock))
            self._assembler.parts.prune(self.clock)
            self._corrections.prune(self.clock)
            self.late.prune(self.clock)
        self.seq = entry.seq

    async def _switch(self, entry: Entry, teller: Teller) -> None:
        """The entry puts another setting in force: rules that are the same go on, what was changed of the others is told a last time.
        What was decided before is put into the words of before."""
        if self._configure is None:
            raise Fatal(f"journal entry {entry.seq} puts other rules in force, and this correlator was not told how to read them")
        setting = await self._configure(entry)
        before, self.setting = self.setting, setting
        if setting.version == before.version:
            return
        horizon = Horizon(setting.plan, setting.lateness)
        plan, same = replace(setting.plan, lateness=horizon.longest), kinship(before.plan, setting.plan).same
        await teller.tell(self._assembler.leaving(same, self.clock), 0, self._read)
        await teller.flush()
        repairs = self._codebook.repairs
        self._engine = self._engine.successor(plan, setting.corrects)
        self._codebook = CodeBook(self._engine, plan, setting.skews)
        self._codebook.repairs = repairs
        self._corrections.adopt(plan, setting.corrects, horizon.of)
        self._assembler.adopt(
            plan, Context(self._corrections.root, self._engine.source_name, self._engine.source_code, self._codebook.skew), same
        )
        self.late.adopt(plan, horizon)
        self._wording.adopt(setting.name_place, self._codebook.skew)
        self._plan_version = snapshots.plan_version(plan, horizon.settings)
        if self._saver is not None:
            self._saver.version = self._plan_version
        self.counters.settings += 1
        log.info("journal entry %d: %d rules in force, %d of them as before", entry.seq, len(plan.rules), len(same))

    async def _events(self, entry: Entry) -> None:
        batch: pa.RecordBatch = entry.batch
        self._recent.add(entry)
        self.counters.events += batch.num_rows
        runs = self._corrections.runs(batch, self.clock, entry.seq)
        columns = self._codebook.columns(batch, entry.ingest, entry.seq)
        if self._beside:
            self._beside.take(columns, runs, self._engine.predicates, list(self._engine.kinds))
        late = self.late.take(entry.seq, batch, columns, self.clock, runs)
        stale = self._engine.stale
        if runs is None:
            await self._apply(self._engine.push(columns if late is None else rows(columns, ~late), self.clock), entry.seq)
        else:
            await self._apply(self._engine.tick(self.clock), entry.seq)  # deadlines fire before anything is taken back
            for run in runs:
                await self._correct(run, columns, late, entry.seq)
        if self._engine.stale != stale:
            behind = self._engine.disordered(columns)
            self.late.disordered(entry.seq, batch, columns, self.clock, runs, behind if late is None else behind & ~late)

    async def _correct(self, run: Run, columns: Columns, late: Mask | None, entry: int) -> None:
        if run.withdrawn:
            self.counters.withdrawn += len(run.withdrawn)
            self.late.withdraw(run.withdrawn, self.clock)
            if self.late.asks:
                facts = await self._recent.lookup(run.withdrawn)
                self.late.undone(entry, facts.values(), self.clock, int(columns.time[run.row]), self._codebook.skew)
            self._beside.withdraw(run.withdrawn, int(columns.time[run.row]))
            self._assembler.withdraw(run.withdrawn, run.by, self.clock)
            await self._apply(self._engine.withdraw(run.withdrawn, int(columns.time[run.row])), entry)
            if self._engine.listening:  # before what comes after it in the entry
                await self._settle(entry, heard=True)
        if run.start < run.stop:
            part = cut(columns, run.start, run.stop)
            part = part if late is None else rows(part, ~late[run.start : run.stop])
            await self._apply(self._engine.push(part, self.clock), entry)

    async def _apply(self, firings: Firings, entry: int) -> None:
        if len(firings):
            facts = await self._recent.lookup(self._assembler.anchors(firings))
            self._assembler.apply(firings, facts, self.clock, entry)

    async def _settle(self, entry: int, heard: bool = False, learnt: bool = False) -> None:
        """`heard`: only alerts that rules look at. `learnt`: what reconcile says it says of those rules, too; the engine is told nothing."""
        unsettled = self._assembler.unsettled(heard)
        if unsettled is not None:
            turns = self._assembler.settle(await self._recent.lookup(unsettled), heard, tells=not learnt)
            if turns:
                await self._apply(self._engine.turn(turns), entry)

    async def _tell(self, teller: Teller, wall: int, entry: int, everything: bool = False) -> None:
        while self._assembler.unsettled() is not None:  # what falls may take others with it
            await self._settle(entry)
        if self._assembler.parts:
            await self._shape()
        tellings = self._assembler.tell(self.clock, everything)
        if tellings and self._corrections.holding:
            await self._hold(tellings)
        if tellings:
            await teller.tell(tellings, wall, self._read)

    async def _shape(self) -> None:
        """Folding, budget, context: what concerns whole alerts."""
        wanted = self._assembler.parts.wanted()
        self._assembler.shape(await self._recent.lookup(wanted), await self._recent.links(wanted), self.clock)

    async def _hold(self, tellings: Sequence[Telling]) -> None:
        """What an alert rests on can be corrected for as long as the alert is remembered."""
        cases = self._assembler.ledger.cases
        for event in (await self._recent.lookup(seq for telling in tellings for seq in cases[telling.id].evidence)).values():
            self._corrections.hold(event.feed, event.id, event.seq, self.clock + self._assembler.keep)

    def _count(self, alert: Alert) -> None:
        self.counters.retracted += alert.status == "retracted"
        self.counters.raised += alert.revision == 1
        self.counters.amended += alert.revision > 1 and alert.status != "retracted"

    def _told(self, alert: Alert, wall: int) -> None:
        if alert.revision == 1 and wall:
            self.latency.note((time.time_ns() - wall) / 1e9)

    def _skipped(self) -> int:
        return self._outbox.skipped if self._outbox is not None else 0

    def _state(self) -> snapshots.Snapshot:
        state: dict[str, Any] = {
            "engine": self._engine.snapshot(),
            "alerts": self._assembler.snapshot(),
            "corrections": self._corrections.snapshot(),
            "late": self.late.snapshot(),
        }
        return snapshots.Snapshot(self.seq, self.clock, state, self.setting.entry)


def cut(columns: Columns, start: int, stop: int) -> Columns:
    """Rows [start, stop), without copying."""
    rows = slice(start, stop)
    return Columns(
        columns.seq[rows],
        columns.time[rows],
        columns.kind[rows],
        columns.source[rows],
        columns.lon[rows],
        columns.lat[rows],
        columns.value[rows],
        columns.bits[rows],
        None if columns.valid_until is None else columns.valid_until[rows],
        columns.extras,
        columns.first + start,
    )
