"""Why `sequence`, `all` and `any` did or did not: how many places of the pattern were filled, and how far the next one was from fitting."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from tocsin.correlate.geometry import chord_limit
from tocsin.correlate.phrases import metres
from tocsin.correlate.series.compound import AlertsPattern
from tocsin.correlate.series.gather import PATIENCE, Pattern
from tocsin.correlate.series.links import equal
from tocsin.correlate.series.places import chord
from tocsin.correlate.series.sample import Sample
from tocsin.correlate.series.steps import StepsPattern
from tocsin.model.explanation import FAILED, HELD, UNKNOWN, Clause
from tocsin.model.plan import Alerts
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector
from tocsin.model.time import format_span

from .condition import misses, thing, written
from .facts import RADIUS, Rows
from .scene import Candidate, Scene, at_row


@dataclass(slots=True)
class _Search:
    """One anchor's search. `best`: the most places filled, and from which place of the anchor."""

    chosen: dict[int, Sample] | None = None
    place: int = 0
    best: dict[int, Sample] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    patience: int = PATIENCE


def search(pattern: Pattern, anchor: Sample, facts: Sequence[Sample], patience: int = PATIENCE) -> _Search:
    """Fills every place of the pattern as the engine does: facts known before the anchor, newest first, going back where that fails. `facts`: by time;
    of those within its span no more are taken than it has patience for."""
    found = _Search(patience=patience)
    low, high = bisect_left(facts, anchor.time - pattern.span, key=_time), bisect_right(facts, anchor.time + pattern.span, key=_time)
    before = (fact for fact in map(facts.__getitem__, range(high - 1, low - 1, -1)) if fact.seq < anchor.seq)
    newest_first = list(islice(before, found.patience + 1))
    for place, others in pattern.places(anchor):
        found.chosen = _fill(pattern, anchor, {place: anchor}, others, newest_first, found)
        if found.chosen is not None:
            found.place = place
            return found
    return found


def _fill(
    pattern: Pattern, anchor: Sample, chosen: dict[int, Sample], others: list[int], facts: Sequence[Sample], found: _Search
) -> dict[int, Sample] | None:
    if len(chosen) > len(found.best):
        found.best, found.left = chosen, others
    if not others:
        return chosen
    taken = {fact.seq for fact in chosen.values()}
    for fact in facts:
        found.patience -= 1
        if found.patience < 0:
            return None
        if fact.seq in taken or not pattern.fits(others[0], fact, chosen, anchor):
            continue
        filled = _fill(pattern, anchor, {**chosen, others[0]: fact}, others[1:], facts, found)
        if filled is not None:
            return filled
    return None


