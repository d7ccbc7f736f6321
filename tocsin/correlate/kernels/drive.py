"""The two loops: deadlines as the clock moves, and the events of a batch in journal order.

A kernel never allocates. Both loops return before they touch an event or a deadline that some table may have no room for, with
the name of that table; the engine makes it larger and calls again where they stopped.
"""

from __future__ import annotations

import numpy as np

from .absence import arrived, decide, expect, restore, waits
from .ahead import AHEAD, AHEAD_MASK, approach, pick, placed
from .alerts import fire
from .cells import NOWHERE
from .cluster import cluster
from .layout import (
    AFTER,
    ANSWERED,
    BAD_CODE,
    BAD_SHAPE,
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
    FULL_VERDICTS,
    GROUPS_LIVE,
    HEARD,
    HORIZON,
    LATENESS,
    MOVED,
    NEWEST,
    NONE,
    ONE,
    PENDING_LIVE,
    PLAIN,
    PUSH,
    ROOT,
    ROW,
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
    T_LINKS,
    T_LISTENS,
    T_LON,
    T_META,
    T_OUT,
    T_PENDING,
    T_PICKED,
    T_ROLES,
    T_RULES,
    T_RUNS,
    T_SEARCHES,
    T_SEQ,
    T_SOURCE,
    T_SOURCES,
    T_TIME,
    T_TOLD,
    T_TRACK_STATES,
    T_TRACK_WORDS,
    T_UNTIL,
    T_VALUE,
    T_VERDICTS,
    T_WATCHED,
    T_WATCHES,
    TALK,
    TIMERS,
    TOO_LATE,
    TRACK_WORDS,
    TRACKED,
    VERDICTS_FROM,
    VERDICTS_TO,
    WATCHED,
    WATERMARK,
    WIDEST,
    WORDS,
    ZERO,
    Event,
)  # fmt: skip
from .match import found_anchor, rests, sample
from .memory import kernel, part, prefetch, view
from .recent import holds, rank_of, store, wanted
from .search import fetch_heads
from .sequence import sequence
from .silence import declare, heard, rang
from .timers import drop_first
from .verdicts import given_since

FAR = 4  # roles: how far ahead their rules are fetched


