"""`sequence`: steps in order, each near and after the one before; fires when the last missing step arrives (SEMANTICS 10).

The arriving event stands for one step; the others are looked for outward from it - first the steps before, then those after -
each time the newest event (event time, then journal order) from which the chain can be completed. That chain is the
evidence. An event that turned out to lead nowhere at a step is remembered for the rest of the search (`dead`), so the work
grows with the number of links, not of chains. No event stands for two steps, and an
event that completes chains as several steps fires once, as the latest of them.
"""

from __future__ import annotations

import numpy as np

from .alerts import fire
from .cells import spot_at
from .layout import (
    FIRST_STEP,
    LONG_AGO,
    NEVER,
    NONE,
    ONE,
    STAMP,
    T_BITS,
    T_CHANNELS,
    T_DEAD,
    T_FOUND,
    T_HOT,
    T_KIND,
    T_LINKS,
    T_MEMBER,
    T_META,
    T_MORE,
    T_NEAR,
    T_PATH,
    T_RULES,
    T_SEARCHES,
    T_STAGES,
    VISITED,
    WORDS,
    ZERO,
)
from .memory import kernel, part, prefetch, view
from .recent import SECOND, holds, nothing_newer
from .search import accepts, barren, cells_near, fetch_heads

STEP_BITS = 24  # steps a dead mark can hold, below the number of the search


@part
def used(m, at, depth):
    """Whether an event already stands for another step of the path (it has an entry in each lane)."""
    path, hot, more = view(m, T_PATH), view(m, T_HOT), view(m, T_MORE)
    for d in range(depth):
        if path[d].time == hot[at].time and more[path[d].at].seq == more[at].seq:
            return True
    return False


@part
def is_dead(m, at, step):
    """Whether an entry was found to lead nowhere as this step."""
    mark = view(m, T_DEAD)[at]
    return mark >> STEP_BITS == view(m, T_META)[STAMP] and (mark >> step) & 1 == 1


@part
def bury_step(m, at, step):
    """Remembers that an entry leads nowhere as this step."""
    mark = view(m, T_DEAD)[at]
    if mark >> STEP_BITS != view(m, T_META)[STAMP]:
        mark = view(m, T_META)[STAMP] << STEP_BITS
    view(m, T_DEAD)[at] = mark | 1 << step


@kernel
def best_link(m, search, step, lo, hi, spot, depth, before_time, before_at):
    """The newest entry in [lo, hi] older than the bound that may stand for `step`, and whether one was passed over only
    because it already stands for another step."""
    best, best_time, taint = NONE, LONG_AGO, ZERO
    if barren(m, search, lo):
        return best, taint
    hot, near, s, visited = view(m, T_HOT), view(m, T_NEAR), view(m, T_SEARCHES)[search], ZERO
    if depth > 0:  # the first link's were fetched while the role before was played
        fetch_heads(m, search, spot)
    hi = min(hi, before_time)
    for cell in range(cells_near(m, s.lane, s.circle, spot, 0)):
        if near[cell].newest < lo // SECOND:
            continue
        at, key = near[cell].main, near[cell].key
        while at >= 0:
            e = hot[at]
            visited += 1
            time = e.time
            if time < lo:
                if nothing_newer(e, lo):
                    break
            elif time <= hi and e.key == key and not (time == best_time and at < best) and not (time == before_time and at >= before_at):
                if accepts(m, s, at, e, spot):
                    # the first link has nothing to repeat, and what failed there lies behind the bound
                    if depth > 0 and used(m, at, depth) and not is_dead(m, at, step):
                        taint = ONE
                    elif depth == 0 or not is_dead(m, at, step):
                        best, best_time = at, time
                        prefetch(view(m, T_MORE), at)
                        lo = max(lo, time)
            at = np.int64(e.older)
    view(m, T_META)[VISITED] += visited
    return best, taint


@kernel
def step_at(depth, here):
    """The step that is looked for at a depth of the search, when the arriving event stands for step `here`."""
    return here - 1 - depth if depth < here else depth + 1


@part
def extend(m, rule, here, event, depth):
    """Looks for the next candidate at a depth; its position or -1, and the taint."""
    path, hot = view(m, T_PATH), view(m, T_HOT)
    step = step_at(depth, here)
    time, spot = event.time, event.spot
    if depth != 0 and depth != here:
        e = hot[path[depth - 1].at]
        time, spot = e.time, spot_at(e.x, e.y, e.z)
    first = view(m, T_RULES)[rule].step
    if step < here:
        link = view(m, T_LINKS)[first + step]
        lo, hi, search = time - link.max_gap, time - link.min_gap, link.back
    else:
        link = view(m, T_LINKS)[first + step - 1]
        lo, hi, search = time + link.min_gap, time + link.max_gap, link.ahead
    return best_link(m, search, step, lo, hi, spot, depth, path[depth].time, path[depth].at)


@kernel
def complete(m, rule, here, event):
    """Searches a chain; True with the positions in `scratch.path` when there is one."""
    path = view(m, T_PATH)
    depth, last = ZERO, view(m, T_RULES)[rule].steps - 1
    view(m, T_META)[STAMP] += 1
    path[0].time, path[0].at, path[0].taint = NEVER, 0, 0
    while depth < last:
        at, taint = extend(m, rule, here, event, depth)
        path[depth].taint |= taint
        if at >= 0:
            path[depth].time, path[depth].at = view(m, T_HOT)[at].time, at
            depth += 1
            path[depth].time, path[depth].at, path[depth].taint = NEVER, 0, 0
            continue
        free = path[depth].taint == 0
        if depth == 0 or (depth == here and free):
            return False
        if free:
            bury_step(m, path[depth - 1].at, step_at(depth - 1, here))
        else:
            path[depth - 1].taint = 1
        depth -= 1
    return True


@part
def fits(m, rule, step, event):
    """Whether the event passes the selector of a step."""
    stage = view(m, T_STAGES)[view(m, T_RULES)[rule].stage + step]
    member = view(m, T_MEMBER)[view(m, T_KIND)[event.row] * view(m, T_CHANNELS).size + stage.channel]
    passed = member != 0 and event.value >= stage.threshold
    return passed and holds(view(m, T_BITS), event.row, view(m, T_META)[WORDS], stage.predicate)


@kernel
def sequence(m, rule, here, event):
    """An event that passes the selector of step `here` of a sequence arrives."""
    found, last = view(m, T_FOUND), view(m, T_RULES)[rule].steps - 1
    if not complete(m, rule, here, event):
        return
    if view(m, T_RULES)[rule].overlap != 0:
        for step in range(last, here, -1):  # one match an anchor: as the latest step it completes
            if fits(m, rule, step, event) and complete(m, rule, step, event):
                return
        complete(m, rule, here, event)
    found[0].seq, found[0].source, found[0].role = event.seq, event.source, FIRST_STEP + here
    n = ONE
    for step in range(last, -1, -1):  # newest step first, after the anchor
        if step == here:
            continue
        at = view(m, T_PATH)[here - 1 - step if step < here else step - 1].at
        found[n].seq, found[n].source, found[n].role = view(m, T_MORE)[at].seq, view(m, T_HOT)[at].source, FIRST_STEP + step
        n += 1
    fire(m, rule, event.seq, event.time, event.source, event.spot, n)
