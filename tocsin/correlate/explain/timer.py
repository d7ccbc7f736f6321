"""Why `timer` did or did not: when the clock was started, what stopped or restarted it, and how much time was left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tocsin.correlate.series.keys import Keyer
from tocsin.correlate.series.sample import Sample
from tocsin.correlate.series.timer import START, STOP, TimerMachine
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.plan import Timer
from tocsin.model.time import format_span

from .condition import clock, misses, thing, written
from .fold import Folded, fold
from .keyed import learnt_of, matched
from .scene import NEVER, Candidate, Scene, at_row


def candidates(scene: Scene, when: Timer) -> list[Candidate]:
    """Per key with a start near the place: deadlines that fired, and the clock that runs or was stopped."""
    facts = scene.facts
    asks = [(when.of, False)] if when.until is None else [(when.of, False), (when.until, False)]
    starts = scene.passing(when.of)
    stops = scene.passing(when.until) if when.until is not None else np.zeros(len(facts), np.bool_)
    near = scene.near(starts, scene.since, scene.at)
    if not len(near):
        return misses(scene, when.of, "timer.since", scene.start - when.during, scene.at)
    keyer = Keyer(when.key, lambda code: facts.names[code])
    width = len(keyer.fields)
    rows = np.flatnonzero(starts | stops)
    samples = facts.samples(rows, facts.flags(rows, asks), keyer.fields)
    places = dict(zip(facts.seq[rows].tolist(), rows.tolist(), strict=True))
    wanted = dict.fromkeys(key for one in facts.samples(near, None, keyer.fields) for key in keyer.keys(one, one.more[:width]))
    learnt = learnt_of(scene, rows)
    found: list[Candidate] = []
    for key in wanted:
        own = [sample._replace(more=()) for sample in samples if _belongs(keyer, key, sample)]
        found += _of_key(scene, when, keyer.text(key), fold(TimerMachine(when), own, learnt), places)
    return found


def _belongs(keyer: Keyer, key: object, sample: Sample) -> bool:
    """A stop that lacks some fields of the key belongs to all keys that agree with it in the others."""
    links = sample.more[: len(keyer.fields)]
    if links and sample.flags & STOP and isinstance(key, tuple):
        return all(link is None or link == own for own, link in zip(key, links, strict=True))
    return key in keyer.keys(sample, links)


def _of_key(scene: Scene, when: Timer, text: str, folded: Folded, places: dict[int, int]) -> list[Candidate]:
    out = []
    for found in folded.found:
        if scene.start <= found.time <= scene.at and scene.here(found.anchor.lon, found.anchor.lat):
            row = places[found.anchor.seq]

            def tell(row: int = row, time: int = found.time, label: str = found.label) -> Sequence[Clause]:
                early = f" ({label})" if label else ""
                words = f"the time was up at {clock(time)}{early}, and nothing newer was known"
                return (_started(scene, when, text, row), Clause("timer.during", HELD, words, "over", format_span(when.during), 0.0, "s"))

            out.append(matched(scene, folded, found, row, tell))
    return out or _running(scene, when, text, folded, places)


def _started(scene: Scene, when: Timer, text: str, row: int) -> Clause:
    words = f"{text}: {thing(scene, row)} started the clock"
    return Clause("timer.since", HELD, words, thing(scene, row), written(when.of), 0.0, "", scene.seen([row]))


def _running(scene: Scene, when: Timer, text: str, folded: Folded, places: dict[int, int]) -> list[Candidate]:
    """What keeps the clock of a key from having fired in the stretch."""
    starts = [
        sample for sample in folded.samples if sample.flags & START and sample.time <= scene.at and scene.here(sample.lon, sample.lat)
    ]
    if not starts:
        return []
    start = starts[-1]
    row, due = places[start.seq], start.time + when.during
    stop = next((one for one in folded.samples if one.flags & STOP and one.time >= start.time and one.time <= scene.at), None)
    again = len(starts) > 1 and when.restart and scene.start <= starts[-2].time + when.during <= scene.at

    def tell() -> Sequence[Clause]:
        first = _started(scene, when, text, row)
        if stop is not None:
            spare = max(0, due - stop.time)
            words = f"{thing(scene, places[stop.seq])} stopped it, {_span(spare)} before the time was up"
            stopped = scene.seen([places[stop.seq]])
            return (first, Clause("timer.until", FAILED, words, "stopped", "not stopped", spare / 1e6, "s", stopped))
        if due < scene.start:
            words = f"the time was up at {clock(due)}, before the stretch asked about"
            return (
                first,
                Clause("timer.during", FAILED, words, f"up at {clock(due)}", f"between {clock(scene.start)} and {clock(scene.at)}"),
            )
        left = max(0, due - min(scene.at, scene.watermark))
        words = f"the time is up at {clock(due)}: {_span(left)} left"
        if again:
            words += f"; it was started anew, the one before would have been up at {clock(starts[-2].time + when.during)}"
        return (first, Clause("timer.during", FAILED, words, _span(max(0, when.during - left)), format_span(when.during), left / 1e6, "s"))

    score = 0.6 if stop is not None else max(0.05, (due - scene.at) / max(when.during, 1)) if due >= scene.start else 0.7
    return [at_row(scene, row, False, score, tell, None, NEVER)] if not math.isnan(score) else []


def _span(us: int) -> str:
    return format_span(us // 1_000_000 * 1_000_000) if us >= 1_000_000 else f"{us / 1e6:g} s"
