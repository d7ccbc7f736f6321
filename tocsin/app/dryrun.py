"""`tocsin check CITY --dry-run`: how often each rule would have rung on what the city has recorded, and which would ring too often.

The recorded files of the city's feeds (`replay`), each event known when it happened; where there are none, what a node has kept in its archive. The
same decoder, kernels and alert parts as live.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.archive.holdings import Archive
from tocsin.correlate.worker import Correlator
from tocsin.feeds import catalog, formats
from tocsin.feeds.recording import bodies
from tocsin.journal.encode import Entry, stamp
from tocsin.kernel.fault import Fatal, Problem, Skippable
from tocsin.model.alert import Alert
from tocsin.model.archive import Want
from tocsin.model.city import City
from tocsin.model.feed import FeedSpec
from tocsin.model.plan import RulePlan
from tocsin.model.predicate import covers
from tocsin.model.reading import selectors_in
from tocsin.model.time import DAY, HOUR, MINUTE, SECOND, format_span, to_iso
from tocsin.query.backtest.nouns import Allowance, Ring
from tocsin.query.backtest.nouns import Span as Stretch
from tocsin.query.backtest.tally import verdict

from .backtest_run import Runner, Span, bounds, ring, setting_of, warm_up

#: What the people on shift can take of a rule that declares no budget.
SHIFT: Final = Allowance(24, 12 * HOUR, False)
#: A rule that rings for so many of the events it looks at, of at least so many, rings for everything.
EVERYTHING: Final = 0.9
ENOUGH: Final = 100
#: Of the archive the newest days are looked at.
NEWEST: Final = 28 * DAY
_TOGETHER: Final = 5 * SECOND  # events of so much time are known together


@dataclass(frozen=True, slots=True)
class Heard:
    """What the rules were held against. `kinds`: events of each kind, empty where they are not counted; `refused`: records that could not be decoded; `rings`: alerts, first told first, of
    every rule; `counts`: rule -> matches of its standing alerts. `start`, `stop`: µs."""

    source: str
    start: int
    stop: int
    kinds: Mapping[str, int]
    events: int
    refused: int
    rings: Sequence[Ring]
    counts: Mapping[str, int]


def rehearse(city: City, root: Path, data: Path) -> tuple[dict[str, Any], list[Problem]]:
    """What it came to, as `tocsin check --json` gives it, and warnings. Raises Fatal when nothing is recorded, Misconfigured for a
    recording that is missing or too large."""
    heard = recorded(city, root) or archived(city, data / "archive")
    if heard is None:
        raise Fatal(f"nothing to try the rules on: no feed of {root.name} has a transport 'replay', and there is no archive in {data}")
    rows = [_row(rule, heard, city.timezone) for rule in city.plan.rules]
    places = {rule.name: rule for rule in city.plan.rules}
    warnings = [
        Problem(places[row["rule"]].file, places[row["rule"]].line, f"rule {row['rule']}: {row['warning']}")
        for row in rows
        if row["warning"]
    ]
    told = {
        "source": heard.source,
        "from": to_iso(heard.start),
        "to": to_iso(heard.stop),
        "events": heard.events,
        "refused": heard.refused,
        "rules": rows,
    }
    return told, warnings


def as_text(told: Mapping[str, Any]) -> str:
    """A line a rule, the loudest first."""
    lines = [f"dry run over {told['source']}, {told['events']:,} events from {told['from']} to {told['to']}:"]
    for row in sorted(told["rules"], key=lambda row: (-row["alerts"], row["rule"])):
        most = f", at most {row['most']} in {format_span(round(row['per_s'] * 1e6))}" if row["alerts"] else ""
        looked = "" if row["looked_at"] is None else f" ({row['looked_at']:,} events of its kinds)"
        lines.append(f"{row['rule']}: {row['alerts']} alerts, {row['per_week']:g} a week{most}{looked}")
    return "\n".join(lines)


def _row(rule: RulePlan, heard: Heard, timezone: str) -> dict[str, Any]:
    own = [one for one in heard.rings if one.rule == rule.name and one.stands]
    budget = rule.alert.budget
    allowance = SHIFT if budget is None else Allowance(budget.alerts, budget.per, True)
    stretch = Stretch(heard.start, heard.stop, timezone)
    found = verdict(own, allowance, stretch)
    assert found is not None
    prefixes = {of.kind for of in selectors_in(rule.when)}
    looked = (
        sum(number for kind, number in heard.kinds.items() if any(covers(prefix, kind) for prefix in prefixes)) if heard.kinds else None
    )
    weeks = max(heard.stop - heard.start, 1) / (7 * DAY)
    return {
        "rule": rule.name,
        "alerts": len(own),
        "matches": heard.counts.get(rule.name, 0),
        "looked_at": looked,
        "per_week": round(len(own) / weeks, 2),
        "most": found["most"],
        "per_s": found["per_s"],
        "allowed": found["alerts"],
        "declared": found["declared"],
        "warning": _warning(found, heard.counts.get(rule.name, 0), looked),
    }


def _warning(found: Mapping[str, Any], matches: int, looked: int | None) -> str:
    if looked is not None and looked >= ENOUGH and matches >= EVERYTHING * looked:
        return f"rings for nearly everything: {matches} of {looked} events of the kinds it looks at; narrow its conditions"
    if not found["exceeds"]:
        return ""
    if found["declared"]:
        return f"on what was recorded it is {found['words']}"
    shown = format_span(round(found["per_s"] * 1e6))
    limit = f"{found['alerts']} in {shown}"
    return f"would ring up to {found['most']} times in {shown}, more than {limit}; narrow it, join its alerts (per), or write a budget"


# ---- recorded files
def recorded(city: City, root: Path) -> Heard | None:
    """The rules over the recorded files of the feeds; None when no feed has any."""
    specs = [spec for spec in city.feeds if spec.transport.name == "replay"]
    if not specs:
        return None
    refused, batches = 0, list[tuple[int, pa.RecordBatch]]()
    for spec in specs:
        events, wrong = _events(spec, root)
        refused += wrong
        batches += _parts(events)
    batches.sort(key=lambda one: one[0])
    end = city.exercise.end if city.exercise else None
    batches = [one for one in batches if end is None or one[0] < end]
    entries = list(_entries(batches, end))
    kinds = Counter(kind for _, batch in batches for kind in batch.column("kind").to_pylist())
    alerts = asyncio.run(_told(city, entries))
    first: dict[str, Alert] = {}
    last: dict[str, Alert] = {}
    for alert in alerts:
        first.setdefault(alert.id, alert)
        last[alert.id] = alert
    rings = [_ring(first[name], last[name]) for name in last]
    counts = Counter[str]()
    for alert in last.values():
        counts[alert.rule] += alert.count if alert.status != "retracted" else 0
    times = [entry.ingest for entry in entries]
    return Heard("recorded files", min(times, default=0), max(times, default=0), kinds, kinds.total(), refused, rings, counts)


def _events(spec: FeedSpec, root: Path) -> tuple[list[pa.RecordBatch], int]:
    """What a feed's files decode to, each id once, and how many records do not."""
    options = catalog.options_of(spec)
    decoder, found, refused, known = formats.make_format(spec), list[pa.RecordBatch](), 0, set[str]()
    for name in options["files"]:
        for body, _ in bodies(root / name, spec):
            try:
                decoded = decoder.decode(body, spec)
            except Skippable:
                refused += 1
                continue
            refused += len(decoded.rejects)
            events, fresh = decoded.events, list[bool]()
            for event_id in events.column("id").to_pylist():
                fresh.append(event_id not in known)
                known.add(event_id)
            found.append(_within(events.filter(pa.array(fresh, pa.bool_())), spec, options))
    return found, refused


