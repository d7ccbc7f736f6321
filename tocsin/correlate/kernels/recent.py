"""The recent store: events that later ones may look for, in arrival order, chained per lane and cell.

A lane is what one search looks through: a channel at one level of the grid. An event is stored once in every lane it may be
found in, and evaluated before it is stored, so it never matches itself. Chains run newest first from hashed heads; the
key of an entry is its lane, row and column, so entries that merely share a head are told apart. A head knows the newest event
time (in whole seconds) and a bit for each key of its chains, so that most cells are passed without looking at an entry.

Coalescing. In a lane that only counts distinct sources, an entry is dominated by a later one of the same source at exactly the
same place with an event time not earlier, passing at least the same thresholds and predicates: whenever the old one lies in a
window that reaches past the new one's time, so does the new one. Dominated entries leave the main chain, but an anchor whose
window ends before the new one's time (a late anchor) still needs them, so they move to a shadow chain. Each move records the
newest dominating time so far in that chain (`shade`): a search walks the shadow chain only until `shade` <= the end of its
window, because everything further back was dominated inside that window.
"""

from __future__ import annotations

import numpy as np

from .cells import cell_of, head_in, mix, spread_square
from .layout import (
    CELL_BITS,
    CLOCK,
    DEAD,
    ENTRIES,
    LATENESS,
    LIVE,
    LONG_AGO,
    NEVER,
    NEWEST,
    NONE,
    OVERWRITTEN,
    ROOT,
    SHADOW,
    STORED,
    T_HEADS,
    T_HEAP,
    T_HOT,
    T_KEPT_BITS,
    T_LANE_BITS,
    T_LANES,
    T_LATEST,
    T_META,
    T_MORE,
    T_RANKS,
    TIMERS,
    TOP_TIME,
    WORDS,
)
from .memory import kernel, part, view

SECOND = 1_000_000
LAG_BITS = 10  # `lag` of an entry: how much newer than it the newest event time stored up to it is, in 1024 µs, rounded up
LAG_MAX = (1 << 31) - 1  # 25 days and more


@kernel
def holds(bits, row, words, predicate):
    """Whether an event passed a predicate; -1 asks for none."""
    return predicate < 0 or (bits[row * words + (predicate >> 6)] >> np.uint64(predicate & 63)) & np.uint64(1) != 0


@kernel
def key_bit(product):
    """One of 32 bits for a spread key: a head holds those of all its entries."""
    return np.int64(1) << np.int64(product >> np.uint64(59))


@kernel
def head_of(key, mask):
    """The head of a key."""
    return head_in(spread_square(key), key, mask)


