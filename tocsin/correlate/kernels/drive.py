"""The two loops: events of a batch in journal order, and deadlines as the clock moves.

A kernel never allocates. Both loops return before they touch an event or a deadline that some table may have no room for, with
the name of that table; the engine makes it larger and calls again where they stopped.
"""

from __future__ import annotations

import numpy as np

from .absence import arrived, decide, expect
from .alerts import fire
from .cells import NOWHERE, locate, mix
from .cluster import cluster
from .layout import (
    AFTER,
    BAD_CODE,
    CLOCK,
    CLUSTER,
    DELAY,
    DONE,
    EXPECTED,
    FIRED,
    FULL_GROUPS,
    FULL_OUT,
    FULL_PENDING,
    FULL_RECENT,
    FULL_RUNS,
    FULL_STANDING,
    FULL_TRACKS,
    GROUPS_LIVE,
    HEARD,
    HORIZON,
    LATENESS,
    NEWEST,
    ONE,
    PENDING_LIVE,
    PLAIN,
    ROOT,
    ROWS,
    RUNS_LIVE,
    SAID,
    STANDING,
    STEP,
    STORED,
    T_ACTIVES,
    T_BITS,
    T_CHANNELS,
    T_DIRECTORY,
    T_FACT_HEADS,
    T_FACTS,
    T_GROUPS,
    T_HEAP,
    T_HEARS,
    T_HOT,
    T_KIND,
    T_KINDS,
    T_LAT,
    T_LATEST,
    T_LISTENS,
    T_LON,
    T_META,
    T_OUT_EVIDENCE,
    T_OUT_RULE,
    T_PENDING,
    T_ROLES,
    T_RUNS,
    T_SEQ,
    T_SOURCE,
    T_SOURCES,
    T_TIME,
    T_TRACK_STATES,
    T_TRACK_WORDS,
    T_UNTIL,
    T_WATCHED,
    T_WATCHES,
    TALK,
    TIMERS,
    TOO_LATE,
    TRACK_WORDS,
    TRACKED,
    WATCHED,
    WATERMARK,
    WIDEST,
    WORDS,
    Event,
)  # fmt: skip
from .match import found_anchor, rests, sample, slot_of, track_key
from .memory import kernel, part, prefetch, view
from .recent import holds, rank_of, store, wanted
from .sequence import sequence
from .silence import declare, heard, rang, watch_key
from .timers import drop_first

AHEAD = 8  # rows: how far ahead the states of sources are fetched


