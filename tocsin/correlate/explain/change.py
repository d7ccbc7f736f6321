"""Why `change` did or did not: how far a value rose or fell within the span, beside what was asked."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tocsin.correlate.headline import number, unit_words
from tocsin.correlate.series.change import SLACK, ChangeMachine, least_squares
from tocsin.correlate.series.sample import LONG_AGO, Found, Sample
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Change
from tocsin.model.time import format_span

from .condition import clock, difference_in, misses, passed
from .keyed import History, histories, in_stretch, matches
from .scene import Candidate, Scene, at_row


@dataclass(frozen=True, slots=True)
class _Measured:
    """The window that ends at a sample. `amount`: how much it changed in the direction asked for (canonical, or canonical per second), None
    when it cannot be said. `heard`: samples in it."""

    amount: float | None
    heard: int
    held: bool


def candidates(scene: Scene, when: Change) -> list[Candidate]:
    """Per key: its matches, and the window that came closest."""
    machine = ChangeMachine(when)
    found: list[Candidate] = []
    for history in histories(scene, when.key, [(when.of, True)], lambda _key: machine):
        found += matches(scene, history, partial(_held, scene, when, history))
        found += _closest(scene, when, history)
    return found or misses(scene, when.of, "change.of", scene.start, scene.at, valued=True)


def _measure(when: Change, samples: list[Sample], i: int) -> _Measured:
    newest = samples[i]
    window = samples[bisect_left(samples, (newest.time - when.during, LONG_AGO), 0, i) : i + 1]
    values = [sample.value for sample in window]
    if when.by is not None:
        rise, fall = newest.value - min(values), max(values) - newest.value
        amount: float | None = {"rise": rise, "fall": fall}.get(when.direction, max(rise, fall))
        edge = when.by - SLACK * max(abs(newest.value), abs(min(values)), abs(max(values)), when.by)
    else:
        slope = least_squares([sample.time for sample in window], values)
        amount = None if slope is None else {"rise": slope, "fall": -slope}.get(when.direction, abs(slope))
        edge = (when.slope or 0.0) * (1 - SLACK)
    held = amount is not None and amount >= edge and len(window) >= when.samples
    return _Measured(amount, len(window), held)


def _closest(scene: Scene, when: Change, history: History) -> list[Candidate]:
    wanted = when.by if when.by is not None else when.slope or 0.0
    best: tuple[float, int, _Measured] | None = None
    for i, _ in in_stretch(scene, history):
        measured = _measure(when, history.folded.samples, i)
        share = (measured.amount or 0.0) / wanted if wanted else 0.0
        score = 0.5 if measured.held else max(0.01, 1 - share) + max(0, when.samples - measured.heard) / when.samples
        if best is None or score <= best[0]:
            best = (score, i, measured)
    if best is None:
        return []
    score, i, measured = best
    row = history.row(history.folded.samples[i])
    return [at_row(scene, row, False, score, lambda: _tell(scene, when, history, i, measured))]


def _held(scene: Scene, when: Change, history: History, found: Found) -> Sequence[Clause]:
    i = history.folded.place[found.anchor.seq]
    return _tell(scene, when, history, i, _measure(when, history.folded.samples, i), rang=True)


def _tell(scene: Scene, when: Change, history: History, i: int, measured: _Measured, rang: bool = False) -> Sequence[Clause]:
    row = history.row(history.folded.samples[i])
    name = "change.by" if when.by is not None else "change.slope"
    clauses = [passed(scene, when.of, "change.of", row)]
    enough = measured.heard >= when.samples
    if when.samples > 1:
        words = f"{measured.heard} of {when.samples} samples in the {format_span(when.during)} up to it"
        short = float(max(0, when.samples - measured.heard))
        clauses.append(Clause("change.samples", HELD if enough else FAILED, words, str(measured.heard), str(when.samples), short, "1"))
    clauses.append(_amount(scene, when, row, name, measured, history.text))
    if measured.held and not rang:
        since = _since(when, history, i)
        words = f"it has held since {clock(since)}, and rings once when it begins to"
        clauses.append(Clause("change.turning", FAILED, words, f"held since {clock(since)}", "false just before"))
    return clauses


def _amount(scene: Scene, when: Change, row: int, name: str, measured: _Measured, who: str) -> Clause:
    unit = scene.facts.attribute(row, "unit")
    per_hour = 1.0 if when.by is not None else 3600.0
    wanted = (when.by if when.by is not None else when.slope or 0.0) * per_hour
    written = unit_words(unit) + ("" if when.by is not None else "/h")
    needed = f"{when.direction} of {number(difference_in(wanted, unit))} {written}".rstrip()
    if measured.amount is None:
        return Clause(name, FAILED, f"{who}: all samples are of one time, so there is no slope", "no slope", needed)
    got, limit = difference_in(measured.amount * per_hour, unit), difference_in(wanted, unit)
    found = f"{number(got)} {written}".rstrip()
    reached = measured.held or got >= limit
    short = 0.0 if reached else limit - got
    words = f"{who} changed by {found} in {format_span(when.during)} ({needed} asked)"
    words += "" if reached else f": {number(short)} {written}".rstrip() + " short"
    return Clause(name, HELD if reached else FAILED, words, found, needed, short, unit or "1")


def _since(when: Change, history: History, i: int) -> int:
    """When the condition turned true that still holds at a sample."""
    while i > 0 and _measure(when, history.folded.samples, i - 1).held:
        i -= 1
    return history.folded.samples[i].time