@kernel
def link(m, at):
    """Puts an entry at the head of its chain."""
    hot, heads = view(m, T_HOT), view(m, T_HEADS)
    product = spread_square(hot[at].key)
    head = head_in(product, hot[at].key, heads.size - 1)
    older = heads[head].main
    hot[at].older = older
    hot[at].newer = -1
    if older >= 0:
        hot[older].newer = at
    heads[head].main = at
    heads[head].newest = max(np.int64(heads[head].newest), hot[at].time // SECOND)
    heads[head].keys |= key_bit(product)


@kernel
def unlink(m, at):
    """Takes a live entry out of its main chain."""
    hot, heads = view(m, T_HOT), view(m, T_HEADS)
    older, newer = np.int64(hot[at].older), np.int64(hot[at].newer)
    if newer >= 0:
        hot[newer].older = older
    else:
        heads[head_of(hot[at].key, heads.size - 1)].main = older
    if older >= 0:
        hot[older].newer = newer


@kernel
def overshadow(m, at, by):
    """Moves a live entry to the shadow chain: the entry `by` dominates it."""
    hot, more, heads = view(m, T_HOT), view(m, T_MORE), view(m, T_HEADS)
    unlink(m, at)
    head = head_of(hot[at].key, heads.size - 1)
    before = heads[head].shadow
    passed = hot[by].time
    hot[at].state = SHADOW
    hot[at].older = before
    more[at].passed = passed
    more[at].shade = passed if before < 0 else max(passed, more[before].shade)
    heads[head].shadow = at


@kernel
def newest_key(entry):
    """The key of an entry's (lane, source) in the table of newest entries."""
    return entry.key >> CELL_BITS << 32 | np.int64(entry.source) + 1


@kernel
def newest_slot(latest, key):
    """Where the newest entry of a (lane, source) is or belongs; the table is at most half full."""
    mask = latest.size - 1
    slot = mix(key, mask)
    while latest[slot].key != key and latest[slot].key >= 0:
        slot = (slot + 1) & mask
    return slot


@kernel
def becomes_newest(m, at):
    """Makes an entry the newest of its (lane, source) by event time. Returns the one before, -1 when there was none, or `at`
    itself when the entry is late and changes nothing.

    By event time, because the newest then also is the last to be forgotten: what is coalesced must not depend on when the
    store was last compacted.
    """
    latest, hot = view(m, T_LATEST), view(m, T_HOT)
    key = newest_key(hot[at])
    slot = newest_slot(latest, key)
    before = NONE
    if latest[slot].key == key:
        before = latest[slot].at
        if hot[before].time > hot[at].time:
            return at
    else:
        view(m, T_META)[NEWEST] += 1
    latest[slot].key, latest[slot].at = key, at
    return before


@part
def dominates(m, new, old):
    """Whether `new` makes `old` superfluous: lane and source are the same and `new` is not earlier."""
    a, b = view(m, T_HOT)[new], view(m, T_HOT)[old]
    if b.state != LIVE or a.rank < b.rank or a.x != b.x or a.y != b.y or a.z != b.z:
        return False
    lane = a.key >> CELL_BITS
    if view(m, T_LANES)[lane].asks != 0:
        bits, asked, words = view(m, T_KEPT_BITS), view(m, T_LANE_BITS), view(m, T_META)[WORDS]
        for word in range(words):
            if bits[old * words + word] & ~bits[new * words + word] & asked[lane * words + word] != 0:
                return False
    return True


@part
def coalesce(m, at):
    """Lets a new entry dominate the newest earlier one of its source."""
    before = becomes_newest(m, at)
    if 0 <= before < at and dominates(m, at, before):
        overshadow(m, before, at)
        view(m, T_MORE)[at].over = before


@kernel
def store(m, lane, event, rank, bits):
    """Appends an event to a lane; returns its position. `bits[event.row]` are its predicates. The caller has seen to the room."""
    meta, spec, more = view(m, T_META), view(m, T_LANES)[lane], view(m, T_MORE)
    at = meta[STORED]
    meta[STORED] = at + 1
    meta[ENTRIES] += 1
    meta[TOP_TIME] = max(meta[TOP_TIME], event.time)
    spec.newest = max(spec.newest, event.time)
    e = view(m, T_HOT)[at]
    e.time, e.x, e.y, e.z = event.time, event.spot.x, event.spot.y, event.spot.z
    e.key = lane << CELL_BITS | cell_of(m, spec.level, event.spot)
    e.rank, e.source, e.state = rank, event.source, LIVE
    e.lag = min((meta[TOP_TIME] - event.time >> LAG_BITS) + 1, LAG_MAX)
    more[at].seq, more[at].passed, more[at].shade = event.seq, NEVER, LONG_AGO
    more[at].expires = event.time + spec.keep + meta[LATENESS]
    more[at].over = -1
    if spec.asks != 0:
        words, kept = meta[WORDS], view(m, T_KEPT_BITS)
        for word in range(words):
            kept[at * words + word] = bits[event.row * words + word]
    link(m, at)
    if spec.coalesce != 0:
        coalesce(m, at)
    return at


@kernel
def nothing_newer(entry, lo):
    """Whether no entry that arrived before this one has an event time of `lo` or later."""
    return entry.lag < LAG_MAX and entry.time + (np.int64(entry.lag) << LAG_BITS) < lo


@part
def rank_of(m, lane, value):
    """How many of the lane's thresholds the value reaches, less one: what a search compares instead of the value."""
    ranks, spec = view(m, T_RANKS), view(m, T_LANES)[lane]
    n = spec.rank
    while n < spec.rank_end and ranks[n] <= value:
        n += 1
    return n - spec.rank - 1


@part
def wanted(m, lane, bits, row):
    """Whether some search of the lane could accept these predicate bits."""
    if view(m, T_LANES)[lane].open:
        return True
    asked, words = view(m, T_LANE_BITS), view(m, T_META)[WORDS]
    for word in range(words):
        if bits[row * words + word] & asked[lane * words + word] != 0:
            return True
    return False


@kernel
def relink(m):
    """Builds all chains and the table of newest entries from the entries alone, as if they arrived again in their order."""
    hot, more, heads, latest = view(m, T_HOT), view(m, T_MORE), view(m, T_HEADS), view(m, T_LATEST)
    lanes = view(m, T_LANES)
    view(m, T_META)[NEWEST] = 0
    for i in range(heads.size):
        heads[i].main, heads[i].shadow, heads[i].newest, heads[i].keys = -1, -1, 0, 0
    for i in range(latest.size):
        latest[i].key = -1
    for i in range(lanes.size):
        lanes[i].newest = LONG_AGO
    for at in range(view(m, T_META)[STORED]):
        e = hot[at]
        if e.state == DEAD:
            continue
        e.state = LIVE
        more[at].passed, more[at].shade = NEVER, LONG_AGO
        link(m, at)
        lane = lanes[e.key >> CELL_BITS]
        lane.newest = max(lane.newest, e.time)
        over = more[at].over
        if over >= 0 and hot[over].state == LIVE:
            overshadow(m, over, at)
        if lane.coalesce != 0:
            becomes_newest(m, np.int64(at))


@kernel
def decided_until(m):
    """The clock up to which windows are decided: a deadline that is being decided still asks about its own."""
    meta = view(m, T_META)
    return min(meta[CLOCK], view(m, T_HEAP)[ROOT].deadline) if meta[TIMERS] > 0 else meta[CLOCK]


@kernel
def living(m):
    """How many entries some window can still reach."""
    hot, more, now = view(m, T_HOT), view(m, T_MORE), decided_until(m)
    n = 0
    for at in range(view(m, T_META)[STORED]):
        n += hot[at].state != DEAD and more[at].expires >= now
    return n


@kernel
def compact(m, moved, drop):
    """Forgets entries that no window can reach any more, and the oldest `drop` entries even if one could (counted).

    Keeps the order; `moved` is working memory as long as the store. Returns how many entries are left. The caller links them again.
    """
    meta, hot, more = view(m, T_META), view(m, T_HOT), view(m, T_MORE)
    bits, words, now = view(m, T_KEPT_BITS), meta[WORDS], decided_until(m)
    n = 0
    for at in range(meta[STORED]):
        moved[at] = -1
        if hot[at].state == DEAD or more[at].expires < now:
            continue
        if at < drop:
            meta[OVERWRITTEN] += 1
            continue
        moved[at] = n
        if n != at:
            hot[n] = hot[at]
            more[n] = more[at]
            for word in range(words):
                bits[n * words + word] = bits[at * words + word]
        if more[n].over >= 0:
            more[n].over = moved[more[n].over]
        n += 1
    meta[STORED] = n
    return n


@kernel
def bury(m, seqs):
    """Kills the entries of withdrawn events (`seqs` ascending); what only they dominated counts again."""
    meta, hot, more = view(m, T_META), view(m, T_HOT), view(m, T_MORE)
    killed = 0
    for at in range(meta[STORED]):
        i = np.searchsorted(seqs, more[at].seq)
        if i < seqs.size and seqs[i] == more[at].seq and hot[at].state != DEAD:
            hot[at].state = DEAD
            killed += 1
    if killed == 0:
        return 0
    for at in range(meta[STORED]):  # what a dead entry dominated falls to its own dominator
        while more[at].over >= 0 and hot[more[at].over].state == DEAD:
            more[at].over = more[more[at].over].over
    relink(m)
    return killed
