"""`absence`: A at t, and no B within R in (t, t + T]; decided when the watermark passes t + T (SEMANTICS 11).

One pending entry stands for all rules of a channel with the same T. It is decided by one look at the recent store at the
deadline, so a B may come before or after A, and a withdrawn B counts as never seen. An A whose deadline has already passed when
it arrives is decided as soon as the clock moves on: entries of one ingest time are known together. What was decided is
remembered (`verdicts.py`): a B that arrives late after all takes the alert back, and an absence that was answered only by Bs which
may be cancelled fires when they are withdrawn.
"""

from __future__ import annotations

import numpy as np

from .alerts import correctable, fire, take_back
from .cells import apart, cover, mix, spot_at
from .layout import (
    AFTER_ROLE,
    CELL_BITS,
    FIRED,
    NONE,
    ONE,
    PENDING_FREE,
    PENDING_LIVE,
    PENDING_TOP,
    T_BITS,
    T_CELLS,
    T_FOUND,
    T_HOT,
    T_META,
    T_NEAR,
    T_PENDING,
    T_PENDING_BITS,
    T_RULES,
    T_SEARCHES,
    T_SET_RULES,
    T_SETS,
    T_VERDICT_HEADS,
    VERDICTS_FROM,
    VISITED,
    WATERMARK,
    WORDS,
    ZERO,
    Event,
)  # fmt: skip
from .memory import kernel, part, prefetch, view
from .recent import SECOND, holds, nothing_newer
from .search import accepts, barren, cells_near, fetch_heads
from .timers import set_timer
from .verdicts import drop, give, reopen, settled, verdict_at, verdict_key

MISSING, OPEN, FINAL = range(3)  # what is known of the B of an A: `answered`


@part
def due_to(m, event, deadlines):
    """Whether the event starts the clock of at least one rule of the set."""
    s = view(m, T_SETS)[deadlines]
    for i in range(s.first, s.last):
        r = view(m, T_SET_RULES)[i]
        if event.value < r.threshold:
            return False
        if holds(view(m, T_BITS), event.row, view(m, T_META)[WORDS], r.predicate):
            return True
    return False


@part
def expect(m, event, deadlines):
    """An A arrives: remember it until its deadline."""
    meta, table, bits, kept = view(m, T_META), view(m, T_PENDING), view(m, T_BITS), view(m, T_PENDING_BITS)
    if not due_to(m, event, deadlines):
        return
    meta[PENDING_LIVE] += 1
    at = meta[PENDING_FREE]
    if at >= 0:
        meta[PENDING_FREE] = table[at].next
    else:
        at = meta[PENDING_TOP]
        meta[PENDING_TOP] = at + 1
    p = table[at]
    p.seq, p.time, p.value, p.source, p.set, p.alive = event.seq, event.time, event.value, event.source, deadlines, 1
    p.x, p.y, p.z = event.spot.x, event.spot.y, event.spot.z
    words = meta[WORDS]
    for word in range(words):
        kept[at * words + word] = bits[event.row * words + word]
    set_timer(m, event.time + view(m, T_SETS)[deadlines].window, at)


@part
def decide(m, at):
    """The deadline of a pending entry has passed: fires the rules whose B is not known."""
    meta, p = view(m, T_META), view(m, T_PENDING)[at]
    if p.alive:
        event = Event(p.seq, p.time, p.source, p.value, spot_at(p.x, p.y, p.z), at)
        s = view(m, T_SETS)[p.set]
        for i in range(s.first, s.last):
            r = view(m, T_SET_RULES)[i]
            if event.value < r.threshold:
                break
            if i + 2 < s.last:
                prefetch(view(m, T_RULES), view(m, T_SET_RULES)[i + 2].rule)
            if i + 1 < s.last:
                fetch_heads(m, view(m, T_RULES)[view(m, T_SET_RULES)[i + 1].rule].search, event.spot)
            if p.time >= view(m, T_RULES)[r.rule].since and holds(view(m, T_PENDING_BITS), at, meta[WORDS], r.predicate):
                decide_rule(m, r.rule, event)
    p.alive = 0
    meta[PENDING_LIVE] -= 1
    p.next = meta[PENDING_FREE]
    meta[PENDING_FREE] = at


