"""`tocsin test`: a city's rule tests in virtual time, through the same engine as live."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from tocsin.config.load import load_city
from tocsin.config.ruletests import load_tests
from tocsin.correlate.worker import Correlator
from tocsin.journal.encode import Entry, stamp
from tocsin.model.alert import Alert
from tocsin.model.city import City
from tocsin.model.plan import Plan, RulePlan
from tocsin.model.ruletest import Expected, RuleTest, TestEvent
from tocsin.model.time import SECOND, format_span

from .written import START, to_batch


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wrong`: what differs, in words; empty when the test passed."""

    test: RuleTest
    wrong: tuple[str, ...]
    fired: tuple[str, ...]


def to_entries(test: RuleTest, city: City) -> Iterator[Entry]:
    """The test's events as journal entries in the order they arrive, with a tick every second of virtual time where one matters. What is
    delivered a second time (same feed and id) is not journaled again, as in ingest."""
    arrivals = _once(sorted(test.events, key=lambda event: event.at + event.arrives))
    seq, clock = 1, START
    yield Entry(seq, "tick", clock, 0, None, 0)
    for event in arrivals:
        ingest = START + event.at + event.arrives
        for tick in _ticks(clock, ingest):
            seq += 1
            yield Entry(seq, "tick", tick, 0, None, 0)
        clock = max(clock, ingest)
        seq += 1
        yield Entry(seq, "ev.test.test", clock, 0, stamp(to_batch(event, city), clock), 1)
    for tick in _ticks(clock, START + test.runs):
        seq += 1
        yield Entry(seq, "tick", tick, 0, None, 0)


def _once(events: Sequence[TestEvent]) -> list[TestEvent]:
    first: dict[tuple[str, str], TestEvent] = {}
    for event in events:
        first.setdefault((event.feed, event.id), event)
    return list(first.values())