@kernel
def room(m):
    """How many events (or deadlines) surely fit, and which table is full when there are fewer than a few.

    WIDEST bounds what one event can add to any table; an event may also take back every fired absence, each only once.
    """
    meta = view(m, T_META)
    free, full = len(view(m, T_HOT)) - meta[STORED], FULL_RECENT
    for n, table in (
        (len(view(m, T_LATEST)) // 2 - meta[NEWEST], FULL_RECENT),
        (len(view(m, T_OUT_RULE)) - meta[ROWS] - meta[FIRED], FULL_OUT),
        ((len(view(m, T_OUT_EVIDENCE)) - meta[SAID] - meta[FIRED]) // meta[TALK], FULL_OUT),
        (len(view(m, T_GROUPS)) - meta[GROUPS_LIVE], FULL_GROUPS),
        (len(view(m, T_PENDING)) - meta[PENDING_LIVE], FULL_PENDING),
        ((len(view(m, T_HEAP)) - ROOT - 1 - meta[TIMERS]) // 4, FULL_PENDING),
        (len(view(m, T_TRACK_STATES)) // 2 - meta[TRACKED], FULL_TRACKS),
        (len(view(m, T_TRACK_WORDS)) - meta[TRACK_WORDS], FULL_TRACKS),
        (len(view(m, T_RUNS)) - meta[RUNS_LIVE], FULL_RUNS),
        (len(view(m, T_WATCHED)) // 2 - meta[WATCHED], FULL_RUNS),
        (len(view(m, T_FACTS)) - meta[STANDING], FULL_STANDING),
    ):
        if n < free:
            free, full = n, table
    return free // meta[WIDEST], full


@part
def play(m, event, role):
    """One role of an event whose threshold and predicate it passes."""
    what = role.what
    if what == PLAIN:
        found_anchor(m, event.seq, event.source)
        fire(m, role.rule, event.seq, event.time, event.source, event.spot, ONE)
    elif what == HEARD:
        hear(m, role.detail, event)
    elif not event.spot.known:
        return  # no coordinates match no spatial condition
    elif what == CLUSTER:
        cluster(m, role.rule, event)
    elif what == STEP:
        sequence(m, role.rule, role.detail, event)
    elif what == AFTER:
        expect(m, event, role.detail)
    elif what == EXPECTED:
        arrived(m, role.rule, event)


@part
def hear(m, watch, event):
    """An event of a watched kind: who spoke is its source or its feed; an event that names no source is heard of nobody."""
    if event.source < 0:
        return
    sources = view(m, T_SOURCES)
    told = event.source < len(sources)  # codes that `Engine.source_code` did not give are sources of no known feed
    if view(m, T_WATCHES)[watch].by_feed:
        if told and sources[event.source].feed >= 0:
            heard(m, watch, sources[event.source].feed, event)
    elif not told or sources[event.source].named:
        heard(m, watch, event.source, event)


@part
def evaluate(m, event, channel):
    """All roles of a channel, by rising threshold."""
    c, hears, roles = view(m, T_CHANNELS)[channel], view(m, T_HEARS), view(m, T_ROLES)
    for h in range(c.hears, c.hears_end):
        sample(m, event, hears[h].series, hears[h].own != 0)
    bits, words = view(m, T_BITS), view(m, T_META)[WORDS]
    for j in range(c.role, c.role_end):
        role = roles[j]
        if event.value < role.threshold:
            break
        if holds(bits, event.row, words, role.predicate):
            play(m, event, role)


@part
def keep(m, event, channel):
    """Stores an event where later ones may look for it."""
    c, bits, actives = view(m, T_CHANNELS)[channel], view(m, T_BITS), view(m, T_ACTIVES)
    if not event.spot.known:
        return
    for lane in range(c.lane, c.lane_end):
        rank = rank_of(m, lane, event.value)
        if rank >= 0 and wanted(m, lane, bits, event.row):
            store(m, lane, event, rank, bits)
    for a in range(c.active, c.active_end):
        active = actives[a]
        if event.value >= active.threshold and holds(bits, event.row, view(m, T_META)[WORDS], active.predicate):
            stand(m, active, event, view(m, T_UNTIL)[event.row])


@part
def stand(m, active, event, valid_until):
    """A fact that an `unless: active` may look at: valid until its end (exclusive), or for a span (inclusive)."""
    meta, heads = view(m, T_META), view(m, T_FACT_HEADS)
    at = meta[STANDING]
    meta[STANDING] = at + 1
    fact = view(m, T_FACTS)[at]
    fact.seq, fact.time, fact.list = event.seq, event.time, active.list
    fact.until = valid_until if valid_until >= 0 else event.time + active.valid_for + 1
    fact.x, fact.y, fact.z = event.spot.x, event.spot.y, event.spot.z
    fact.next = heads[active.list]
    heads[active.list] = at


@part
def take(m, row, value):
    """One event: every role first, then it is stored, so that it never matches itself."""
    kind, listens = view(m, T_KINDS)[view(m, T_KIND)[row]], view(m, T_LISTENS)
    spot = NOWHERE
    if value >= kind.near:
        spot = locate(view(m, T_LON)[row], view(m, T_LAT)[row])
    event = Event(view(m, T_SEQ)[row], view(m, T_TIME)[row], np.int64(view(m, T_SOURCE)[row]), value, spot, row)
    for i in range(kind.first, kind.last):
        evaluate(m, event, listens[i])
    if value >= kind.near:
        for i in range(kind.first, kind.last):
            keep(m, event, listens[i])


@part
def valid(m, kind, source):
    """Whether all codes can be looked up."""
    kinds, bad = len(view(m, T_KINDS)), 0
    for row in range(len(kind)):
        bad |= (kind[row] < 0) | (kind[row] >= kinds) | (source[row] < -1)
    return bad == 0


@part
def open_batch(m, seq, time, kind, source, lon, lat, bits, until):
    """Enters the columns of a batch into the directory."""
    directory = view(m, T_DIRECTORY)
    directory[2 * T_SEQ], directory[2 * T_TIME] = seq.ctypes.data, time.ctypes.data
    directory[2 * T_KIND], directory[2 * T_SOURCE] = kind.ctypes.data, source.ctypes.data
    directory[2 * T_LON], directory[2 * T_LAT] = lon.ctypes.data, lat.ctypes.data
    directory[2 * T_BITS], directory[2 * T_UNTIL] = bits.ctypes.data, until.ctypes.data


@part
def fetch(m, kind, source):
    """Brings the state of a source near that an event some rows on will need."""
    k = view(m, T_KINDS)[kind]
    if k.series >= 0:
        states = view(m, T_TRACK_STATES)
        prefetch(states, mix(track_key(source, k.series), len(states) - 1))
    if k.watch >= 0:
        watched = view(m, T_WATCHED)
        prefetch(watched, mix(watch_key(source, k.watch), len(watched) - 1))


@part
def fetch_run(m, kind, source):
    """Brings the newest run of a source near, once its state is."""
    k = view(m, T_KINDS)[kind]
    if k.watch >= 0:
        watched = view(m, T_WATCHED)
        state = watched[slot_of(watched, watch_key(source, k.watch))]
        if state.key >= 0:
            prefetch(view(m, T_RUNS), state.last)


@kernel
def run(m, row, seq, time, kind, source, lon, lat, value, bits, until):
    """Events of a batch (columns.py) from `row` on. Returns (row it stopped before, full table or DONE or BAD_CODE)."""
    meta, kinds = view(m, T_META), view(m, T_KINDS)
    open_batch(m, seq, time, kind, source, lon, lat, bits, until)
    if row == 0 and not valid(m, kind, source):
        return row, BAD_CODE
    oldest = meta[CLOCK] - meta[LATENESS]
    free, full = np.int64(0), DONE
    while row < len(kind):
        v = value[row]
        if v < kinds[kind[row]].low:
            row += 1
            continue
        if time[row] < oldest:
            meta[TOO_LATE] += 1
            row += 1
            continue
        if free <= 0:
            free, full = room(m)
            if free <= 0:
                return row, full
        if row + AHEAD < len(kind):
            fetch(m, kind[row + AHEAD], np.int64(source[row + AHEAD]))
            fetch_run(m, kind[row + AHEAD // 2], np.int64(source[row + AHEAD // 2]))
        free -= 1
        k = kinds[kind[row]]
        if v < k.rest and k.series >= 0 and rests(m, k.series, np.int64(source[row]), time[row], v):
            row += 1
            continue
        take(m, row, v if v == v else -np.inf)
        row += 1
    return row, DONE


@kernel
def advance(m):
    """Decides every deadline up to the watermark. Returns the full table or DONE."""
    meta, heap = view(m, T_META), view(m, T_HEAP)
    earliest = meta[CLOCK] - max(meta[LATENESS], meta[DELAY])
    while meta[TIMERS] > 0 and heap[ROOT].deadline <= meta[WATERMARK]:
        free, full = room(m)
        if free <= 0:
            return full
        deadline, at = heap[ROOT].deadline, heap[ROOT].at
        drop_first(m)
        meta[HORIZON] = min(deadline, earliest)
        if at >= 0:
            decide(m, at)
        else:
            rang(m, -1 - at, deadline)
    meta[HORIZON] = earliest
    return DONE


@kernel
def start_watches(m, watches, subjects, clock):
    """Starts the declared subjects of watches at the first clock."""
    for i in range(len(watches)):
        declare(m, watches[i], subjects[i], clock)
