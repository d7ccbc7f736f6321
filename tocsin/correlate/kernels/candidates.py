"""What lies around an event in a lane, looked up once for all `cluster` rules that look there.

A scan is as wide as the widest of its rules: largest radius, longest window on both sides of the event, lowest threshold. What it
finds is read a page at a time, as far as a rule needs it, and every rule takes from it what it accepts itself. The
order is that of a search: cell by cell, in each the main chain and then the shadow chain, newest arrival first.
"""

from __future__ import annotations

import numpy as np

from .cells import apart
from .layout import (
    CELLS_MAX,
    NEVER,
    NONE,
    SCANS_MAX,
    T_CANDIDATES,
    T_HOT,
    T_KEPT_BITS,
    T_LANES,
    T_META,
    T_MORE,
    T_NEAR,
    T_SCANS,
    VISITED,
    WORDS,
)
from .memory import kernel, part, view
from .recent import SECOND, holds, nothing_newer
from .search import cells_near

MAIN, ASIDE = 0, 1  # chains
READ = 4  # candidates that are read at once


@kernel
def page_size(m):
    """How many candidates of one scan are kept."""
    return view(m, T_CANDIDATES).size // SCANS_MAX


@kernel
def scan(m, number, event):
    """Begins to look at what is around an event; what was read for another rule of the event is there already. Returns the position before
    the first candidate."""
    s = view(m, T_SCANS)[number]
    before = page_size(m) * s.place - 1
    if s.event == event.seq and s.page == 0:
        return before
    s.event, s.page, s.n, s.cell, s.at, s.chain, s.near, s.done = event.seq, 0, 0, -1, -1, ASIDE, 0, 0
    if view(m, T_LANES)[s.lane].newest < event.time - s.span:
        s.done = 1
    else:
        s.near = cells_near(m, s.lane, s.circle, event.spot, (s.place + 1) * CELLS_MAX)
    return before


@part
def following(m, number, event, at):
    """The position of the candidate after the one at `at`, -1 at the end. Positions hold until the page is turned."""
    s = view(m, T_SCANS)[number]
    at += 1
    if at < page_size(m) * s.place + s.n:
        return at
    return read_on(m, number, event)


@kernel
def read_on(m, number, event):
    """Reads some more candidates, on a new page when this one is full. Returns the position of the first of them, -1 when there are none."""
    s, size = view(m, T_SCANS)[number], page_size(m)
    if s.done != 0:
        return NONE
    if s.n == size:
        s.n, s.page = 0, s.page + 1
    first = s.n
    end = min(size, first + READ)
    while s.n < end and s.done == 0:
        if s.at < 0:
            turn(m, s, event.time - s.span)
        elif s.chain == MAIN:
            read_main(m, s, event, end)
        else:
            read_shadow(m, s, event, end)
    return size * s.place + first if s.n > first else NONE


@part
def turn(m, s, lo):
    """Goes on to the next chain: from a main chain to the shadow chain beside it, from there to the next cell."""
    near, base = view(m, T_NEAR), (s.place + 1) * CELLS_MAX
    if s.chain == MAIN:
        s.chain, s.at = ASIDE, near[base + s.cell].shadow
        return
    s.cell += 1
    while s.cell < s.near and near[base + s.cell].newest < lo // SECOND:
        s.cell += 1
    if s.cell >= s.near:
        s.done = 1
    else:
        s.chain, s.at = MAIN, near[base + s.cell].main


@part
def take_down(m, s, at, e, passed, event):
    """Adds an entry to the candidates if some rule of the scan may accept it."""
    square = apart(e, event.spot)
    if e.rank >= s.rank and square <= s.limit:
        c = view(m, T_CANDIDATES)[page_size(m) * s.place + s.n]
        c.time, c.passed, c.square, c.at, c.source, c.rank = e.time, passed, square, at, e.source, e.rank
        s.n += 1


@part
def read_main(m, s, event, end):
    """Goes along a main chain, which ends where no earlier arrival can be new enough."""
    hot, at, key, visited = view(m, T_HOT), s.at, view(m, T_NEAR)[(s.place + 1) * CELLS_MAX + s.cell].key, 0
    lo, hi = event.time - s.span, event.time + s.span
    while at >= 0 and s.n < end:
        e = hot[at]
        visited += 1
        if e.time < lo:
            if nothing_newer(e, lo):
                at = NONE
                break
        elif e.time <= hi and e.key == key:
            take_down(m, s, at, e, NEVER, event)
        at = np.int64(e.older)
    s.at = at
    view(m, T_META)[VISITED] += visited


@part
def read_shadow(m, s, event, end):
    """Goes along a shadow chain: only what is dominated by something later than the event can matter."""
    hot, more, at, key, visited = view(m, T_HOT), view(m, T_MORE), s.at, view(m, T_NEAR)[(s.place + 1) * CELLS_MAX + s.cell].key, 0
    lo, hi = event.time - s.span, event.time + s.span
    while at >= 0 and s.n < end:
        visited += 1
        if more[at].shade <= event.time:
            at = NONE
            break
        e, passed = hot[at], more[at].passed
        if passed > event.time and lo <= e.time <= hi and e.key == key:
            take_down(m, s, at, e, passed, event)
        at = np.int64(e.older)
    s.at = at
    view(m, T_META)[VISITED] += visited


@part
def counts(m, search, candidate, lo, hi):
    """Whether a candidate lies in the window [lo, hi] and passes the search's threshold, distance and predicate; a dominated one counts
    only where what dominates it lies after the window."""
    return (
        lo <= candidate.time <= hi
        and candidate.passed > hi
        and candidate.square <= search.limit
        and candidate.rank >= search.rank
        and (search.predicate < 0 or holds(view(m, T_KEPT_BITS), np.int64(candidate.at), view(m, T_META)[WORDS], search.predicate))
    )