@dataclass(slots=True)
class _Chain:
    """A pattern at work. `names`: what fills each place; `fills`: whether a sample may. `asked(place, chosen)`: (another event, metres, least and longest
    gap from it) for each that the place is bound to. `first_link`: where the links stand in `more`. `selectors`: of the places, None for alerts."""

    scene: Scene
    pattern: Pattern
    clause: str
    names: Sequence[str]
    fills: Callable[[int, Sample], bool]
    asked: Callable[[int, dict[int, Sample]], list[tuple[Sample, float, int, int]]]
    same: tuple[str, ...]
    differs: tuple[str, ...]
    first_link: int
    selectors: Sequence[Selector] | None = None
    samples: list[Sample] = field(default_factory=list)
    rows: dict[int, int] = field(default_factory=dict)

    def candidate(self, row: int) -> Candidate:
        """The event as the one that might have completed the match."""
        anchor = self._sample(row)
        found = search(self.pattern, anchor, self.samples)
        ok = found.chosen is not None
        places = len(self.names)
        score = 0.0 if ok else 1 - len(found.best) / max(places, 1)
        return at_row(self.scene, row, ok, score, lambda: self._tell(anchor, found))

    def _sample(self, row: int) -> Sample:
        facts = self.scene.facts
        time, seq = int(facts.time[row]), int(facts.seq[row])
        first = bisect_left(self.samples, time, key=_time)
        return next(sample for sample in islice(self.samples, first, None) if sample.seq == seq)

    def _tell(self, anchor: Sample, found: _Search) -> Sequence[Clause]:
        scene = self.scene
        chosen = found.chosen if found.chosen is not None else found.best
        clauses = []
        for place, sample in sorted(chosen.items()):
            row = self.rows[sample.seq]
            near = f"{_apart(anchor, sample)} from the last to arrive" if sample.seq != anchor.seq else "the last to arrive"
            words = f"{self.names[place]}: {thing(scene, row)}, {near}"
            clauses.append(
                Clause(f"{self.clause}.{place + 1}", HELD, words, thing(scene, row), self.names[place], 0.0, "", scene.seen([row]))
            )
        if found.chosen is None:
            state = UNKNOWN if found.patience < 0 else FAILED
            first, *more = found.left or [0]
            words, short, unit, rows = self._missing(first, chosen, anchor)
            words += " (the search was given up, as in the engine)" if found.patience < 0 else ""
            clauses.append(Clause(f"{self.clause}.{first + 1}", state, words, "none", self.names[first], short, unit, scene.seen(rows)))
            for place in more:
                words = f"{self.names[place]}: not looked for, because the one beside it is missing"
                clauses.append(Clause(f"{self.clause}.{place + 1}", UNKNOWN, words, "", self.names[place]))
        return clauses

    def _missing(self, place: int, chosen: dict[int, Sample], anchor: Sample) -> tuple[str, float | None, str, list[int]]:
        """What came closest to filling a place."""
        name = self.names[place]
        taken = {sample.seq for sample in chosen.values()}
        best: tuple[float, str, float | None, str, int] | None = None
        for sample in self.samples:
            if sample.seq in taken or not self.fills(place, sample):
                continue
            size, words, short, unit = self._off(place, sample, chosen, anchor)
            if best is None or size < best[0]:
                best = (size, words, short, unit, self.rows[sample.seq])
        if best is None:
            return self._none(place, anchor)
        return f"{name}: the closest was {thing(self.scene, best[4])}, {best[1]}", best[2], best[3], [best[4]]

    def _none(self, place: int, anchor: Sample) -> tuple[str, float | None, str, list[int]]:
        """Nothing fills a place: what came close to passing its condition, or when the feed was last heard."""
        name = self.names[place]
        if self.selectors is None:
            return f"{name}: none was known in reach", None, "", []
        span = max(self.pattern.span, 1)
        first = misses(self.scene, self.selectors[place], self.clause, anchor.time - span, anchor.time + span)[0]
        clause = first.tell()[0]
        return f"{name}: none; {clause.words}", clause.short, clause.unit, [first.row] if first.row >= 0 else []

    def _off(self, place: int, sample: Sample, chosen: dict[int, Sample], anchor: Sample) -> tuple[float, str, float | None, str]:
        """How far a sample is from fitting: relative size, words, how much in which unit."""
        offs: list[tuple[float, str, float | None, str]] = []
        for other, within, least, longest in self.asked(place, chosen):
            gap = sample.time - other.time
            offs += _off_time(gap, least, longest)
            if math.isfinite(within) and not chord(other, sample) <= chord_limit(within):
                away = _metres(other, sample)
                much = "without coordinates" if math.isnan(away) else f"{metres(away)} away, {metres(away - within)} too far"
                offs.append(
                    (
                        2.0 if math.isnan(away) else (away - within) / max(within, 1.0),
                        much,
                        None if math.isnan(away) else away - within,
                        "m",
                    )
                )
        offs += self._off_links(sample, chosen)
        if sample.seq > anchor.seq:
            offs.append((0.5, "but it arrived later", None, ""))
        if not offs:
            return 3.0, "but it does not fit together with the others", None, ""
        first = offs[0]
        return sum(one[0] for one in offs), "; ".join(one[1] for one in offs), first[2], first[3]

    def _off_links(self, sample: Sample, chosen: dict[int, Sample]) -> list[tuple[float, str, float | None, str]]:
        offs: list[tuple[float, str, float | None, str]] = []
        for other in chosen.values():
            for i, name in enumerate((*self.same, *self.differs)):
                mine, its = sample.more[self.first_link + i], other.more[self.first_link + i]
                if i < len(self.same) and not equal(mine, its):
                    offs.append((1.0, f"{name} is {mine!r}, not {its!r}", None, ""))
                elif i >= len(self.same) and equal(mine, its):
                    offs.append((1.0, f"{name} is {mine!r} as well", None, ""))
        return offs[:2]


def _off_time(gap: int, least: int, longest: int) -> list[tuple[float, str, float | None, str]]:
    size = max(longest - least, 1_000_000)
    if gap > longest:
        return [((gap - longest) / size, f"{_span(gap - longest)} too late", (gap - longest) / 1e6, "s")]
    if gap < least:
        return [((least - gap) / size, f"{_span(least - gap)} too early", (least - gap) / 1e6, "s")]
    return []