def _within(events: pa.RecordBatch, spec: FeedSpec, options: Mapping[str, Any]) -> pa.RecordBatch:
    """The stretch that the feed plays; its limits are times as they were recorded."""
    times = events.column("event_time").cast(pa.int64())
    for name, compare in (("from", pc.greater_equal), ("to", pc.less)):
        if options.get(name) is not None:
            kept = compare(times, options[name] + spec.shift)
            events, times = events.filter(kept), times.filter(kept)
    return events


def _parts(batches: Sequence[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Events of a few seconds together, in order, with the time they are known at."""
    filled = [batch for batch in batches if batch.num_rows]
    if not filled:
        return
    whole = pa.Table.from_batches(filled).combine_chunks().unify_dictionaries()
    whole = whole.take(pc.sort_indices(whole.column("event_time")))
    (batch,) = whole.combine_chunks().to_batches()
    times = batch.column("event_time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    cuts = np.flatnonzero(np.diff(times // _TOGETHER)) + 1
    for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(times)], strict=True):
        yield int(times[stop - 1]), batch.slice(start, stop - start)


def _entries(batches: Sequence[tuple[int, pa.RecordBatch]], end: int | None) -> Iterator[Entry]:
    """As a journal, with ticks between, and after the last for all deadlines of the next day, or up to the `end` of recorded time."""
    seq, clock = 0, batches[0][0] if batches else 0
    for ingest, batch in [*batches, (batches[-1][0] + DAY if end is None else end, None)] if batches else []:
        for tick in range(clock + max(MINUTE, (ingest - clock) // 100), ingest, max(MINUTE, (ingest - clock) // 100)):
            seq += 1
            yield Entry(seq, "tick", tick, 0, None, 0)
        clock, seq = ingest, seq + 1
        if batch is None:
            yield Entry(seq, "tick", clock, 0, None, 0)
        else:
            yield Entry(seq, "ev.dry.run", clock, 0, stamp(batch, clock), batch.num_rows)


async def _told(city: City, entries: Sequence[Entry]) -> list[Alert]:
    setting, told = setting_of(city, city.plan), list[Alert]()

    async def fetch(seq: int) -> Entry:
        return entries[seq - 1]

    async def stream() -> AsyncIterator[Entry]:
        for entry in entries:
            yield entry

    async def publish(alert: Alert) -> None:
        told.append(alert)

    running = Correlator(
        city.plan, fetch, name_place=setting.name_place, corrects=setting.corrects, skews=setting.skews, lateness=setting.lateness
    )
    await running.run(stream(), publish, finish=True)
    return told


def _ring(first: Alert, last: Alert) -> Ring:
    anchor = last.evidence[0] if last.evidence else None
    source = f"{anchor.feed}/{anchor.source or ''}" if anchor is not None else ""
    gone = last.updated if last.status == "retracted" else None
    return Ring(
        last.id,
        last.rule,
        first.known_at,
        last.opened,
        last.lon,
        last.lat,
        source,
        last.headline,
        last.severity.name.lower(),
        last.count,
        (),
        gone,
        last.closed,
    )


# ---- what a node has kept
def archived(city: City, folder: Path) -> Heard | None:
    """The rules over the newest weeks of an archive; None when there is none, or nothing in it."""
    if not folder.is_dir():
        return None
    archive = Archive(folder)
    try:
        with archive.look(Want()) as look:
            if not look.rows:
                return None
            first, last = bounds(look)
        lateness = [city.plan.lateness, *(feed.lateness for feed in city.feeds if feed.lateness is not None)]
        start, stop = max(first, last - NEWEST), last + 1
        span = Span(start, stop, "journal", warm_up([city.plan], lateness))
        found = Runner(city, [city.plan], span).run(archive)
    finally:
        archive.close()
    rings = [ring(*one) for one in found.trials[0]]
    counts = Counter[str]()
    for one in rings:
        counts[one.rule] += one.count if one.stands else 0
    return Heard("the archive", start, stop, {}, found.rows, 0, rings, counts)
