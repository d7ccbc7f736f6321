"""Looking through the recent store: a cursor over what lies in a circle and a span of event time, and questions asked with it."""

from __future__ import annotations

import numpy as np

from .cells import CELL_BITS, apart, cover, head_in, spread_square
from .layout import NONE, T_CELLS, T_CURSOR, T_HEADS, T_HOT, T_KEPT_BITS, T_LANES, T_META, T_MORE, T_NEAR, T_SEARCHES, VISITED, WORDS
from .memory import kernel, part, prefetch, view
from .recent import SECOND, head_of, holds, key_bit, nothing_newer

# the cursor: cell, position, chain, how many cells there are, whether newer entries were passed
CELL, AT, CHAIN, END, LATER = range(5)
MAIN, ASIDE = 0, 1
FETCHED = 16  # heads that are fetched before they are looked at


@kernel
def again(m):
    """Starts the same search again."""
    cursor = view(m, T_CURSOR)
    cursor[CELL] = -1
    cursor[AT] = -1
    cursor[CHAIN] = ASIDE
    cursor[LATER] = 0


@kernel
def fetch_heads(m, search, spot):
    """Brings the heads that a search will look at near, all at once rather than one after the other. A hint, given a search early."""
    s, cells, heads = view(m, T_SEARCHES)[search], view(m, T_CELLS), view(m, T_HEADS)
    lane = s.lane << CELL_BITS
    first, count = cover(m, s.circle, spot)
    for cell in range(first, first + min(count, FETCHED)):
        prefetch(heads, head_of(lane | cells[cell], len(heads) - 1))


@part
def cells_near(m, lane, circle, spot, start):
    """Writes the cells of a lane within a circle that may hold something to `near` from `start` on, and fetches what came last in
    each; returns how many."""
    cells, heads, near, hot = view(m, T_CELLS), view(m, T_HEADS), view(m, T_NEAR), view(m, T_HOT)
    first, count = cover(m, circle, spot)
    n = np.int64(start)
    for cell in range(first, first + count):
        key = lane << CELL_BITS | cells[cell]
        product = spread_square(key)
        head = heads[head_in(product, key, len(heads) - 1)]
        if head.keys & key_bit(product) != 0:
            prefetch(hot, np.int64(head.main))
            near[n].key, near[n].main, near[n].shadow, near[n].newest = key, head.main, head.shadow, head.newest
            n += 1
    return n - start


@kernel
def begin(m, search, spot):
    """Starts a search around `spot`."""
    s = view(m, T_SEARCHES)[search]
    view(m, T_CURSOR)[END] = cells_near(m, s.lane, s.circle, spot, 0)
    again(m)


@kernel
def barren(m, search, lo):
    """Whether the lane of a search holds nothing as new as `lo`."""
    return view(m, T_LANES)[view(m, T_SEARCHES)[search].lane].newest < lo


@kernel
def accepts(m, s, at, spot):
    """Whether an entry of the right lane and time passes the search's threshold, distance and predicate."""
    e = view(m, T_HOT)[at]
    return (
        e.rank >= s.rank
        and apart(e, spot) <= s.limit
        and (s.predicate < 0 or holds(view(m, T_KEPT_BITS), at, view(m, T_META)[WORDS], s.predicate))
    )


@part
def walk_main(m, s, key, at, lo, hi, spot):
    """The next accepted entry of a main chain from `at` on. Entries are in arrival order, so the walk ends only where no
    earlier arrival can be as new as `lo`."""
    hot = view(m, T_HOT)
    visited, later = 0, 0
    while at >= 0:
        e = hot[at]
        visited += 1
        if e.time < lo:
            if nothing_newer(e, lo):
                at = -1
                break
        elif e.time > hi:
            later = 1
        elif e.key == key and accepts(m, s, at, spot):
            break
        at = e.older
    view(m, T_CURSOR)[LATER] |= later
    view(m, T_META)[VISITED] += visited
    return at


@part
def walk_shadow(m, s, key, at, lo, hi, spot):
    """The next accepted entry of a shadow chain: only those whose dominating entry lies after the window."""
    hot, more = view(m, T_HOT), view(m, T_MORE)
    visited = 0
    while at >= 0:
        visited += 1
        if more[at].shade <= hi:
            at = -1
            break
        e = hot[at]
        if more[at].passed > hi and lo <= e.time <= hi and e.key == key and accepts(m, s, at, spot):
            break
        at = e.older
    view(m, T_META)[VISITED] += visited
    return at


@kernel
def seek(m, search, lo, hi, spot):
    """The next entry of the search begun, with event time in [lo, hi]; -1 at the end.

    Cell by cell, in each the main chain and then the shadow chain, newest arrival first: the order does not depend on the
    sizes of the tables.
    """
    cursor, near, s = view(m, T_CURSOR), view(m, T_NEAR), view(m, T_SEARCHES)[search]
    cell, at, chain, end, oldest = cursor[CELL], cursor[AT], cursor[CHAIN], cursor[END], lo // SECOND
    while True:
        if at >= 0:
            if chain == MAIN:
                at = walk_main(m, s, near[cell].key, at, lo, hi, spot)
            else:
                at = walk_shadow(m, s, near[cell].key, at, lo, hi, spot)
            if at >= 0:
                cursor[CELL], cursor[AT], cursor[CHAIN] = cell, view(m, T_HOT)[at].older, chain
                return np.int64(at)
        if chain == MAIN:
            chain, at = ASIDE, near[cell].shadow
            continue
        cell += 1
        if cell >= end:
            cursor[CELL], cursor[AT], cursor[CHAIN] = cell, -1, ASIDE
            return NONE
        if near[cell].newest >= oldest:
            chain, at = MAIN, near[cell].main