def _span(us: int) -> str:
    return format_span(us // 1_000_000 * 1_000_000) if us >= 1_000_000 else f"{us / 1e6:g} s"


def _metres(a: Sample, b: Sample) -> float:
    return 2 * RADIUS * math.asin(min(1.0, math.sqrt(chord(a, b)) / 2)) if a.placed and b.placed else math.nan


def _time(sample: Sample) -> int:
    return sample.time


def _apart(anchor: Sample, sample: Sample) -> str:
    away = _metres(anchor, sample)
    span = _span(abs(anchor.time - sample.time))
    return span if math.isnan(away) else f"{metres(away)} and {span}"


def sequences(scene: Scene, when: Steps) -> list[Candidate]:
    """Every event near that passes a step."""
    selectors = (when.first, *(step.of for step in when.then))
    asks = [(of, False) for of in selectors]
    mask = np.zeros(len(scene.facts), np.bool_)
    for of in selectors:
        mask |= scene.passing(of)
    apart = [step.within for step in when.then]
    spatial = all(map(math.isfinite, apart))
    near = scene.near(mask & scene.facts.placed if spatial and not _linked(when) else mask, scene.start, scene.at)
    if not len(near):
        return misses(scene, when.then[-1].of if when.then else when.first, "sequence", scene.start, scene.at)
    pattern = StepsPattern(when)
    rows = _in_reach(scene, mask, pattern.span, sum(apart))
    chain = _Chain(
        scene,
        pattern,
        "sequence",
        [written(of) for of in selectors],
        lambda place, sample: bool(sample.flags >> place & 1),
        lambda place, chosen: _asked_steps(when, place, chosen),
        when.same,
        when.differs,
        0,
        selectors,
    )
    chain.samples = scene.facts.samples(rows, scene.facts.flags(rows, asks), pattern.fields)
    chain.rows = {int(scene.facts.seq[row]): int(row) for row in rows}
    return [chain.candidate(int(row)) for row in near]


def _linked(when: Steps) -> bool:
    return when.any_order or bool(when.same or when.differs or when.during)


def _in_reach(scene: Scene, mask: np.ndarray, span: int, apart: float) -> Rows:
    low, high = np.searchsorted(scene.facts.time, [scene.start - 2 * span, scene.at + span + 1])
    rows: Rows = np.flatnonzero(mask[low:high]) + low
    if scene.somewhere and math.isfinite(apart):
        reach = min(scene.within + 2 * apart + 10_000.0, 2e7)
        rows = rows[scene.facts.chords(scene.lon, scene.lat, rows) <= chord_limit(reach)]
    return rows


def _asked_steps(when: Steps, place: int, chosen: dict[int, Sample]) -> list[tuple[Sample, float, int, int]]:
    """(the other event, metres, least and longest gap from it to this one)."""
    if when.any_order:
        if place == 0:
            return [
                (other, when.then[p - 1].within, -when.then[p - 1].max_gap, when.then[p - 1].max_gap) for p, other in chosen.items() if p
            ]
        step = when.then[place - 1]
        return [(chosen[0], step.within, -step.max_gap, step.max_gap)] if 0 in chosen else []
    asked = []
    if place - 1 in chosen:
        step = when.then[place - 1]
        asked.append((chosen[place - 1], step.within, step.min_gap, step.max_gap))
    if place + 1 in chosen:
        step = when.then[place]
        asked.append((chosen[place + 1], step.within, -step.max_gap, -step.min_gap))
    return asked


def alerts(scene: Scene, when: Alerts) -> list[Candidate]:
    """Every alert of the rules it looks at, near the place, as the one that might have completed the match."""
    kinds = [Selector(f"alert.{rule}") for rule in when.rules]
    mask = np.zeros(len(scene.facts), np.bool_)
    for of in kinds:
        mask |= scene.facts.of_kind(of.kind)
    near = scene.near(mask, scene.start, scene.at)
    if not len(near):
        return misses(scene, Selector(kinds[0].kind if len(kinds) == 1 else "alert"), when.how, scene.start, scene.at)
    pattern = AlertsPattern(when)
    rows = _in_reach(scene, mask, max(pattern.span, 1), math.inf)
    n = max(when.least, 1) if when.how == "any" else len(when.rules)
    names = [f"an alert of {rule}" for rule in when.rules] if when.how == "all" else [f"an alert of {' or '.join(when.rules)}"] * n
    chain = _Chain(
        scene,
        pattern,
        when.how,
        names,
        lambda place, sample: when.how == "any" or bool(sample.flags >> place & 1),
        lambda _place, chosen: [(other, when.within, -when.during, when.during) for other in chosen.values()],
        when.same,
        when.differs,
        2,
    )
    plain = scene.facts.samples(rows, scene.facts.flags(rows, [(of, False) for of in kinds]))
    chain.samples = [_fact(scene, int(row), sample, pattern.fields) for row, sample in zip(rows, plain, strict=True)]
    chain.rows = {int(scene.facts.seq[row]): int(row) for row in rows}
    return [chain.candidate(int(row)) for row in near]


def _fact(scene: Scene, row: int, sample: Sample, fields: tuple[str, ...]) -> Sample:
    """An alert as a fact: linked by what its anchor says."""
    anchor = scene.facts.attribute(row, "anchor")
    there = scene.facts.row_of(int(anchor)) if anchor is not None else None
    extras = scene.facts.columns.extras
    linked = tuple(None if there is None or extras is None else extras.links(name, [there])[0] for name in fields)
    return sample._replace(more=(anchor, sample.seq, *linked))
