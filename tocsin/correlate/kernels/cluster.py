"""`cluster`: enough events of enough distinct sources around the anchor, in one window that contains it (SEMANTICS 9).

Usually nothing newer than the anchor is known and the window is [t - T, t]. When the anchor is late, windows that end at a
later known event are tried as well, earliest first. The evidence of a match is a witness: the anchor and, newest first cell by
cell, one event of each further source until the condition holds (every event when the rule counts events). The match
that opens an alert of a thinned rule shows every source of the window, up to the limit of evidence.
"""

from __future__ import annotations

import numpy as np

from .alerts import fire
from .candidates import counts, following, scan
from .layout import GIVEN_UP, MEMBER, NEVER, NONE, ONE, T_CANDIDATES, T_FOUND, T_META, T_MORE, T_PATH, T_RULES, T_SEARCHES, ZERO
from .match import found_anchor
from .memory import kernel, part, prefetch, view

#: Searches one anchor may cost a `min_gap` rule before it is given up and counted.
PATIENCE = 20_000


@kernel
def add(m, n, at, time, source):
    """Appends an entry of the recent store to the found evidence."""
    f = view(m, T_FOUND)[n]
    f.at, f.time, f.source, f.role = at, time, source, MEMBER
    prefetch(view(m, T_MORE), at)


@kernel
def has_source(m, n, source):
    """Whether one of the n found events is of this source."""
    for i in range(n):
        if view(m, T_FOUND)[i].source == source:
            return True
    return False


@kernel
def gather(m, r, lo, hi, event):
    """Collects what lies in the window until there are enough sources and events, both including the anchor.
    Returns how many were found, 0 when it is not enough; then as the second value, whether that and what lies up to a window after
    it could be enough (negative when it could not)."""
    candidates, search = view(m, T_CANDIDATES), view(m, T_SEARCHES)[r.search]
    counting = r.events > r.sources
    n, distinct, total, later = ONE, ONE, ONE, ZERO
    i = scan(m, r.scan, event)
    while distinct < r.sources or total < r.events:
        i = following(m, r.scan, event, i)
        if i < 0:
            return 0, min(distinct + later - r.sources, total + later - r.events)
        c = candidates[i]
        if not counts(m, search, c, lo, hi):
            if hi < c.time <= hi + r.window and c.square <= search.limit:
                later += 1
            continue
        total += 1
        source = np.int64(c.source)
        fresh = not has_source(m, n, source)
        if fresh:
            distinct += 1
        if fresh or (counting and total <= r.events):
            add(m, n, np.int64(c.at), c.time, source)
            n += 1
    return n, ZERO


@part
def latest_other(m, r, lo, hi, event, n, before_time, before_at):
    """The newest candidate in [lo, hi] of a source not found yet, `min_gap` away from the anchor and older than the bound, as (position
    in the recent store or -1, its time, its source)."""
    candidates, search = view(m, T_CANDIDATES), view(m, T_SEARCHES)[r.search]
    best, best_time, best_source = NONE, lo - 1, NONE
    i = scan(m, r.scan, event)
    while True:
        i = following(m, r.scan, event, i)
        if i < 0:
            return best, best_time, best_source
        c = candidates[i]
        at, source = np.int64(c.at), np.int64(c.source)
        if c.time < best_time or (c.time == best_time and at < best) or abs(c.time - event.time) < r.min_gap:
            continue
        if (
            (c.time < before_time or (c.time == before_time and at < before_at))
            and counts(m, search, c, lo, hi)
            and not has_source(m, n, source)
        ):
            best, best_time, best_source = at, c.time, source


@kernel
def spaced(m, r, lo, hi, event):
    """Looks for enough distinct sources in the window whose events are pairwise `min_gap` apart, trying the newest first and
    going back where that fails. Returns how many were found, 0 when there is no such set."""
    path, found = view(m, T_PATH), view(m, T_FOUND)
    n, patience = ONE, PATIENCE
    path[1].time, path[1].at = NEVER, 0
    while 0 < n < r.sources:
        top = hi
        if n > 1:
            top = min(hi, found[n - 1].time - r.min_gap)
        at, time, source = NONE, top, NONE
        if top >= lo:
            at, time, source = latest_other(m, r, lo, top, event, n, path[n].time, path[n].at)
        patience -= 1
        if patience < 0:
            view(m, T_META)[GIVEN_UP] += 1
            return 0
        if at < 0:
            n -= 1
            continue
        path[n].time, path[n].at = time, at
        add(m, n, at, time, source)
        n += 1
        path[n].time, path[n].at = NEVER, 0
    return n


@part
def more_events(m, r, lo, hi, event, n):
    """Adds events of the window to n found ones until there are enough; 0 when there are not."""
    candidates, search = view(m, T_CANDIDATES), view(m, T_SEARCHES)[r.search]
    i = scan(m, r.scan, event)
    while n < r.events:
        i = following(m, r.scan, event, i)
        if i < 0:
            return 0
        c = candidates[i]
        if not counts(m, search, c, lo, hi):
            continue
        known = False
        for j in range(1, n):
            known = known or view(m, T_FOUND)[j].at == c.at
        if not known:
            add(m, n, np.int64(c.at), c.time, np.int64(c.source))
            n += 1
    return n


@kernel
def window_holds(m, rule, lo, hi, event):
    """Whether the condition holds in the window [lo, hi]: the number of found events if so, else 0; and whether it is worth while to
    look at later windows (not negative)."""
    r = view(m, T_RULES)[rule]
    if r.min_gap <= 0:
        return gather(m, r, lo, hi, event)
    n = spaced(m, r, lo, hi, event)
    if n > 0 and n < r.events:
        n = more_events(m, r, lo, hi, event, n)
    return n, ZERO


@part
def next_end(m, r, after, hi, event):
    """The earliest time in (after, hi] of something the rule accepts, NEVER when there is none. Whatever is dominated by something in the
    window would not end it earlier than that something does."""
    candidates, search = view(m, T_CANDIDATES), view(m, T_SEARCHES)[r.search]
    best = NEVER
    i = scan(m, r.scan, event)
    while True:
        i = following(m, r.scan, event, i)
        if i < 0:
            return best
        c = candidates[i]
        if after < c.time < best and counts(m, search, c, after + 1, min(hi, best)):
            best = c.time


@part
def slide(m, rule, event):
    """Tries windows that end at an event later than the anchor. Returns (how many were found or 0, end of the window)."""
    r = view(m, T_RULES)[rule]
    hi = event.time + r.window
    end = next_end(m, r, event.time, hi, event)
    if end == NEVER or gather(m, r, event.time - r.window, hi, event)[0] == 0:
        return 0, hi
    while end != NEVER:
        n, _ = window_holds(m, rule, end - r.window, end, event)
        if n > 0:
            return n, end
        end = next_end(m, r, end, hi, event)
    return 0, hi


@kernel
def cluster(m, rule, event):
    """An event that passes the selector of a cluster rule arrives."""
    r = view(m, T_RULES)[rule]
    found_anchor(m, event.seq, event.source)
    end = event.time
    n, short = window_holds(m, rule, end - r.window, end, event)
    if n == 0 and short >= 0:
        n, end = slide(m, rule, event)
    if n > 0:
        found, more = view(m, T_FOUND), view(m, T_MORE)
        for i in range(1, n):
            found[i].seq = more[found[i].at].seq
        fire(m, rule, event.seq, event.time, event.source, event.spot, n)
