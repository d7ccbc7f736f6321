"""Why `match` did or did not: one event, so many in a row, or everything over a span of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tocsin.correlate.series.lasting import Lasting, LastingMachine
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Match
from tocsin.model.predicate import Selector
from tocsin.model.time import format_span

from .condition import clock, gaps, misses, passed, thing, written
from .fold import Folded, fold
from .keyed import learnt_of, matched
from .scene import Candidate, Scene, at_row


def candidates(scene: Scene, when: Match) -> list[Candidate]:
    """Everything near that passes, and what came close."""
    if when.lasting:
        return _lasting(scene, when)
    if when.samples > 1 or when.until is not None:
        return _streaks(scene, when)
    rows = scene.near(scene.passing(when.of), scene.start, scene.at)
    found = [at_row(scene, int(row), True, 0.0, partial(_one, scene, when, int(row))) for row in rows]
    return found + misses(scene, when.of, "match.of", scene.start, scene.at, some=not found)


def _one(scene: Scene, when: Match, row: int) -> Sequence[Clause]:
    return (passed(scene, when.of, "match.of", row),)


@dataclass(frozen=True, slots=True)
class _Step:
    """A sample of one source as a row of the facts. `word`: how many in a row; `on` after it; `fired` on it; `was`: on before it;
    `off`: how many in a row passed `until`."""

    row: int
    word: int
    on: bool
    fired: bool
    was: bool
    since: int
    stale: bool = False


def _heard(of: Selector) -> Selector:
    return Selector(of.kind, dimension=of.dimension)


def _streaks(scene: Scene, when: Match) -> list[Candidate]:
    """Per source, in the order they arrived, as the kernels count: an event older than the newest one seen is left out."""
    own = scene.facts.passing(_heard(when.of)) & scene.standing
    heard = own if when.until is None else own | (scene.facts.passing(_heard(when.until)) & scene.standing)
    near = scene.near(heard, scene.start, scene.at)
    if not len(near):
        return misses(scene, when.of, "match.of", scene.start, scene.at)
    sources = np.unique(scene.facts.columns.source[near])
    wanted = set(near.tolist())
    rows = np.flatnonzero(heard & np.isin(scene.facts.columns.source, sources))
    found = []
    for code in sources.tolist():
        mine = rows[scene.facts.columns.source[rows] == code]
        mine = mine[np.argsort(scene.facts.seq[mine], kind="stable")]
        found += [_of_step(scene, when, step) for step in _walk(scene, when, mine.tolist(), own) if step.row in wanted]
    return found


def _walk(scene: Scene, when: Match, rows: Sequence[int], own: np.ndarray) -> list[_Step]:
    on_mask = scene.facts.passing(when.of)
    off_mask = scene.facts.passing(when.until) if when.until is not None else None
    steps, word, on, last, since = [], 0, False, -(1 << 62), 0
    for row in rows:
        time = int(scene.facts.time[row])
        if time < last:
            steps.append(_Step(row, word, on, False, on, since, stale=True))
            continue
        last, was, fired = time, on, False
        if not on or off_mask is None:
            if not (own[row] and on_mask[row]):
                word, on = 0, False
            elif not on:
                word += 1
                if word >= when.samples:
                    word, on, fired, since = 0, True, True, time
        else:
            word = word + 1 if off_mask[row] else 0
            if word >= when.samples:
                word, on = 0, False
        steps.append(_Step(row, word, on, fired, was, since))
    return steps


def _of_step(scene: Scene, when: Match, step: _Step) -> Candidate:
    row, ok = step.row, step.fired
    missing = gaps(scene, when.of, row) if not ok and not scene.facts.passing(when.of)[row] else []
    score = 0.0 if ok else 0.5 if step.was else 1.0 + sum(gap.size for gap in missing) if missing else 0.9 * (1 - step.word / when.samples)

    def tell() -> Sequence[Clause]:
        if step.stale:
            words = f"{thing(scene, row)} arrived after a newer sample of its source and is not counted"
            return (Clause("match.samples", FAILED, words, "late", "samples in order", None, "", scene.seen([row])),)
        first = passed(scene, when.of, "match.of", row)
        if missing:
            gap = missing[0]
            words = f"{thing(scene, row)} does not pass: {'; '.join(one.words for one in missing)}"
            first = Clause("match.of", FAILED, words, gap.found, gap.needed, gap.short, gap.unit, scene.seen([row]))
        run = 0 if missing else when.samples if ok else step.word
        needed = f"{when.samples} in a row"
        in_row = Clause(
            "match.samples",
            HELD if ok or step.was else FAILED,
            f"{run} of {when.samples} samples in a row passed" + ("" if ok or step.was else f"; needs {when.samples - run} more"),
            f"{run} in a row",
            needed,
            0.0 if ok or step.was else float(when.samples - run),
            "1",
        )
        if ok or not step.was:
            return (first, in_row)
        until = "a sample that does not pass" if when.until is None else f"{needed} of {written(when.until)}"
        words = f"it is on since {clock(step.since)} and rings once when it turns on; {until} turns it off first"
        return (first, Clause("match.until", FAILED, words, f"on since {clock(step.since)}", f"off: {until}"))

    return at_row(scene, row, ok, score, tell)


def _lasting(scene: Scene, when: Match) -> list[Candidate]:
    machine = LastingMachine(when)
    asks = [(when.of, False)] if when.until is None else [(when.of, False), (when.until, False)]
    heard = [(_heard(of), False) for of, _ in asks]
    mask = np.zeros(len(scene.facts), np.bool_)
    for of, _ in heard:
        mask |= scene.passing(of)
    near = scene.near(mask, scene.start - when.lasting - when.max_gap, scene.at)
    if not len(near):
        return misses(scene, when.of, "match.of", scene.start, scene.at)
    sources = np.unique(scene.facts.columns.source[near]).tolist()
    found: list[Candidate] = []
    for code in sources:
        rows = np.flatnonzero(mask & (scene.facts.columns.source == code))
        samples = scene.facts.samples(rows, scene.facts.flags(rows, [*asks, *heard]))
        folded = fold(machine, samples, learnt_of(scene, rows))
        found += _matches(scene, when, folded, rows)
        found += _not_yet(scene, when, folded, rows)
    return found or misses(scene, when.of, "match.of", scene.start, scene.at)


def _matches(scene: Scene, when: Match, folded: Folded, rows: np.ndarray) -> list[Candidate]:
    out = []
    for one in folded.found:
        row = int(rows[folded.place[one.anchor.seq]])
        if scene.start <= one.time <= scene.at and scene.here(one.anchor.lon, one.anchor.lat):

            def tell(row: int = row) -> Sequence[Clause]:
                lasted = format_span(when.lasting)
                held = Clause("match.for", HELD, f"everything heard for {lasted} passed", lasted, lasted, 0.0, "s")
                return (passed(scene, when.of, "match.of", row), held)

            out.append(matched(scene, folded, one, row, tell))
    return out


def _not_yet(scene: Scene, when: Match, folded: Folded, rows: np.ndarray) -> list[Candidate]:
    """Per source the run that came closest, in the stretch asked about."""
    fired = {one.born for one in folded.found}
    best: tuple[float, int, Lasting] | None = None
    for i, saved in enumerate(folded.states):
        row, state = int(rows[i]), Lasting(*saved)
        time = int(scene.facts.time[row])
        if not scene.start <= time <= scene.at or not scene.here(*scene.place(row)) or (time, int(scene.facts.seq[row])) in fired:
            continue
        lasted = time - int(state.start[0]) if state.start else 0  # type: ignore[call-overload]
        score = 0.4 if state.on else 2.0 if not state.start else 1 - min(1.0, lasted / when.lasting) * 0.9
        if best is None or score <= best[0]:
            best = (score, i, state)
    if best is None:
        return []
    score, i, state = best
    row = int(rows[i])
    return [at_row(scene, row, False, score, lambda: _tell_not_yet(scene, when, state, row))]


def _tell_not_yet(scene: Scene, when: Match, state: Lasting, row: int) -> Sequence[Clause]:
    needed = format_span(when.lasting)
    if not state.start:
        missing = gaps(scene, when.of, row)
        if not missing:
            return (Clause("match.for", FAILED, f"{thing(scene, row)} turned it off", "off", needed),)
        words = f"{thing(scene, row)} does not pass: {'; '.join(gap.words for gap in missing)}"
        first = missing[0]
        return (Clause("match.of", FAILED, words, first.found, first.needed, first.short, first.unit, scene.seen([row])),)
    start = int(state.start[0])  # type: ignore[call-overload]
    lasted = int(scene.facts.time[row]) - start
    if state.on:
        words = f"it is on since {clock(start + when.lasting)} and rings once when it turns on"
        return (passed(scene, when.of, "match.of", row), Clause("match.until", FAILED, words, "on", "off first"))
    short = max(0, when.lasting - lasted)
    words = f"what was heard passed since {clock(start)}, for {format_span(lasted)}: {format_span(short)} short of {needed}"
    if state.length < max(when.samples, 1):
        words += f"; {state.length} of {when.samples} samples"
    if 0 < when.max_gap < short:
        words += f"; the next sample had to come within {format_span(when.max_gap)}"
    return (
        passed(scene, when.of, "match.of", row),
        Clause("match.for", FAILED, words, format_span(lasted), needed, short / 1e6, "s"),
    )
