"""A correlator with its reconciler over a journal in memory: what was learnt late is appended to the journal and read like everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from runkit import Entry, Journal, Stream, correlator

from tocsin.correlate.horizon import Horizon
from tocsin.correlate.reconcile.learnt import SUBJECT, Learnt, encode
from tocsin.correlate.reconcile.run import Reading, Reconciler, Start
from tocsin.correlate.worker import Correlator
from tocsin.model.plan import Plan


def written(rows: list[tuple[float, int, dict[str, Any]]], end: float = 3300) -> Journal:
    """Rows as (when they come, which of those that come together is first, row), one entry each; then the time goes on until all has been decided."""
    made = Journal().tick(-60)
    for at, _, row in sorted(rows, key=lambda one: one[:2]):
        made.add(at, [row])
    return made.tick(end).tick(9000).tick(86_400)


async def at_once() -> None:
    """No pause between pieces of work."""


def reading(journal: Journal, first: int = 1) -> Reading:
    """`first`: what is before it counts as removed."""

    async def start(moment: int) -> Start:
        kept = journal.entries[first - 1 :]
        seq = next((entry.seq for entry in kept if entry.ingest >= moment), len(journal.entries) + 1)
        return Start(seq, first == 1 or kept[0].ingest < moment)

    async def entries(begin: int, end: int) -> AsyncIterator[Entry]:
        for entry in journal.entries[begin - 1 : end]:
            yield entry

    return Reading(start, entries, journal.fetch)


def reconciler(plan: Plan, journal: Journal, first: int = 1, **options: Any) -> Reconciler:
    horizon = Horizon(plan, options.get("lateness"))
    return Reconciler(plan, horizon, options.get("corrects"), options.get("skews") or {}, reading(journal, first))


def append(journal: Journal, learnt: Learnt, clock: int) -> None:
    for content in encode(learnt):
        journal.entries.append(Entry(len(journal.entries) + 1, SUBJECT, clock, 0, None, content))


async def rest(journal: Journal, after: int) -> AsyncIterator[Entry]:
    for entry in journal.entries[after:]:
        yield entry


async def judged(running: Correlator, judge: Reconciler, journal: Journal) -> list[Learnt]:
    """One round: everything that is due, appended to the journal."""
    found = [await judge.judge(group, running.seq, running.clock, at_once) for group in judge.due(running.late.backlog, running.clock)]
    for learnt in found:
        append(journal, learnt, running.clock)
    return found


async def lived(plan: Plan, journal: Journal, first: int = 1, **options: Any) -> tuple[Stream, list[Learnt], Correlator]:
    """The journal is read and reconciled until nothing is due any more; its end is a long time after everything."""
    stream, running, told = Stream(), correlator(plan, journal, **options), []
    judge = reconciler(plan, journal, first, **options)
    await running.run(journal.read(), stream.publish)
    while found := await judged(running, judge, journal):
        told += found
        await running.run(rest(journal, running.seq), stream.publish)
    await running.run(rest(journal, running.seq), stream.publish, finish=True)
    return stream, told, running


def standing(alerts: Mapping[str, Any]) -> set[tuple[str, frozenset[str]]]:
    """What stands, whatever its id: the rule and what it rests on."""
    return {(alert.rule, frozenset(event.id for event in alert.evidence)) for alert in alerts.values() if alert.status != "retracted"}


def counted(alerts: Mapping[str, Any]) -> Counter[tuple[str, frozenset[str], int]]:
    """As `standing`, each as often as it stands, with what it says it counts."""
    return Counter((a.rule, frozenset(event.id for event in a.evidence), a.count) for a in alerts.values() if a.status != "retracted")
