"""Why `absence` and `timer` did or did not: what started the clock, what answered it, and how much time was left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tocsin.correlate.geometry import chord_limit
from tocsin.correlate.phrases import metres
from tocsin.correlate.series.links import equal
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Absence
from tocsin.model.time import format_span

from .condition import clock, misses, passed, thing, written
from .facts import Rows
from .scene import Candidate, Scene, at_row


def candidates(scene: Scene, when: Absence) -> list[Candidate]:
    """Every event near that started the clock, with its deadline in the stretch asked about or still running then."""
    mask = scene.passing(when.after) & (scene.facts.placed if math.isfinite(when.within) else True)
    rows = scene.near(mask, scene.start - when.during, scene.at)
    if not len(rows):
        return misses(scene, when.after, "absence.after", scene.start - when.during, scene.at, placed=math.isfinite(when.within))
    expected = np.flatnonzero(scene.passing(when.expected))
    return [_candidate(scene, when, int(row), expected) for row in rows]


def _candidate(scene: Scene, when: Absence, row: int, expected: Rows) -> Candidate:
    facts = scene.facts
    time = int(facts.time[row])
    due = time + when.during
    low, high = np.searchsorted(facts.time[expected], [time + 1, due + 1])
    answers = expected[low:high]
    if math.isfinite(when.within):
        answers = answers[facts.chords(*scene.place(row), answers) <= chord_limit(when.within)]
    answers = _agreeing(scene, when, row, answers)
    over = due <= scene.watermark and due <= scene.at
    ok = over and not len(answers)
    first = int(answers[0]) if len(answers) else -1
    score = 0.0 if ok else 0.3 if first < 0 else 1 - (int(facts.time[first]) - time) / max(when.during, 1) * 0.6
    learnt = max(due + scene.plan.delay, int(facts.ingest[row]) + 1)
    return at_row(scene, row, ok, score, lambda: _tell(scene, when, row, answers, expected, over), due, learnt)


def _agreeing(scene: Scene, when: Absence, row: int, answers: Rows) -> Rows:
    extras = scene.facts.columns.extras
    for name in when.same:
        if extras is None or not len(answers):
            return answers[:0]
        own = extras.links(name, [row])[0]
        values = extras.links(name, answers.tolist())
        answers = answers[np.array([equal(own, value) for value in values], np.bool_)]
    return answers


def _tell(scene: Scene, when: Absence, row: int, answers: Rows, expected: Rows, over: bool) -> Sequence[Clause]:
    time = int(scene.facts.time[row])
    due = time + when.during
    clauses = [passed(scene, when.after, "absence.after", row)]
    where = f" within {metres(when.within)}" if math.isfinite(when.within) else ""
    where += f" with the same {' and '.join(when.same)}" if when.same else ""
    needed = f"no {written(when.expected)}{where} until {clock(due)}"
    if len(answers):
        first = int(answers[0])
        gap = int(scene.facts.time[first]) - time
        spare = when.during - gap
        words = f"{thing(scene, first)} answered it after {_span(gap)}, {_span(spare)} before the time was up"
        if math.isfinite(when.within):
            away = float(scene.facts.metres(*scene.place(row), np.array([first]))[0])
            words += f", {metres(away)} away (within {metres(when.within)} counts)"
        seen = scene.seen([first], row)
        clauses.append(Clause("absence.expect", FAILED, words, f"{len(answers)} came", needed, spare / 1e6, "s", seen))
        return clauses
    words = f"no {written(when.expected)} came{where}" + _nearest(scene, when, row, expected, due)
    clauses.append(Clause("absence.expect", HELD, words, "none", needed, 0.0, "s"))
    if over:
        words = f"the {format_span(when.during)} were over at {clock(due)}"
        clauses.append(Clause("absence.during", HELD, words, format_span(when.during), format_span(when.during), 0.0, "s"))
    else:
        left = due - min(scene.at, scene.watermark)
        words = f"the {format_span(when.during)} are over at {clock(due)}: {_span(left)} left"
        if due <= scene.at:
            words += f" (deadlines wait {format_span(scene.plan.delay)} for late events)"
        clauses.append(Clause("absence.during", FAILED, words, _span(when.during - left), format_span(when.during), left / 1e6, "s"))
    return clauses


def _nearest(scene: Scene, when: Absence, row: int, expected: Rows, due: int) -> str:
    """The one that nearly answered."""
    facts = scene.facts
    time = int(facts.time[row])
    expected = _agreeing(scene, when, row, expected)
    low, high = np.searchsorted(facts.time[expected], [time + 1, due + 1])
    some = expected[low:high]
    if len(some) and math.isfinite(when.within):
        away = facts.metres(*scene.place(row), some)
        if np.isfinite(away).any():
            least = int(np.nanargmin(away))
            return f"; the nearest was {metres(float(away[least]))} away, {metres(float(away[least]) - when.within)} too far to count"
    after = expected[np.searchsorted(facts.time[expected], due + 1) :]
    if math.isfinite(when.within):
        after = after[facts.chords(*scene.place(row), after) <= chord_limit(when.within)]
    if len(after):
        return f"; the next came {_span(int(facts.time[after[0]]) - due)} too late"
    return ""


def _span(us: int) -> str:
    return format_span(us // 1_000_000 * 1_000_000) if us >= 1_000_000 else f"{us / 1e6:g} s"