@part
def decide_rule(m, rule, event):
    """One rule at its deadline."""
    key = verdict_key(m, rule, event.spot)
    answer = answered(m, rule, event.time, event.spot)
    if answer == FINAL:
        return
    number, slot = NONE, NONE
    if answer == MISSING:
        number, slot = missed(m, rule, event)
        if number < 0:
            return
    give(m, key, event, number, slot)


@kernel
def answered(m, rule, time, spot):
    """Whether a B is known for an A of this time and place: none (MISSING), only such as may be cancelled (OPEN), or one that stays (FINAL)."""
    search = view(m, T_RULES)[rule].search
    lo, hi, answer, visited = time + 1, time + view(m, T_RULES)[rule].window, MISSING, ZERO
    if barren(m, search, lo):
        return answer
    hot, near, s = view(m, T_HOT), view(m, T_NEAR), view(m, T_SEARCHES)[search]
    for cell in range(cells_near(m, s.lane, s.circle, spot, 0)):
        if near[cell].newest < lo // SECOND:
            continue
        at, key = near[cell].main, near[cell].key
        while at >= 0 and answer != FINAL:
            e = hot[at]
            visited += 1
            if e.time < lo:
                if nothing_newer(e, lo):
                    break
            elif e.time <= hi and e.key == key and accepts(m, s, at, e, spot):
                answer = OPEN if correctable(m, np.int64(e.source)) else FINAL
            at = np.int64(e.older)
    view(m, T_META)[VISITED] += visited
    return answer


@kernel
def missed(m, rule, event):
    """An A without its B: fires. Returns what `fire` does."""
    f = view(m, T_FOUND)[0]
    f.seq, f.source, f.role = event.seq, event.source, AFTER_ROLE
    return fire(m, rule, event.seq, event.time + view(m, T_RULES)[rule].window, event.source, event.spot, ONE)


@part
def arrived(m, rule, event):
    """A B arrives. Only one that the watermark has passed can belong to a fired absence."""
    if event.time <= view(m, T_META)[WATERMARK] and view(m, T_META)[FIRED] > 0:
        arrived_late(m, rule, event)


@kernel
def arrived_late(m, rule, event):
    """Takes back the fired absences that a late B belongs to."""
    r, meta, cells, heads = view(m, T_RULES)[rule], view(m, T_META), view(m, T_CELLS), view(m, T_VERDICT_HEADS)
    search = view(m, T_SEARCHES)[r.search]
    first, count = cover(m, search.circle, event.spot)
    for cell in range(first, first + count):
        key = np.int64(rule) << CELL_BITS | cells[cell]
        position = heads[mix(key, heads.size - 1)]
        while position >= meta[VERDICTS_FROM]:
            verdict = verdict_at(m, position)
            if verdict.given < event.time:
                break
            if verdict.key == key and belongs(verdict, r.window, search.limit, event):
                take_back(m, rule, verdict.group, verdict.slot, event.seq, event.time, event.source, verdict.seq)
                if correctable(m, event.source):
                    reopen(m, verdict)
                else:
                    drop(m, verdict)
            position = verdict.older


@part
def belongs(verdict, window, limit, event):
    """Whether a B answers the A of a fired absence."""
    fired = verdict.alive != 0 and verdict.group >= 0
    return fired and event.time - window <= verdict.time < event.time and apart(verdict, event.spot) <= limit


@kernel
def restore(m, position):
    """An answered absence whose Bs may have been withdrawn: fires if none is left. The caller has seen to the room."""
    verdict = verdict_at(m, position)
    rule, spot = verdict.key >> CELL_BITS, spot_at(verdict.x, verdict.y, verdict.z)
    if settled(m, verdict) or answered(m, rule, verdict.time, spot) != MISSING:
        return
    number, slot = missed(m, rule, Event(verdict.seq, verdict.time, verdict.source, -np.inf, spot, 0))
    drop(m, verdict)
    if number >= 0:
        verdict.group, verdict.slot, verdict.alive = number, slot, 1
        view(m, T_META)[FIRED] += 1


@kernel
def waits(m, position):
    """Whether a verdict is an absence answered only by Bs that may be cancelled."""
    verdict = verdict_at(m, position)
    return verdict.alive != 0 and verdict.group < 0
