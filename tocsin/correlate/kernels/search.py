"""Looking through the recent store: the cells of a lane that a circle touches and that may hold something, and what a search accepts.

A search goes through these cells and, in each, along the main chain: newest arrival first, until no earlier arrival can be new
enough. `sequence`, `absence` do so directly; for `cluster`, whose rules look at the same places again, `candidates.py`.
"""

from __future__ import annotations

import numpy as np

from .cells import apart, cover, head_in, spread_square
from .layout import CELL_BITS, T_CELLS, T_HEADS, T_HOT, T_KEPT_BITS, T_LANES, T_META, T_NEAR, T_SEARCHES, WORDS
from .memory import kernel, part, prefetch, view
from .recent import head_of, holds, key_bit

FETCHED = 16  # heads that are fetched before they are looked at


@kernel
def fetch_heads(m, search, spot):
    """Brings the heads that a search will look at near, all at once rather than one after the other. A hint, given a search early."""
    s, cells, heads = view(m, T_SEARCHES)[search], view(m, T_CELLS), view(m, T_HEADS)
    lane = s.lane << CELL_BITS
    first, count = cover(m, s.circle, spot)
    for cell in range(first, first + min(count, FETCHED)):
        prefetch(heads, head_of(lane | cells[cell], heads.size - 1))


@kernel
def cells_near(m, lane, circle, spot, start):
    """Writes the cells of a lane within a circle that may hold something to `near` from `start` on, and fetches what came last in
    each; returns how many."""
    cells, heads, near, hot = view(m, T_CELLS), view(m, T_HEADS), view(m, T_NEAR), view(m, T_HOT)
    first, count = cover(m, circle, spot)
    n = np.int64(start)
    for cell in range(first, first + count):
        key = lane << CELL_BITS | cells[cell]
        product = spread_square(key)
        head = heads[head_in(product, key, heads.size - 1)]
        if head.keys & key_bit(product) != 0:
            prefetch(hot, np.int64(head.main))
            near[n].key, near[n].main, near[n].shadow, near[n].newest = key, head.main, head.shadow, head.newest
            n += 1
    return n - start


@kernel
def barren(m, search, lo):
    """Whether the lane of a search holds nothing as new as `lo`."""
    return view(m, T_LANES)[view(m, T_SEARCHES)[search].lane].newest < lo


@part
def accepts(m, s, at, e, spot):
    """Whether an entry of the right lane and time passes the search's threshold, distance and predicate."""
    return (
        e.rank >= s.rank
        and apart(e, spot) <= s.limit
        and (s.predicate < 0 or holds(view(m, T_KEPT_BITS), at, view(m, T_META)[WORDS], s.predicate))
    )
