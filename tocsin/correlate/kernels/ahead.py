"""What the events to come will need, brought near while those before them are worked on.

Most events are looked at by no rule, and those that are find their state scattered over tables larger than the processor's caches.
So a batch is gone through in two steps: the rows that matter are picked, without a branch that could be guessed wrong; then each is
approached some events before its turn - its columns read, its place worked out, and the heads and states it begins with fetched.
"""

from __future__ import annotations

import numpy as np

from .cells import locate, mix
from .layout import (
    PICKED,
    T_CHANNELS,
    T_HOT,
    T_KIND,
    T_KINDS,
    T_LANES,
    T_LAT,
    T_LATEST,
    T_LISTENS,
    T_LON,
    T_PICKED,
    T_PLACES,
    T_ROLES,
    T_RUNS,
    T_SEQ,
    T_SOURCE,
    T_TIME,
    T_TRACK_STATES,
    T_VALUE,
    T_WATCHED,
    Spot,
)
from .match import slot_of, track_key
from .memory import kernel, part, prefetch, view
from .recent import newest_slot
from .search import fetch_heads
from .silence import watch_key

AHEAD = 8  # events: how far ahead they are approached; a power of two
AHEAD_MASK = AHEAD * 2 - 1
HALF_WAY = AHEAD // 2  # by then what was fetched first is there
STRETCH = 64  # rows that are looked at before the columns of those picked are fetched


@kernel
def pick(m, row):
    """Picks the rows from `row` on that some rule looks at, as many as there is room for, and fetches their columns where they lie too far
    apart for the processor to see them coming. Returns how many, and the row to go on from."""
    kinds, kind, value, picked = view(m, T_KINDS), view(m, T_KIND), view(m, T_VALUE), view(m, T_PICKED)
    n, rows = np.int64(0), kind.size
    while row < rows and n <= PICKED - STRETCH:
        first, end = n, min(row + STRETCH, rows)
        for at in range(row, end):
            picked[n] = at
            n += 0 if value[at] < kinds[kind[at]].low else 1
        row = end
        if n - first < STRETCH // 4:
            for i in range(first, n):
                fetch_columns(m, picked[i])
    return n, row


@part
def fetch_columns(m, row):
    """Brings what an event says near."""
    prefetch(view(m, T_TIME), row)
    prefetch(view(m, T_SEQ), row)
    prefetch(view(m, T_SOURCE), row)
    prefetch(view(m, T_LON), row)
    prefetch(view(m, T_LAT), row)


@part
def approach(m, i):
    """The picked row at `i` comes into sight: fetches the states of its source, and what it looks at when it needs its place."""
    row, kinds, sources = view(m, T_PICKED)[i], view(m, T_KINDS), view(m, T_SOURCE)
    kind, value = kinds[view(m, T_KIND)[row]], view(m, T_VALUE)[row]
    if kind.series >= 0:
        states = view(m, T_TRACK_STATES)
        prefetch(states, mix(track_key(np.int64(sources[row]), kind.series), states.size - 1))
    if kind.watch >= 0:
        watched = view(m, T_WATCHED)
        prefetch(watched, mix(watch_key(np.int64(sources[row]), kind.watch), watched.size - 1))
        if i >= HALF_WAY:
            fetch_run(m, view(m, T_PICKED)[i - HALF_WAY])
    if value >= kind.near or kind.near == -np.inf:
        place(m, i & AHEAD_MASK, row)
        if i >= HALF_WAY:
            fetch_before(m, view(m, T_PICKED)[i - HALF_WAY])


@kernel
def fetch_run(m, row):
    """Brings the newest run of an event's source near, once its state is."""
    watched, watch = view(m, T_WATCHED), view(m, T_KINDS)[view(m, T_KIND)[row]].watch
    if watch >= 0:
        state = watched[slot_of(watched, watch_key(np.int64(view(m, T_SOURCE)[row]), watch))]
        if state.key >= 0:
            prefetch(view(m, T_RUNS), state.last)


@kernel
def fetch_before(m, row):
    """Brings the newest entry of an event's source near, in every lane where the event may dominate it."""
    kind, value, source = view(m, T_KINDS)[view(m, T_KIND)[row]], view(m, T_VALUE)[row], np.int64(view(m, T_SOURCE)[row])
    if value < kind.near:
        return
    channels, listens, lanes, latest = view(m, T_CHANNELS), view(m, T_LISTENS), view(m, T_LANES), view(m, T_LATEST)
    for j in range(kind.first, kind.last):
        c = channels[listens[j]]
        for lane in range(c.lane, c.lane_end):
            if lanes[lane].coalesce != 0:
                key = lane << 32 | source + 1
                slot = newest_slot(latest, key)
                if latest[slot].key == key:
                    prefetch(view(m, T_HOT), latest[slot].at)


@kernel
def place(m, at, row):
    """Works out where an event is, and fetches the heads that the first search of each channel will look at."""
    spot, kind, value = locate(view(m, T_LON)[row], view(m, T_LAT)[row]), view(m, T_KINDS)[view(m, T_KIND)[row]], view(m, T_VALUE)[row]
    p = view(m, T_PLACES)[at]
    p.x, p.y, p.z, p.across, p.latitude, p.turn, p.known = spot.x, spot.y, spot.z, spot.across, spot.latitude, spot.turn, spot.known
    if not spot.known:
        return
    spot, source = placed(m, at), np.int64(view(m, T_SOURCE)[row])
    channels, listens, roles, latest = view(m, T_CHANNELS), view(m, T_LISTENS), view(m, T_ROLES), view(m, T_LATEST)
    for j in range(kind.first, kind.last):
        c = channels[listens[j]]
        if c.role < c.role_end and roles[c.role].search >= 0 and value >= roles[c.role].threshold:
            fetch_heads(m, roles[c.role].search, spot)
        for lane in range(c.lane, c.lane_end):
            if view(m, T_LANES)[lane].coalesce != 0:
                prefetch(latest, mix(lane << 32 | source + 1, latest.size - 1))


@part
def placed(m, at):
    """Where an event is that was approached."""
    p = view(m, T_PLACES)[at]
    return Spot(p.x, p.y, p.z, p.across, p.latitude, p.turn, p.known != 0, at + 1)
