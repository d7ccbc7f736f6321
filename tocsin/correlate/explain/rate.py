"""Why `rate` did or did not: what was measured in the window, beside the threshold of that hour."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tocsin.correlate.headline import number, unit_words
from tocsin.correlate.series.rate import RateMachine, WeekHours
from tocsin.correlate.series.sample import LONG_AGO, NEVER, Found, Sample
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Rate
from tocsin.model.time import format_span

from .condition import clock, in_unit, misses, passed
from .keyed import History, histories, in_stretch, matches
from .scene import Candidate, Scene, at_row


@dataclass(frozen=True, slots=True)
class _Window:
    """One of the windows that end at a sample. `measure`: None without events."""

    end: int
    measure: float | None
    threshold: float
    heard: int


def candidates(scene: Scene, when: Rate) -> list[Candidate]:
    """Per key: its matches, and the instant that came closest."""
    hours = WeekHours(scene.plan.timezone)
    learnt = {one.key: one for one in when.baseline.learnt} if when.baseline is not None else {}
    more = (when.distinct,) if when.measure == "sources" and when.distinct != "source" else ()
    valued = when.measure in ("sum", "mean")
    found: list[Candidate] = []
    made = histories(scene, when.key, [(when.of, valued)], lambda key: RateMachine(when, hours, learnt.get(key)), more=more)
    for history in made:
        found += matches(scene, history, partial(_rang, scene, when, history))
        found += _closest(scene, when, history)
    return found or misses(scene, when.of, "rate.of", scene.start, scene.at, valued=valued)


def _windows(when: Rate, history: History, i: int) -> list[_Window]:
    """As the machine looks at them when samples[i] arrives."""
    samples, time = history.folded.samples, history.folded.samples[i].time
    closed = when.windows <= 1
    out = []
    for window in range(max(when.windows, 1)):
        to = time - window * when.during
        start = to - when.during
        low = bisect_left(samples, (start, LONG_AGO), 0, i + 1) if closed else bisect_right(samples, (start, NEVER), 0, i + 1)
        high = bisect_right(samples, (to, NEVER), low, i + 1)
        some = samples[low:high]
        measure = _measured(when, some)
        machine = history.machine
        assert isinstance(machine, RateMachine)
        heard = int(measure or 0) if when.measure == "sources" else len(some)
        out.append(_Window(to, measure, machine._threshold(to), heard))  # the machine's own threshold, so that both agree
    return out


def _measured(when: Rate, some: Sequence[Sample]) -> float | None:
    if when.measure == "count":
        return float(len(some))
    if when.measure == "sources":
        return float(len({sample.more[0] if sample.more else sample.source for sample in some} - {None}))
    total = math.fsum(sample.value for sample in some)
    return total if when.measure == "sum" else total / len(some) if some else None


def _holds(history: History, i: int, when: Rate) -> bool:
    machine = history.machine
    assert isinstance(machine, RateMachine)
    samples = history.folded.samples
    return machine._holds(samples, i + 1, samples[i].time, when.windows <= 1)


def _closest(scene: Scene, when: Rate, history: History) -> list[Candidate]:
    best: tuple[float, int] | None = None
    for i, _ in in_stretch(scene, history):
        if _holds(history, i, when):
            score = 0.5
        else:
            score = sum(_lack(when, window) for window in _windows(when, history, i)) / max(when.windows, 1)
        if best is None or score <= best[0]:
            best = (score, i)
    if best is None:
        return []
    score, i = best
    return [at_row(scene, history.row(history.folded.samples[i]), False, max(score, 0.01), lambda: _tell(scene, when, history, i))]


def _lack(when: Rate, window: _Window) -> float:
    if window.measure is None:
        return 1.0
    over = 0.0 if window.measure > window.threshold else (window.threshold - window.measure) / max(abs(window.threshold), 1.0) + 0.05
    return min(1.0, over) + max(0.0, when.least - window.heard) / max(when.least, 1.0)


def _rang(scene: Scene, when: Rate, history: History, found: Found) -> Sequence[Clause]:
    return _tell(scene, when, history, history.folded.place[found.anchor.seq], rang=True)


def _tell(scene: Scene, when: Rate, history: History, i: int, rang: bool = False) -> Sequence[Clause]:
    row = history.row(history.folded.samples[i])
    clauses = [passed(scene, when.of, "rate.of", row)]
    holds = _holds(history, i, when)
    for window in _windows(when, history, i):
        clauses += _of_window(scene, when, history.text, row, window, holds)
    if holds and not rang:
        since = history.folded.samples[_begun(when, history, i)].time
        words = f"it has been too much since {clock(since)}, and rings once when it becomes so"
        clauses.append(Clause("rate.turning", FAILED, words, f"held since {clock(since)}", "false just before"))
    return clauses


def _of_window(scene: Scene, when: Rate, who: str, row: int, window: _Window, holds: bool) -> list[Clause]:
    unit = scene.facts.attribute(row, "unit") if when.measure in ("sum", "mean") else None
    written = (
        unit_words(unit) if unit is not None else "events" if when.measure == "count" else "sources" if when.measure == "sources" else ""
    )
    name = "rate.above" if when.baseline is None or not _usual(when, who) else "rate.baseline"
    limit = in_unit(window.threshold, unit) if when.measure == "mean" else _plain(window.threshold, unit)
    needed = f"more than {number(limit)} {written}".rstrip()
    span = f"in the {format_span(when.during)} up to {clock(window.end)}"
    if window.measure is None:
        return [Clause(name, FAILED, f"{who}: nothing {span}", "nothing", needed)]
    got = in_unit(window.measure, unit) if when.measure == "mean" else _plain(window.measure, unit)
    held = holds or window.measure > window.threshold
    short = 0.0 if held else limit - got
    words = f"{who}: {when.measure} {number(got)} {written}".rstrip() + f" {span}; needs {needed}"
    words += "" if held else f": {number(short)} {written}".rstrip() + " short" if short > 0 else ": just not more"
    clauses = [Clause(name, HELD if held else FAILED, words, f"{number(got)} {written}".rstrip(), needed, short, unit or "1")]
    if when.least:
        enough = window.heard >= when.least
        text = f"{window.heard} of {number(when.least)} needed at least {span}"
        lack = max(0.0, when.least - window.heard)
        clauses.append(Clause("rate.least", HELD if enough else FAILED, text, str(window.heard), number(when.least), lack, "1"))
    return clauses


def _plain(value: float, unit: str | None) -> float:
    """A sum has no zero point to speak of: only its factor counts."""
    from .condition import difference_in

    return difference_in(value, unit)


def _usual(when: Rate, who: str) -> bool:
    return when.baseline is not None and any(one.key == who and one.weeks >= when.baseline.weeks for one in when.baseline.learnt)


def _begun(when: Rate, history: History, i: int) -> int:
    """The sample at which it turned true that still holds at samples[i]."""
    fired = {found.anchor.seq for found in history.folded.found}
    while i > 0 and history.folded.samples[i].seq not in fired and _holds(history, i - 1, when):
        i -= 1
    return i
