"""One pass over the archive for a back-test: the rule, another version of it, looser ones and one with a number changed, all over the same events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.archive.scan import Scan
from tocsin.correlate.corrections import correcting, longest_window
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.parts.needs import lives
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.rows import attribute_types
from tocsin.correlate.past.run import Past
from tocsin.correlate.past.sieve import Sieve
from tocsin.correlate.past.ticks import Ticks
from tocsin.correlate.setting import Setting
from tocsin.geo.layers import load_layers
from tocsin.geo.places import PlaceNames
from tocsin.kernel.fault import Fatal, nearest
from tocsin.model.alert import Alert
from tocsin.model.archive import Holdings, Look, Want
from tocsin.model.city import City
from tocsin.model.plan import Plan
from tocsin.model.predicate import covers
from tocsin.model.time import DAY, HOUR, to_iso
from tocsin.query.backtest.nouns import Incident, Ring

from .backtest_order import has_imported

#: How far back at most is read before the span begins, so that what was waiting then is known.
WARM_MAX: Final = 31 * DAY
#: A rule that raises more alerts than this is no rule; the pass ends there.
ALERTS_MAX: Final = 200_000
_DEPTH: Final = ("feed", "id", "kind", "action", "event_time", "ingest_time", "lon", "lat", "text", "seq")


@dataclass(frozen=True, slots=True)
class Span:
    """[start, stop) of the journal clock, µs; `order`: `journal` or `time`, empty while nobody has chosen (`backtest_order.py`); `warm`: how long before
    `start` events are taken in already."""

    start: int
    stop: int
    order: str
    warm: int

    @property
    def by_time(self) -> bool:
        """Whether every event counts as known when it happened."""
        return self.order == "time"


@dataclass(slots=True)
class Pass:
    """What came of it. `trials`: alerts per plan, as asked; `ended`: clock up to which events were read; `overwritten`: more lay in a window
    than is kept; `stopped`: there were too many alerts; `more`: what else the result says, by key."""

    trials: list[list[tuple[Heard, Alert]]]
    incidents: list[Incident]
    events: int = 0
    rows: int = 0
    files: int = 0
    late: int = 0
    withdrawn: int = 0
    imported: int = 0
    ended: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    overwritten: bool = False
    stopped: bool = False
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """`done`: share of the rows; `clock`: how far in the history, µs; `alerts`: so far."""

    done: float
    clock: int
    alerts: int
    events: int


def warm_up(plans: Iterable[Plan], lateness: Iterable[int]) -> int:
    """How long before the span events can still matter, µs: twice the longest reach, and what keeps an alert open."""
    rules = [rule for plan in plans for rule in plan.rules]
    longest = longest_window(rules) + max((lives(rule) for rule in rules), default=0)
    return int(min(WARM_MAX, 2 * longest + max(lateness) + HOUR))


def setting_of(city: City, plan: Plan) -> Setting:
    """What the correlator would be set to."""
    return Setting(
        plan,
        PlaceNames(load_layers(layer for layer in city.layers if layer.places).values()).name,
        correcting(city.feeds),
        {feed.name: feed.skew for feed in city.feeds if feed.skew is not None},
        lateness={feed.name: feed.lateness for feed in city.feeds if feed.lateness is not None},
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """When an alert was raised and, if it does not stand, taken back: journal clock, µs. `feed`, `source`: of its anchor."""

    raised: int
    retracted: int | None
    feed: str
    source: str | None


class Runner:
    """`plans`: each is run apart from the others. `kind`: of real incidents, None for none."""

    def __init__(self, city: City, plans: Sequence[Plan], span: Span, kind: str | None = None, ticks: Ticks | None = None) -> None:
        self.city, self.plans, self.span = city, plans, span
        self._kind = kind
        self._ticks = ticks
        setting = setting_of(city, plans[0])
        self.settings = [replace(setting, plan=plan) for plan in plans]
        whole = replace(plans[0], rules=tuple({id(rule): rule for plan in plans for rule in plan.rules}.values()))
        self.sieve = Sieve(_unlike(whole), setting.corrects)
        types = {feed.name: {name: made.as_type for name, made in feed.attrs.items()} for feed in city.feeds}
        self.attrs = attribute_types(self.sieve.attrs, types)

    @property
    def first(self) -> int:
        """Where reading begins, µs."""
        return self.span.start - self.span.warm

    def run(self, holdings: Holdings, told: Callable[[Progress], None] = lambda _progress: None) -> Pass:
        """The pass. Raises Fatal when nothing is stored there, or a file cannot be read."""
        began = time.monotonic()
        with holdings.look(self.want()) as look:
            found = self.over(look, self.before(holdings), told)
            found.notes += self.notes(holdings, look, found)
        found.incidents = self.incidents(holdings)
        found.seconds = time.monotonic() - began
        return found

    def want(self) -> Want:
        """What has to be looked at."""
        horizon = Horizon(self.plans[0], self.settings[0].lateness)
        kinds = (*self.sieve.kinds, *self._corrected_kinds())
        want = Want(start=self.first, stop=self.span.stop) if self.span.by_time else Want(start=self.first - horizon.longest, first=0)
        return replace(want, kinds=tuple(dict.fromkeys(kinds)))

    def over(
        self,
        look: Look,
        before: bool,
        told: Callable[[Progress], None] = lambda _progress: None,
        only: Sequence[int] | None = None,
    ) -> Pass:
        """The pass over an open look. `before`: something is stored from before it. `only`: plans by number; all without. Raises Fatal."""
        span = self.span
        scan = Scan(look, self.sieve, span.order, self.first, span.stop - 1)
        runs = [self._past(setting, scan) for number, setting in enumerate(self.settings) if only is None or number in only]
        found = Pass([], [])
        if before:
            for run in runs:
                run.begin(self.first)
        self._feed(scan, runs, found, told)
        found.ended = min(span.stop, max((run.reached for run in runs), default=0)) if runs[0].course.events else 0
        end = max(found.ended, min(span.stop, told_to(look, span)))
        for run in runs:
            if run.clock:
                run.move(end - 1)
            run.finish()
        found.trials = [self.heard(run) for run in runs]
        found.overwritten = any(run.counters.get("overwritten", 0) for run in runs)
        found.rows, found.files, found.imported = scan.course.rows, scan.course.opened, scan.course.imported
        return found

    def heard(self, run: Past) -> list[tuple[Heard, Alert]]:
        """Alerts of a run that became known in the span."""
        span = self.span
        alerts = run.alerts(lambda one: span.start <= one.raised < span.stop)
        return [(Heard(told.raised, told.retracted, told.telling.feed, told.telling.source), alert) for told, alert in alerts]

    def _past(self, setting: Setting, scan: Scan) -> Past:
        facts = PastFacts(scan.fetch, self.attrs, self.span.by_time)
        return Past(setting, facts, ticks=self._ticks, attrs=self.attrs, by_time=self.span.by_time, exercise=self.city.exercise is not None)

    def _feed(self, scan: Scan, runs: Sequence[Past], found: Pass, told: Callable[[Progress], None]) -> None:
        for batch in scan.batches():
            for run in runs:
                run.take(batch)
            found.events += batch.num_rows
            course = scan.course
            told(Progress(course.passed / max(1, course.rows), runs[0].clock, len(runs[0].told), found.events))
            if any(len(run.told) > ALERTS_MAX for run in runs):
                found.stopped = True
                found.notes.append(
                    f"stopped at {to_iso(runs[0].clock)}: more than {ALERTS_MAX:,} alerts; a rule that rings so often tells nothing"
                )
                break
        found.late, found.withdrawn = runs[0].course.late, runs[0].course.withdrawn

    def _corrected_kinds(self) -> Iterator[str]:
        """Kinds of feeds that correct, so that what takes a fact back is read whatever its own kind is."""
        for feed in self.city.feeds:
            if feed.name in (self.settings[0].corrects or ()):
                made = feed.mapping.get("kind")
                if made is not None:
                    yield from (str(one) for one in (made.constant, made.default, *(made.table or {}).values()) if isinstance(one, str))

    def before(self, holdings: Holdings) -> bool:
        """Whether anything is stored from before: then sources can be missed from the start."""
        with holdings.look(Want(stop=self.first, figures=True)) as look:
            return look.rows > 0

    def notes(self, holdings: Holdings, look: Look, found: Pass) -> Iterator[str]:
        """What the reader must know. Raises Fatal."""
        span = self.span
        oldest = bounds(look)[0]
        if oldest > span.start + DAY:
            yield f"of what the rule looks at nothing before {to_iso(oldest)} is stored: from {to_iso(span.start)} to there nothing could ring"
        for file in getattr(look, "damaged", ()):
            yield f"{file.path.name} is damaged and was left out ({file.rows} events from {to_iso(file.start)} to {to_iso(file.stop)}); 'tocsin archive verify' mends it"
        if not span.by_time and has_imported(holdings, span.start, span.stop, self.sieve.kinds):
            yield "events that were imported are left out: they were not learnt when they happened; '--order time' takes them in"
        if span.by_time and 0 < found.imported < found.events:
            yield f"{found.imported:,} of the events were imported; each of both kinds counts as known when it happened"
        if found.late:
            yield f"{found.late} events came later than their feed's lateness; live, they are reconciled afterwards, here they are left out"
        if found.overwritten:
            yield "more events lay in one window than are kept: answers may be incomplete, as they would be live"

    def incidents(self, holdings: Holdings) -> list[Incident]:
        """Reports of the kind that was named, without those that were taken back; none when none was."""
        if self._kind is None:
            return []
        span = self.span
        wanted = _Kind(self._kind)
        with holdings.look(Want(start=span.start - HOUR, stop=span.stop + HOUR, kinds=(wanted.kind,))) as look:
            scan = Scan(look, wanted, "time", span.start, span.stop - 1)
            rows = [row for batch in scan.batches() for row in pa.Table.from_batches([batch]).select(_DEPTH).to_pylist()]
        return list(_incidents(rows))


@dataclass(frozen=True, slots=True)
class _Kind:
    """All events of one kind, for a scan."""

    kind: str

    def columns(self, _feeds: Iterable[str]) -> tuple[str, ...]:
        return (*_DEPTH, "refers_to")

    def gate(self, table: pa.RecordBatch) -> Any:
        kinds = table.column("kind")
        mine = np.array([covers(self.kind, name) for name in kinds.dictionary.to_pylist()], np.bool_)
        mask = mine[kinds.indices.to_numpy(zero_copy_only=False)] if mine.any() else None
        return mask if mask is not None and mask.any() else None

    def rows(self, _table: pa.RecordBatch) -> None:
        return None


def _incidents(rows: Iterable[dict[str, Any]]) -> Iterator[Incident]:
    for row in rows:
        if row["action"] == 0:
            happened, known = (int(row[name].timestamp() * 1_000_000) for name in ("event_time", "ingest_time"))
            yield Incident(row["feed"], row["id"], row["kind"], happened, known, row["lon"], row["lat"], row["text"] or "")


def ring(told: Heard, alert: Alert) -> Ring:
    """An alert as the sums need it."""
    anchor = alert.evidence[0] if alert.evidence else None
    feed, source = (told.feed, told.source) if anchor is None else (anchor.feed, anchor.source)
    return Ring(
        alert.id,
        alert.rule,
        told.raised,
        alert.opened,
        alert.lon,
        alert.lat,
        f"{feed}/{source}" if source else feed,
        alert.headline,
        alert.severity.name.lower(),
        alert.count,
        tuple((event.feed, event.id) for event in alert.evidence),
        told.retracted,
        alert.closed,
        alert.over_budget,
        alert.parent,
        alert.place,
    )


def known_kinds(city: City, kind: str) -> None:
    """Raises Fatal when no feed of the city is known to speak of a kind."""
    declared = sorted({name for feed in city.feeds if (made := feed.mapping.get("kind")) is not None for name in _declared(made)})
    if declared and not any(covers(kind, name) for name in declared):
        raise Fatal(f"--incidents {kind}: no feed of the city has events of this kind; {nearest(kind, declared)}")


def _declared(made: Any) -> Iterator[str]:
    yield from (str(one) for one in (made.constant, made.default, *(made.table or {}).values()) if isinstance(one, str))


def bounds(look: Look) -> tuple[int, int]:
    """The oldest and the newest event time of what is looked at, as far as files go; (0, 0) of nothing."""
    spans = [(file.start, file.stop) for file in look.files]
    if len(look.tail):
        times = pc.min_max(look.tail.column("event_time").cast(pa.int64())).as_py()
        spans.append((times["min"], times["max"]))
    return min((first for first, _ in spans), default=0), max((last for _, last in spans), default=0)


def told_to(look: Look, span: Span) -> int:
    """How far the history is told, µs: when something was last heard, or, as it was learnt, the journal's clock when nothing was."""
    newest = bounds(look)[1]
    return newest if span.by_time else max(newest, look.heard)


def _unlike(plan: Plan) -> Plan:
    """Rules of several versions in one plan have names of their own."""
    return replace(plan, rules=tuple(replace(rule, name=f"{rule.name}#{number}") for number, rule in enumerate(plan.rules)))
