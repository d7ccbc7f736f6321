"""Why `accumulate` did or did not: how much time, or how large an integral, had come together within the span."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tocsin.correlate.headline import number, unit_words
from tocsin.correlate.series.accumulate import AccumulateMachine, Tally
from tocsin.correlate.series.sample import Found
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Accumulate
from tocsin.model.time import format_span

from .condition import clock, difference_in, misses, written
from .keyed import History, heard, histories, matches
from .scene import Candidate, Scene, at_row


def candidates(scene: Scene, when: Accumulate) -> list[Candidate]:
    """Per key: its matches, and the instant that came closest."""
    machine = AccumulateMachine(when)
    asks = []
    for i, selector in enumerate((when.of, *when.also)):
        valued = i == 0 and when.integral is not None
        asks += [(heard(selector), valued), (selector, valued)]
    found: list[Candidate] = []
    for history in histories(scene, when.key, asks, lambda _key: machine):
        found += matches(scene, history, partial(_rang, when, history))
        found += _closest(scene, when, machine, history)
    return found or misses(scene, when.of, "accumulate.of", scene.start, scene.at)


def _closest(scene: Scene, when: Accumulate, machine: AccumulateMachine, history: History) -> list[Candidate]:
    """The sample of the stretch at which most had come together; of the newest, what has since."""
    wanted = machine._wanted  # the machine's own measure, so that both agree
    best: tuple[float, int, float, bool] | None = None
    samples = history.folded.samples
    for i, sample in enumerate(samples):
        if not (scene.start <= sample.time <= scene.at and scene.here(sample.lon, sample.lat)):
            continue
        until = min(scene.at, scene.watermark) if i + 1 == len(samples) else min(samples[i + 1].time, scene.at)
        total, on = _reached(machine, history, i, max(until, sample.time))
        score = 0.5 if on else max(0.01, 1 - total / wanted) if wanted else 1.0
        if best is None or score <= best[0]:
            best = (score, i, total, on)
    if best is None or any(scene.start <= one.time <= scene.at for one in history.folded.found):
        return []
    score, i, total, on = best
    row = history.row(samples[i])
    return [at_row(scene, row, False, score, lambda: _tell(scene, when, history, row, total, on))]


def _reached(machine: AccumulateMachine, history: History, i: int, until: int) -> tuple[float, bool]:
    """The total at an instant after samples[i], nothing but deadlines in between."""
    state = history.folded.states[i]
    while (due := machine.due(state)) <= until:
        state = machine.expire(state, due, history.folded.samples, i + 1, [])
    tally = Tally(*state)
    if tally.now < until and (tally.voices or tally.spans):
        tally = machine._advance(tally, until)
    return machine._total(tally), tally.on


def _rang(when: Accumulate, history: History, found: Found) -> Sequence[Clause]:
    amount = _asked(when)
    words = f"{history.text}: {amount} within {format_span(when.during)} was reached at {clock(found.time)}"
    return (Clause(_name(when), HELD, words, amount, amount, 0.0, "s" if when.integral is None else "1"), *_together(when, True))


def _tell(scene: Scene, when: Accumulate, history: History, row: int, total: float, on: bool) -> Sequence[Clause]:
    if on:
        words = f"{history.text}: {_asked(when)} is reached already, and rings once when it is"
        return (Clause(f"{_name(when)}.turning", FAILED, words, "reached before", "not reached just before"),)
    if when.integral is None:
        short = max(0.0, when.total - total)
        found, missing, unit, amount = format_span(round(total) // 1000 * 1000), format_span(round(short) // 1000 * 1000), "s", short / 1e6
    else:
        code = scene.facts.attribute(row, "unit")
        written_ = f"{unit_words(code)} x s".strip()
        amount = difference_in(max(0.0, when.integral - total / 1e6), code)
        found, missing, unit = f"{number(difference_in(total / 1e6, code))} {written_}", f"{number(amount)} {written_}", code or "1"
    words = f"{history.text}: {found} came together within {format_span(when.during)}, {_asked(when)} asked: {missing} short"
    return (Clause(_name(when), FAILED, words, found, _asked(when), amount, unit), *_together(when, False))


def _together(when: Accumulate, held: bool) -> Sequence[Clause]:
    if not when.also:
        return ()
    all_of = " and ".join(written(of) for of in (when.of, *when.also))
    return (Clause("accumulate.of", HELD if held else FAILED, f"only the time counts in which {all_of} were true at once", "", all_of),)


def _name(when: Accumulate) -> str:
    return "accumulate.total" if when.integral is None else "accumulate.integral"


def _asked(when: Accumulate) -> str:
    return format_span(when.total) if when.integral is None else f"an integral of {number(when.integral)}"
