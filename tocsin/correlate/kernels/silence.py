"""`silence`: nothing heard from a source or a feed for longer than T, by event time (SEMANTICS 12).

What was heard is kept as runs: spans of event time without a gap longer than T. A gap after a run is real when the watermark has
passed its end + T and nothing heard lies in between - even when a newer event is already known, which is then the next run.
An event that arrives late extends, joins or makes runs; when it falls into a gap that has fired, the alert is taken back.
Runs older than lateness are forgotten.
"""

from __future__ import annotations

from .alerts import fire, take_back
from .cells import NOWHERE, spot_at
from .layout import (
    DECIDED,
    LATENESS,
    NONE,
    ONE,
    RUNS_FREE,
    RUNS_LIVE,
    RUNS_TOP,
    T_META,
    T_RUNS,
    T_WATCHED,
    T_WATCHES,
    UNDECIDED,
    WATCHED,
    ZERO,
)  # fmt: skip
from .match import found_anchor, slot_of
from .memory import kernel, part, view
from .timers import set_timer


@part
def watch_key(subject, watch):
    """The key of a (watch, subject)."""
    return subject << 24 | watch


@kernel
def watched(m, watch, subject):
    """The state of a (watch, subject), made when it is not there yet."""
    states = view(m, T_WATCHED)
    key = watch_key(subject, watch)
    at = slot_of(states, key)
    if states[at].key < 0:
        view(m, T_META)[WATCHED] += 1
        states[at].key, states[at].first, states[at].last = key, -1, -1
    return at


@kernel
def voice(run, time, seq, spot):
    """The newest event of a run."""
    run.end, run.seq = time, seq
    run.placed = 0
    if spot.known:
        run.x, run.y, run.z, run.placed = spot.x, spot.y, spot.z, 1


@kernel
def arm(m, at):
    """Sets a timer for the end of the gap that would follow the run as it is now."""
    run = view(m, T_RUNS)[at]
    run.timers += 1
    set_timer(m, run.end + view(m, T_WATCHES)[run.watch].window, -1 - at)


@kernel
def new_run(m, watch, subject, before, time, seq, spot):
    """Puts a run of one event behind the run `before` (-1: in front of all)."""
    meta, runs = view(m, T_META), view(m, T_RUNS)
    meta[RUNS_LIVE] += 1
    at = meta[RUNS_FREE]
    if at >= 0:
        meta[RUNS_FREE] = runs[at].next
    else:
        at = meta[RUNS_TOP]
        meta[RUNS_TOP] = at + 1
    run = runs[at]
    run.start, run.group, run.slot, run.watch, run.subject = time, UNDECIDED, -1, watch, subject
    run.timers, run.alive, run.prev = 0, 1, before
    voice(run, time, seq, spot)
    w = view(m, T_WATCHED)[watched(m, watch, subject)]
    run.next = runs[before].next if before >= 0 else w.first
    if before >= 0:
        runs[before].next = at
    else:
        w.first = at
    if run.next >= 0:
        runs[run.next].prev = at
    else:
        w.last = at
    arm(m, at)
    return at


@kernel
def remove_run(m, at):
    """Takes a run out of its list; its place is free again once its timers have run off."""
    runs = view(m, T_RUNS)
    run = runs[at]
    w = view(m, T_WATCHED)[watched(m, run.watch, run.subject)]
    if run.prev >= 0:
        runs[run.prev].next = run.next
    else:
        w.first = run.next
    if run.next >= 0:
        runs[run.next].prev = run.prev
    else:
        w.last = run.prev
    run.alive = 0
    if run.timers == 0:
        free_run(m, at)


@kernel
def free_run(m, at):
    """Gives the place of a run back."""
    view(m, T_RUNS)[at].next = view(m, T_META)[RUNS_FREE]
    view(m, T_META)[RUNS_FREE] = at
    view(m, T_META)[RUNS_LIVE] -= 1


@kernel
def heard(m, watch, subject, event):
    """An event of a watched source or feed."""
    runs = view(m, T_RUNS)
    window = view(m, T_WATCHES)[watch].window
    at = view(m, T_WATCHED)[watched(m, watch, subject)].last
    while at >= 0 and runs[at].start > event.time:
        at = runs[at].prev
    if at >= 0 and event.time - runs[at].end <= window:
        if event.time >= runs[at].end:
            extend(m, at, event)
    else:
        at = new_run(m, watch, subject, at, event.time, event.seq, event.spot)
    after = runs[at].next
    if after >= 0 and runs[after].start - runs[at].end <= window:
        merge(m, at, after)


@part
def extend(m, at, event):
    """A run goes on; an alert about the gap after it was wrong."""
    run = view(m, T_RUNS)[at]
    longer, anchor = event.time > run.end, run.seq
    voice(run, event.time, event.seq, event.spot)
    if run.group == UNDECIDED or not longer:
        return
    if run.group >= 0:
        take_back(m, view(m, T_WATCHES)[run.watch].rule, run.group, run.slot, event.seq, event.time, event.source, anchor)
    run.group = UNDECIDED
    arm(m, at)


@part
def merge(m, at, after):
    """The gap between two runs has closed: they go on as the later one."""
    runs = view(m, T_RUNS)
    runs[after].start = runs[at].start
    remove_run(m, at)


@part
def rang(m, at, deadline):
    """A timer of a run has run off. Timers are not moved when a run grows: one that comes too early is set again."""
    run = view(m, T_RUNS)[at]
    run.timers -= 1
    if not run.alive:
        if run.timers == 0:
            free_run(m, at)
        return
    due = run.end + view(m, T_WATCHES)[run.watch].window
    if run.group != UNDECIDED:
        if deadline == due + view(m, T_META)[LATENESS]:
            remove_run(m, at)
    elif deadline < due:
        arm(m, at)
    elif deadline == due:
        silent(m, at, due)


@part
def silent(m, at, deadline):
    """The gap after a run is real. The run is kept until no late event can fall into the gap."""
    run = view(m, T_RUNS)[at]
    found_anchor(m, run.seq, run.subject)
    spot = spot_at(run.x, run.y, run.z) if run.placed == 1 else NOWHERE
    rule = view(m, T_WATCHES)[run.watch].rule
    number, slot = fire(m, rule, run.seq, deadline, run.subject, spot, ZERO if run.seq < 0 else ONE)
    run.group = number if number >= 0 else DECIDED
    run.slot = slot
    run.timers += 1
    set_timer(m, deadline + view(m, T_META)[LATENESS], -1 - at)


@part
def declare(m, watch, subject, clock):
    """A subject known beforehand starts now, as if heard."""
    if view(m, T_WATCHED)[watched(m, watch, subject)].first < 0:
        new_run(m, watch, subject, NONE, clock, NONE, NOWHERE)