def _ticks(since: int, until: int) -> Iterator[int]:
    """Every second up to a thousand, fewer when the gap is long: a deadline is told by its own time, not by the tick's."""
    step = max(SECOND, (until - since) // 1000)
    yield from range(since + step, until + 1, step)


def needed(name: str, rules: Sequence[RulePlan]) -> frozenset[str]:
    """A rule and all the rules whose alerts it reads or folds under, directly or through others."""
    reads = {rule.name: (*rule.reads, *([rule.alert.fold.under] if rule.alert.fold is not None else [])) for rule in rules}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += reads.get(one, ())
    return frozenset(found)


async def run_test(test: RuleTest, city: City) -> Verdict:
    wanted = needed(test.rule, city.plan.rules)
    rules = tuple(rule for rule in city.plan.rules if rule.name in wanted)
    plan: Plan = replace(city.plan, rules=rules)
    told: dict[str, Alert] = {}

    async def publish(alert: Alert) -> None:
        told[alert.id] = alert

    entries = list(to_entries(test, city))
    by_seq = {entry.seq: entry for entry in entries}

    async def fetch(seq: int) -> Entry:
        return by_seq[seq]

    async def stream() -> AsyncIterator[Entry]:
        for entry in entries:
            yield entry

    skews = {feed.name: feed.skew for feed in city.feeds if feed.skew is not None}
    lateness = {feed.name: feed.lateness for feed in city.feeds if feed.lateness is not None}
    await Correlator(plan, fetch, skews=skews, lateness=lateness).run(stream(), publish, finish=True)
    alerts = sorted((alert for alert in told.values() if alert.rule == test.rule), key=lambda alert: (alert.opened, alert.id))
    parents = {alert.id: told[alert.parent].rule for alert in alerts if alert.parent in told}
    return Verdict(test, tuple(compare(test, alerts, parents)), tuple(_describe(alert) for alert in alerts))


def _describe(alert: Alert) -> str:
    return f"at {format_span(alert.opened - START)}: {alert.headline} ({alert.sources} sources, count {alert.count}, {alert.status})"


def compare(test: RuleTest, alerts: Sequence[Alert], parents: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """What differs between what was expected and what was raised; alerts that were retracted count only when a status asks for it. `parents`:
    alert -> rule of the one it is shown under."""
    asks = any(wanted.status for wanted in test.fires)
    standing = [alert for alert in alerts if asks or alert.status != "retracted"]
    if len(standing) != len(test.fires):
        yield f"expected {len(test.fires)} alert(s), got {len(standing)}"
    for number, (wanted, alert) in enumerate(zip(test.fires, standing, strict=False), 1):
        for word in (*_differences(wanted, alert), *_part_differences(wanted, alert, parents.get(alert.id, ""))):
            yield f"alert {number}: {word}"


def _differences(wanted: Expected, alert: Alert) -> Iterator[str]:
    if wanted.at is not None and alert.opened != START + wanted.at:
        yield f"expected at {format_span(wanted.at)}, opened at {format_span(alert.opened - START)}"
    if wanted.sources is not None and alert.sources != wanted.sources:
        yield f"expected {wanted.sources} sources, got {alert.sources}"
    if wanted.count is not None and alert.count != wanted.count:
        yield f"expected count {wanted.count}, got {alert.count}"
    if wanted.headline is not None and wanted.headline != alert.headline:
        yield f"expected the headline {wanted.headline!r}, got {alert.headline!r}"
    if wanted.severity is not None and alert.severity != wanted.severity:
        yield f"expected severity {wanted.severity.name.lower()}, got {alert.severity.name.lower()}"
    if wanted.status is not None and alert.status != wanted.status:
        yield f"expected status {wanted.status}, got {alert.status}"


def _part_differences(wanted: Expected, alert: Alert, parent: str) -> Iterator[str]:
    closed = "stays open" if alert.closed is None else f"closes at {format_span(alert.closed - START)}"
    if wanted.closes is not None and alert.closed != START + wanted.closes:
        yield f"expected to close at {format_span(wanted.closes)}, {closed}"
    if wanted.stays_open and alert.closed is not None:
        yield f"expected to stay open, {closed}"
    shown = f"is shown under an alert of {parent}" if parent else "is shown alone"
    if (wanted.under is not None and wanted.under != parent) or (wanted.alone and parent):
        yield f"expected {f'under an alert of {wanted.under}' if wanted.under else 'alone'}, {shown}"
    if wanted.context is not None and wanted.context != len(alert.context):
        kinds = ", ".join(f"{event.kind} {event.source or event.id}" for event in alert.context) or "none"
        yield f"expected {wanted.context} events of context, got {kinds}"
    if wanted.over_budget is not None and wanted.over_budget != alert.over_budget:
        yield f"expected number {wanted.over_budget} beyond the budget, got {alert.over_budget}"


async def run_all(tests: Sequence[RuleTest], city: City) -> list[Verdict]:
    return [await run_test(test, city) for test in tests]


def main(arguments: argparse.Namespace) -> int:
    city = load_city(arguments.city)
    tests = load_tests(arguments.city, [rule.name for rule in city.plan.rules])
    chosen = [test for test in tests if arguments.only in test.name or arguments.only in test.rule]
    verdicts = asyncio.run(run_all(chosen, city))
    failed = [verdict for verdict in verdicts if verdict.wrong]
    if arguments.json:
        rows = [{"test": v.test.name, "rule": v.test.rule, "ok": not v.wrong, "wrong": v.wrong, "fired": v.fired} for v in verdicts]
        print(json.dumps({"passed": len(verdicts) - len(failed), "failed": len(failed), "tests": rows}))
        return 1 if failed else 0
    for verdict in verdicts:
        print(f"{'FAIL' if verdict.wrong else 'ok  '} {verdict.test.rule}: {verdict.test.name}")
        if verdict.wrong:
            print(f"     {verdict.test.file}:{verdict.test.line}")
            print("\n".join(f"     {word}" for word in verdict.wrong))
            print("\n".join(f"     raised {line}" for line in verdict.fired) or "     nothing was raised")
    print(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0