@kernel
def room(m):
    """How many events (or deadlines) surely fit, and which table is full when there are fewer than a few.

    WIDEST bounds what one event can add to any table, but for the absences that a late one takes back (`room_to_take_back`).
    """
    meta = view(m, T_META)
    free, full = view(m, T_HOT).size - meta[STORED], FULL_RECENT
    for n, table in (
        (view(m, T_LATEST).size // 2 - meta[NEWEST], FULL_RECENT),
        (view(m, T_OUT).size - meta[ROWS], FULL_OUT),
        ((view(m, T_TOLD).size - meta[SAID]) // meta[TALK], FULL_OUT),
        (view(m, T_GROUPS).size - meta[GROUPS_LIVE], FULL_GROUPS),
        (view(m, T_PENDING).size - meta[PENDING_LIVE], FULL_PENDING),
        ((view(m, T_HEAP).size - ROOT - 1 - meta[TIMERS]) // 4, FULL_PENDING),
        (view(m, T_TRACK_STATES).size // 2 - meta[TRACKED], FULL_TRACKS),
        (view(m, T_TRACK_WORDS).size - meta[TRACK_WORDS], FULL_TRACKS),
        (view(m, T_RUNS).size - meta[RUNS_LIVE], FULL_RUNS),
        (view(m, T_WATCHED).size // 2 - meta[WATCHED], FULL_RUNS),
        (view(m, T_VERDICTS).size - (meta[VERDICTS_TO] - meta[VERDICTS_FROM]), FULL_VERDICTS),
        (view(m, T_FACTS).size - meta[STANDING], FULL_STANDING),
    ):
        if n < free:
            free, full = n, table
    return free // meta[WIDEST], full


@kernel
def room_to_take_back(m, time):
    """Whether there is room to tell of every fired absence that a late event may take back, each once."""
    meta, late = view(m, T_META), given_since(m, time)
    rows, told = view(m, T_OUT).size - meta[ROWS], view(m, T_TOLD).size - meta[SAID]
    return rows >= late + meta[WIDEST] and told >= 2 * late + meta[WIDEST] * meta[TALK]


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
    told = event.source < sources.size  # codes that `Engine.source_code` did not give are sources of no known feed
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
        if j + FAR < c.role_end:
            prefetch(view(m, T_RULES), roles[j + FAR].rule)
        if j + FAR // 2 < c.role_end:
            fetch_asked(m, roles[j + FAR // 2])
        if j + 1 < c.role_end and roles[j + 1].search >= 0 and event.value >= roles[j + 1].threshold and event.spot.known:
            fetch_heads(m, roles[j + 1].search, event.spot)
        if holds(bits, event.row, words, role.predicate):
            play(m, event, role)


@part
def fetch_asked(m, role):
    """Brings what a role asks near, once its rule is: of ten thousand rules, each is far away when its turn comes."""
    r = view(m, T_RULES)[role.rule]
    if role.what == CLUSTER:
        prefetch(view(m, T_SEARCHES), r.search)
    elif role.what == STEP:
        prefetch(view(m, T_SEARCHES), role.search)
        prefetch(view(m, T_LINKS), r.step + max(role.detail - ONE, ZERO))


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
            until = view(m, T_UNTIL)
            stand(m, active, event, until[event.row] if until.size > 0 else NONE)


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
def take(m, row, value, place):
    """One event: every role first, then it is stored, so that it never matches itself."""
    kind, listens = view(m, T_KINDS)[view(m, T_KIND)[row]], view(m, T_LISTENS)
    spot = NOWHERE
    if value >= kind.near:
        spot = placed(m, place)
    event = Event(view(m, T_SEQ)[row], view(m, T_TIME)[row], np.int64(view(m, T_SOURCE)[row]), value, spot, row)
    for i in range(kind.first, kind.last):
        evaluate(m, event, listens[i])
    if value >= kind.near:
        for i in range(kind.first, kind.last):
            keep(m, event, listens[i])


@part
def valid(m, kind, source):
    """Whether all codes can be looked up."""
    kinds, bad = view(m, T_KINDS).size, 0
    for row in range(kind.size):
        bad |= (kind[row] < 0) | (kind[row] >= kinds) | (source[row] < -1)
    return bad == 0


@part
def column(m, table, values):
    """Enters a column of a batch into the directory."""
    directory = view(m, T_DIRECTORY)
    directory[2 * table], directory[2 * table + 1] = values.ctypes.data, values.shape[0]


@part
def starts(m, clock):
    """Begins an output and moves the clock, which never goes back."""
    meta = view(m, T_META)
    meta[PUSH] += 1
    meta[ROWS] = meta[SAID] = meta[ROW] = 0
    if clock > meta[CLOCK]:
        meta[CLOCK] = clock
        meta[WATERMARK] = clock - meta[DELAY]
        meta[MOVED] = 1


@kernel
def enter(m, clock, seq, time, kind, source, lon, lat, value, bits, until):
    """Takes the columns of a batch (columns.py) that `run` goes through. Returns DONE, BAD_CODE or BAD_SHAPE and changes nothing then.
    The caller keeps the columns alive until `run` is done."""
    n = seq.size
    if not (n == time.size == kind.size == source.size == lon.size == lat.size == value.size == bits.shape[0]):
        return BAD_SHAPE
    if bits.shape[1] != view(m, T_META)[WORDS] or until.size not in (n, -1):
        return BAD_SHAPE
    if not valid(m, kind, source):
        return BAD_CODE
    starts(m, clock)
    column(m, T_SEQ, seq)
    column(m, T_TIME, time)
    column(m, T_KIND, kind)
    column(m, T_SOURCE, source)
    column(m, T_LON, lon)
    column(m, T_LAT, lat)
    column(m, T_VALUE, value)
    column(m, T_BITS, bits)
    column(m, T_UNTIL, until)
    return DONE


@kernel
def enter_none(m, clock):
    """No events, only a later clock."""
    starts(m, clock)
    view(m, T_DIRECTORY)[2 * T_KIND + 1] = 0


@part
def events(m):
    """The events of the batch from where it stopped. Returns the full table or DONE."""
    meta, kinds, kind, value = view(m, T_META), view(m, T_KINDS), view(m, T_KIND), view(m, T_VALUE)
    source, time, picked = view(m, T_SOURCE), view(m, T_TIME), view(m, T_PICKED)
    oldest = meta[CLOCK] - meta[LATENESS]
    free, full = np.int64(0), DONE
    row = meta[ROW]
    while row < kind.size:
        n, after = pick(m, row)
        for i in range(min(n, AHEAD)):
            approach(m, i)
        for i in range(n):
            row = picked[i]
            if i + AHEAD < n:
                approach(m, i + AHEAD)
            if time[row] < oldest:
                meta[TOO_LATE] += 1
                continue
            if free <= 0:
                free, full = room(m)
                if free <= 0:
                    meta[ROW] = row
                    return full
            free -= 1
            if time[row] <= meta[WATERMARK] and meta[FIRED] > 0:
                if not room_to_take_back(m, time[row]):
                    meta[ROW] = row
                    return FULL_OUT
                free = 0  # it may take up what was meant for others
            v, k = value[row], kinds[kind[row]]
            if not (v < k.rest and k.series >= 0 and rests(m, k.series, np.int64(source[row]), time[row], v)):
                take(m, row, v if v == v else -np.inf, i & AHEAD_MASK)
        row = after
    meta[ROW] = row
    return DONE


@part
def deadlines(m):
    """Decides every deadline up to the watermark. Returns the full table or DONE."""
    meta, heap = view(m, T_META), view(m, T_HEAP)
    earliest = meta[CLOCK] - max(meta[LATENESS], meta[DELAY])
    while meta[TIMERS] > 0 and heap[ROOT].deadline <= meta[WATERMARK]:
        free, full = room(m)
        if free <= 0:
            return full
        deadline, at = heap[ROOT].deadline, heap[ROOT].at
        drop_first(m)
        prefetch(view(m, T_PENDING), max(heap[ROOT].at, ZERO))  # what comes next, while this is decided
        meta[HORIZON] = min(deadline, earliest)
        if at >= 0:
            decide(m, at)
        else:
            rang(m, -1 - at, deadline)
    meta[HORIZON] = earliest
    return DONE


@kernel
def run(m):
    """What is due at the clock, if it moved, then the events entered, from where it stopped. Returns the full table or DONE, and how many rows of
    output and of evidence there are.

    A late event may start a deadline that has passed already: that one waits until the clock moves again, so that the answer does not
    depend on how entries are cut into batches."""
    meta, full = view(m, T_META), DONE
    if meta[MOVED] != 0:
        full = deadlines(m)
        if full == DONE:
            meta[MOVED] = 0
    if full == DONE:
        full = events(m)
    return full, meta[ROWS], meta[SAID]


@kernel
def start_watches(m, watches, subjects, clock):
    """Starts the declared subjects of watches at the first clock."""
    for i in range(watches.size):
        declare(m, watches[i], subjects[i], clock)


@kernel
def restore_answered(m):
    """After a withdrawal: answered absences that nothing answers any more fire now, in the order of their deadlines. Returns the
    full table or DONE; called again, it goes over all of them again and finds those that are left."""
    meta = view(m, T_META)
    if meta[ANSWERED] == 0:
        return DONE
    for position in range(meta[VERDICTS_FROM], meta[VERDICTS_TO]):
        if waits(m, position):
            free, full = room(m)
            if free <= 0:
                return full
            restore(m, position)
    return DONE
