"""`cluster`: enough events of enough distinct sources around the anchor, in one window that contains it (SEMANTICS 9).

Usually nothing newer than the anchor is known and the window is [t - T, t]. When the anchor is late, windows that end at a
later known event are tried as well, earliest first. The evidence of a match is a witness: the anchor and, newest first cell by
cell, one event of each further source until the condition holds (every event when the rule counts events). The match
that opens an alert of a thinned rule shows every source of the window, up to the limit of evidence.
"""

from __future__ import annotations

import numpy as np

from .alerts import fire
from .layout import GIVEN_UP, MEMBER, NEVER, NONE, ONE, T_CURSOR, T_FOUND, T_HOT, T_META, T_MORE, T_PATH, T_RULES
from .match import found_anchor
from .memory import kernel, part, view
from .search import LATER, again, begin, next_time, seek

#: Searches one anchor may cost a `min_gap` rule before it is given up and counted.
PATIENCE = 20_000


@kernel
def add(m, n, at, source):
    """Appends an entry of the recent store to the found evidence."""
    f = view(m, T_FOUND)[n]
    f.at, f.source, f.role = at, source, MEMBER


@kernel
def has_source(m, n, source):
    """Whether one of the n found events is of this source."""
    for i in range(n):
        if view(m, T_FOUND)[i].source == source:
            return True
    return False


@kernel
def gather(m, search, lo, hi, spot, sources, events):
    """Collects what lies in the window until there are `sources` sources and `events` events, both including the anchor.
    Returns how many were found, 0 when it is not enough."""
    hot = view(m, T_HOT)
    counting = events > sources
    n, distinct, total = ONE, ONE, ONE
    again(m)
    while distinct < sources or total < events:
        at = seek(m, search, lo, hi, spot)
        if at < 0:
            return 0
        source = np.int64(hot[at].source)
        total += 1
        fresh = not has_source(m, n, source)
        if fresh:
            distinct += 1
        if fresh or (counting and total <= events):
            add(m, n, at, source)
            n += 1
    return n


@part
def latest_other(m, search, lo, hi, anchor, gap, spot, n, before_time, before_at):
    """The newest entry in [lo, hi] of a source not found yet, `gap` away from the anchor and older than the bound."""
    best, best_time = NONE, lo - 1
    again(m)
    while True:
        at = seek(m, search, lo, hi, spot)
        if at < 0:
            return best
        time = view(m, T_HOT)[at].time
        if time < best_time or (time == best_time and at < best) or abs(time - anchor) < gap:
            continue
        if (time < before_time or (time == before_time and at < before_at)) and not has_source(m, n, np.int64(view(m, T_HOT)[at].source)):
            best, best_time = at, time


@kernel
def spaced(m, search, lo, hi, anchor, spot, sources, gap):
    """Looks for `sources` distinct sources in the window whose events are pairwise `gap` apart, trying the newest first and
    going back where that fails. Returns how many were found, 0 when there is no such set."""
    hot, path = view(m, T_HOT), view(m, T_PATH)
    n, patience = ONE, PATIENCE
    path[1].time, path[1].at = NEVER, 0
    while 0 < n < sources:
        top = hi
        if n > 1:
            top = min(hi, hot[view(m, T_FOUND)[n - 1].at].time - gap)
        at = NONE
        if top >= lo:
            at = latest_other(m, search, lo, top, anchor, gap, spot, n, path[n].time, path[n].at)
        patience -= 1
        if patience < 0:
            view(m, T_META)[GIVEN_UP] += 1
            return 0
        if at < 0:
            n -= 1
            continue
        path[n].time, path[n].at = hot[at].time, at
        add(m, n, at, np.int64(hot[at].source))
        n += 1
        path[n].time, path[n].at = NEVER, 0
    return n


@part
def more_events(m, search, lo, hi, spot, n, events):
    """Adds events of the window to n found ones until there are `events`; 0 when there are not."""
    again(m)
    while n < events:
        at = seek(m, search, lo, hi, spot)
        if at < 0:
            return 0
        known = False
        for i in range(1, n):
            known = known or view(m, T_FOUND)[i].at == at
        if not known:
            add(m, n, at, np.int64(view(m, T_HOT)[at].source))
            n += 1
    return n


@kernel
def window_holds(m, rule, lo, hi, event):
    """Whether the condition holds in the window [lo, hi]; the number of found events if so, else 0."""
    r = view(m, T_RULES)[rule]
    if r.min_gap <= 0:
        return gather(m, r.search, lo, hi, event.spot, r.sources, r.events)
    n = spaced(m, r.search, lo, hi, event.time, event.spot, r.sources, r.min_gap)
    if n > 0 and n < r.events:
        n = more_events(m, r.search, lo, hi, event.spot, n, r.events)
    return n


@part
def slide(m, rule, event):
    """Tries windows that end at an event later than the anchor. Returns (how many were found or 0, end of the window)."""
    r = view(m, T_RULES)[rule]
    lo, hi = event.time - r.window, event.time + r.window
    if gather(m, r.search, lo, hi, event.spot, r.sources, r.events) == 0:
        return 0, hi
    end = event.time
    while True:
        end = next_time(m, r.search, end, hi, event.spot)
        if end == NEVER:
            return 0, hi
        n = window_holds(m, rule, end - r.window, end, event)
        if n > 0:
            return n, end


@kernel
def cluster(m, rule, event):
    """An event that passes the selector of a cluster rule arrives."""
    r = view(m, T_RULES)[rule]
    found_anchor(m, event.seq, event.source)
    begin(m, r.search, event.spot)
    end = event.time
    n = window_holds(m, rule, end - r.window, end, event)
    if n == 0 and view(m, T_CURSOR)[LATER] != 0:
        n, end = slide(m, rule, event)
    if n > 0:
        found, more = view(m, T_FOUND), view(m, T_MORE)
        for i in range(1, n):
            found[i].seq = more[found[i].at].seq
        fire(m, rule, event.seq, event.time, event.source, event.spot, n)
