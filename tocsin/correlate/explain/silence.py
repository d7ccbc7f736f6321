"""Why `silence` did or did not: when each source was last heard, and how long a gap would have had to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tocsin.correlate.series.which import outside
from tocsin.model.explanation import FAILED, HELD, UNKNOWN, Clause
from tocsin.model.plan import Silence
from tocsin.model.time import format_span

from .condition import clock, misses, thing, written
from .facts import Rows, source_words
from .scene import ANCHORS_MAX, Candidate, Scene, at_row


def candidates(scene: Scene, when: Silence) -> list[Candidate]:
    """Every source (or feed) whose newest position is near: its gaps, and how long it has been quiet."""
    facts = scene.facts
    rows = np.flatnonzero(facts.passing(when.of) & (facts.live | scene.with_late))  # what was heard stays heard
    groups = _groups(scene, when, rows)
    found: list[Candidate] = []
    near, by_history = scene.vicinity, outside(scene.rule)
    for mine in groups:
        if near is None or near[mine].any():
            found += _gaps(scene, when, mine, by_history)
    found += _declared(scene, when, groups)
    if when.area is not None:
        scene.note("the outage of an area is told from its alerts alone; the clauses are those of single sources")
    if len(found) > ANCHORS_MAX:
        found = sorted(found, key=lambda one: one.score)[:ANCHORS_MAX]
    return found or misses(scene, when.of, "silence.of", int(facts.time[0]) if len(facts) else scene.start, scene.at)


def _groups(scene: Scene, when: Silence, rows: Rows) -> list[Rows]:
    """Rows of each source, or feed, in order of event time; events that name no source are heard of nobody."""
    names = scene.facts.names
    feeds: dict[str, int] = {}
    if when.by == "feed":
        table = np.array([feeds.setdefault(feed, len(feeds)) for feed, _ in names], np.int64)
    else:
        table = np.array([code if source is not None else -1 for code, (_, source) in enumerate(names)], np.int64)
    if not len(rows):
        return []
    own = table[scene.facts.columns.source[rows]]
    order = np.argsort(own, kind="stable")
    cuts = np.flatnonzero(np.diff(own[order])) + 1
    return [rows[part] for part in np.split(order, cuts) if own[part[0]] >= 0]


def _gaps(scene: Scene, when: Silence, rows: Rows, by_history: bool) -> list[Candidate]:
    times = scene.facts.time[rows]
    following = np.append(times[1:], np.iinfo(np.int64).max)
    real = following - times > when.during
    due = times + when.during
    over = real & (due >= scene.start) & (due <= scene.at) & (due <= scene.watermark)
    found = []
    for place in np.flatnonzero(over):
        row = _spoke(scene, when, rows, int(place), by_history)
        if scene.here(*scene.place(row)):
            found.append(_candidate(scene, when, row, int(due[place]), True))
    last = int(np.searchsorted(times, scene.at, "right")) - 1
    if not found and last >= 0:
        row = _spoke(scene, when, rows, last, by_history)
        if scene.here(*scene.place(row)):
            found.append(_candidate(scene, when, row, int(due[last]), False))
    return found


def _spoke(scene: Scene, when: Silence, rows: Rows, place: int, by_history: bool) -> int:
    """Of several events of one time, the last that had arrived when the time was up; the first where histories run the rule (`by_history`)."""
    facts = scene.facts
    time = int(facts.time[rows[place]])
    up = time + when.during + scene.plan.delay
    first = int(np.searchsorted(facts.time[rows], time))
    if by_history:
        return int(rows[first])
    same = [int(row) for row in rows[first : place + 1]]
    in_time = [row for row in same if int(facts.ingest[row]) < up]
    return in_time[-1] if in_time else same[0]


def _candidate(scene: Scene, when: Silence, row: int, due: int, ok: bool) -> Candidate:
    quiet = scene.at - int(scene.facts.time[row])
    score = 0.0 if ok else 0.6 if due < scene.start else max(0.05, 1 - quiet / max(when.during, 1))
    learnt = max(due + scene.plan.delay, int(scene.facts.ingest[row]) + 1)
    return at_row(scene, row, ok, score, lambda: _tell(scene, when, row, due, ok), due, learnt)


def _tell(scene: Scene, when: Silence, row: int, due: int, ok: bool) -> Sequence[Clause]:
    facts = scene.facts
    who = facts.names[int(facts.columns.source[row])][0] if when.by == "feed" else facts.source(row)
    last = int(facts.time[row])
    needed = f"longer than {format_span(when.during)}"
    heard = Clause(
        "silence.of",
        HELD,
        f"{who} was last heard at {clock(last)} ({thing(scene, row)})",
        clock(last),
        written(when.of),
        0.0,
        "",
        scene.seen([row]),
    )
    if ok:
        words = f"nothing was heard from {who} for {format_span(when.during)} after that"
        return (heard, Clause("silence.during", HELD, words, needed, needed, 0.0, "s"))
    quiet = min(scene.at, max(scene.watermark, last)) - last
    if due < scene.start:
        words = f"it has been silent since {clock(due)}: that rang then, and rings once"
        return (
            heard,
            Clause("silence.during", FAILED, words, _span(quiet), f"turning silent between {clock(scene.start)} and {clock(scene.at)}"),
        )
    short = max(0, last + when.during - min(scene.at, scene.watermark))
    words = f"{who} was quiet for {_span(quiet)}: {_span(short)} short of {format_span(when.during)}"
    if due <= scene.at:
        words += f" (deadlines wait {format_span(scene.plan.delay)} for late events)"
    return (heard, Clause("silence.during", FAILED, words, _span(quiet), needed, short / 1e6, "s"))


def _declared(scene: Scene, when: Silence, groups: list[Rows]) -> list[Candidate]:
    """Sources known beforehand that were not heard in what was read."""
    heard = set()
    for rows in groups:
        feed, source = scene.facts.names[int(scene.facts.columns.source[rows[0]])]
        heard |= {feed, source, source_words(scene.facts.names, int(scene.facts.columns.source[rows[0]]))}
    found = []
    for name in when.declared:
        if name not in heard and not scene.somewhere:

            def tell(name: str = name) -> Sequence[Clause]:
                words = f"{name} was not heard since {clock(scene.since)}, where what was read begins; whether its silence rang before is not known from that"
                return (Clause("silence.during", UNKNOWN, words, "not heard", f"longer than {format_span(when.during)}"),)

            found.append(Candidate(-1, scene.at, math.nan, math.nan, False, 0.5, tell))
    return found


def _span(us: int) -> str:
    return format_span(us // 1_000_000 * 1_000_000) if us >= 1_000_000 else f"{max(us, 0) / 1e6:g} s"
