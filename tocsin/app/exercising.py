"""An exercise in the correlate process: an engine of its own over the exercise's events, so that none of them can complete, hide or change a real
alert, and no real one an exercise's.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from tocsin.correlate.worker import Correlator
from tocsin.journal.alerts import publish_alert, publish_transition, read_alerts
from tocsin.journal.changes import change_before
from tocsin.journal.connection import Journal
from tocsin.journal.encode import Entry
from tocsin.journal.exercises import BEGIN, all_runs, fetch_unmarked, run_entries
from tocsin.journal.link import Reply
from tocsin.journal.reader import newest_of
from tocsin.kernel.fault import Retriable
from tocsin.model.alert import Alert, Evidence, Transition
from tocsin.model.exercise import MARK, UMPIRE, Run, marked_id, plain_id, run_of

from . import inforce
from .layout import NodeFile

log = logging.getLogger(__name__)

_LOOK: Final = 10.0  # seconds between two looks for a run that was begun unheard


class ExerciseEngine:
    """Follows the runs of a node, one at a time. After a restart a run is read again from its begin: what is durable is not told twice."""

    def __init__(self, node: NodeFile, journal: Journal) -> None:
        self._node, self._journal = node, journal
        self._news = asyncio.Event()
        self.alerts = 0
        self._latest = 0  # journal entry of the newest begin

    async def run(self) -> None:
        """For ever."""
        await self._journal.subscribe(BEGIN, self._heard)
        done = 0
        while True:
            self._news.clear()
            try:
                for run in await self._open_runs(done):
                    await self._one(run)
                    done = run.seq
            except Retriable as fault:
                log.warning("exercise: %s; trying again", fault)
                await asyncio.sleep(1.0)
                continue
            except Exception:  # whatever is wrong with an exercise, real alerts go on
                log.exception("exercise: it is not judged any further")
                done = self._latest
            try:
                async with asyncio.timeout(_LOOK):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _heard(self, _: Reply) -> None:
        self._news.set()

    async def _open_runs(self, done: int) -> list[Run]:
        """Runs that were begun after entry `done` and are not cleared away."""
        newest = await newest_of(self._journal, BEGIN)
        if newest is None or newest.seq <= done:
            return []
        self._latest = newest.seq
        runs = [run for run in await all_runs(self._journal) if run.seq > done]
        return [run for run in runs if not run.end or run is runs[-1]]

    async def _one(self, run: Run) -> None:
        told: dict[str, int] = {}
        cleared: set[str] = set()
        async for _, _, content in read_alerts(self._journal, 1, follow=False, exercise=True):
            if "revision" in content and run_of(content["id"]) == run.id:
                name = plain_id(content["id"])
                told[name] = max(told.get(name, 0), int(content["revision"]))
            elif content.get("by") == UMPIRE:
                cleared.add(plain_id(content["alert"]))
        if run.end and told and told.keys() <= cleared:
            return  # judged and cleared away before a restart
        correlator = await self._correlator(run, told)
        log.info("exercise %s: run %s, from journal entry %d", run.name, run.id, run.seq)

        async def publish(alert: Alert) -> None:
            told[alert.id] = alert.revision
            self.alerts += 1
            await publish_alert(self._journal, of_exercise(alert, run.id))

        await correlator.run(run_entries(self._journal, run), publish, finish=True)
        for name in sorted(told):
            moved = Transition(marked_id(run.id, name), "resolved", UMPIRE, correlator.clock, "the exercise is over")
            await publish_transition(self._journal, moved, msg_id=f"{moved.alert}.over")
        log.info("exercise %s: over, %d alerts", run.name, len(told))

    async def _correlator(self, run: Run, told: dict[str, int]) -> Correlator:
        """Under the rules in force when the run began."""
        entry = await change_before(self._journal, run.seq)
        root, layout = Path(self._node.city), self._node.layout
        given = await inforce.at_entry(self._journal, 0, root, layout) if entry is None else None

        async def again(seq: int) -> Entry:
            return await fetch_unmarked(self._journal, seq)

        def made() -> Correlator:
            found = given if entry is None else inforce.opened(entry, root, layout)
            assert found is not None
            setting = inforce.setting(found)
            return Correlator(
                setting.plan,
                again,
                name_place=setting.name_place,
                published=dict(told),
                corrects=setting.corrects,
                skews=setting.skews,
                lateness=setting.lateness,
                exercise=True,
            )

        return await asyncio.to_thread(made)  # reading layers takes a moment that no real alert has to wait for

    def metrics(self) -> str:
        """Prometheus text."""
        name = "tocsin_correlate_exercise_alerts_total"
        return f"# HELP {name} Revisions of alerts of exercises that were told.\n# TYPE {name} counter\n{name} {self.alerts}\n"


def of_exercise(alert: Alert, run: str) -> Alert:
    """The alert as everybody sees it: marked in its id, its parent's, and the feeds of all it rests on."""
    return replace(
        alert,
        id=marked_id(run, alert.id),
        parent=marked_id(run, alert.parent),
        exercise=True,
        evidence=tuple(map(_marked, alert.evidence)),
        context=tuple(map(_marked, alert.context)),
    )


def _marked(one: Evidence) -> Evidence:
    return replace(one, feed=MARK + one.feed)
