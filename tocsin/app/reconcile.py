"""Reconciliation beside the correlator: reads the journal again for facts that came too late and journals what they change.

It takes a bounded share of one processor and may be killed at any time: what has not been journaled is judged again, and what has been is
taken in once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from tocsin.correlate.horizon import Horizon
from tocsin.correlate.reconcile.learnt import SUBJECT, Learnt, encode
from tocsin.correlate.reconcile.run import Reading, Reconciler, Start
from tocsin.correlate.worker import Correlator
from tocsin.journal.connection import Journal
from tocsin.journal.encode import Entry, entry_headers
from tocsin.journal.reader import fetch, last_seq, read
from tocsin.journal.times import first_seq_at
from tocsin.kernel.fault import Retriable
from tocsin.model.time import MINUTE

log = logging.getLogger(__name__)

SHARE: Final = 5  # at most one part in so many of a processor
SHARE_BEHIND: Final = 25  # ... while events wait to be matched: what happens now goes first
_STEP: Final = 0.002  # seconds of work between two pauses: so much later may an event be matched
_LOOK: Final = 1.0  # seconds between two looks for something due
_PATIENCE: Final = 30.0  # seconds until an entry that was journaled must have been read


class Pause:
    """Lets others work: after a little work it sleeps several times as long, and much longer while events wait (`behind`). The thread's time
    counts, so that a busy correlator is given more room."""

    def __init__(self, behind: Callable[[], bool] = lambda: False) -> None:
        self._behind = behind
        self._since = time.thread_time()

    async def __call__(self) -> None:
        worked = time.thread_time() - self._since
        if worked >= _STEP:
            await asyncio.sleep(worked * ((SHARE_BEHIND if self._behind() else SHARE) - 1))
            self._since = time.thread_time()


class Reconciliation:
    """The task. Counts what it did."""

    def __init__(self, journal: Journal, correlator: Correlator) -> None:
        self._journal = journal
        self._correlator = correlator
        self._setting = correlator.setting
        self._reconciler: Reconciler | None = None
        self._runs = self._failures = self._facts = 0
        self._seconds = 0.0

    def _made(self) -> Reconciler:
        """For the rules and feeds in force."""
        now = self._setting = self._correlator.setting
        made = Reconciler(now.plan, Horizon(now.plan, now.lateness), now.corrects, now.skews, _reading(self._journal))
        made.prepare()
        return made

    async def run(self) -> None:
        """For ever. Begins when the correlator has read what the journal held at the start: a predecessor may have journaled something."""
        known: int | None = None
        while True:
            await asyncio.sleep(_LOOK)
            try:
                known = await last_seq(self._journal) if known is None else known
                if self._correlator.seq >= known:
                    await self._round()
            except Retriable as fault:
                self._failures += 1
                log.warning("reconciliation waits: %s", fault)

    async def _round(self) -> None:
        """Everything that is due now, one stretch of time after the other."""
        correlator = self._correlator
        if not correlator.late.backlog.entries:
            return
        if self._reconciler is None or correlator.setting is not self._setting:
            self._reconciler = await asyncio.to_thread(self._made)
        for group in self._reconciler.due(correlator.late.backlog, correlator.clock):
            began = time.monotonic()
            learnt = await self._reconciler.judge(group, correlator.seq, correlator.clock, Pause(lambda: correlator.behind))
            seq = await self._tell(learnt)
            self._runs += 1
            self._facts += learnt.facts
            self._seconds += time.monotonic() - began
            log.info("late facts of %d entries judged among %d facts: %d changes", len(learnt.entries), learnt.facts, len(learnt.changes))
            await self._taken_in(seq)

    async def _tell(self, learnt: Learnt) -> int:
        """Journals it. Returns the stream sequence of the entry that settles it."""
        clock, seq = self._correlator.clock, 0
        name = f"learnt.{learnt.entries[0]}.{self._correlator.seq}.{clock}"  # the same facts are looked at more than once
        for part, content in enumerate(encode(learnt)):
            headers = entry_headers(content, clock, 0, 0, f"{name}.{part}")
            seq = (await self._journal.append(SUBJECT, content, headers)).seq
        return seq

    async def _taken_in(self, seq: int) -> None:
        """Until the correlator has read it, the same facts would be due again."""
        deadline = time.monotonic() + _PATIENCE
        while self._correlator.seq < seq:
            if time.monotonic() > deadline:
                raise Retriable(f"the correlator has not reached entry {seq} yet", after=_LOOK)
            await asyncio.sleep(0.02)

    def metrics(self) -> str:
        """Prometheus text."""
        told = (
            ("runs", "Stretches of time judged again for late facts.", self._runs),
            ("failures", "Rounds that ended because the journal was away.", self._failures),
            ("facts", "Facts read for that.", self._facts),
            ("seconds", "Wall time that took.", round(self._seconds, 3)),
        )
        name = "tocsin_correlate_reconcile_"
        lines = [
            (f"# HELP {name}{word}_total {words}", f"# TYPE {name}{word}_total counter", f"{name}{word}_total {value}")
            for word, words, value in told
        ]
        return "".join(f"{line}\n" for metric in lines for line in metric)


def _reading(journal: Journal) -> Reading:
    async def start(moment: int) -> Start:
        return await first_known_at(journal, moment - MINUTE)  # nearly in the order of their time

    def entries(first: int, last: int) -> AsyncIterator[Entry]:
        return read(journal, first, until=last)

    async def again(seq: int) -> Entry:
        return await fetch(journal, seq)

    return Reading(start, entries, again)


async def first_known_at(journal: Journal, moment: int) -> Start:
    """The first entry of EVENTS with an ingest time of `moment` (µs) or later. Raises Retriable."""
    return Start(*await first_seq_at(journal, moment))
