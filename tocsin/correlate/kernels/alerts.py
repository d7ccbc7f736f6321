"""From matches to firings: what suppresses a match, which open alert it joins, and the rows that say so (SEMANTICS 5, 6).

A thinned rule keeps its open alerts as groups. A group is open for a match at time t while t - (its newest match) <= hold; of
several open ones within `place` the nearest is joined, at equal distance the one opened last. A match without a place
joins the rule's group of placeless matches.
"""

from __future__ import annotations

import numpy as np

from .cells import apart, cell_of, cover, mix, spot_at
from .layout import (
    AFTER_ROLE,
    ALL,
    CORRECTS,
    EVIDENCE,
    GROUPS_FREE,
    GROUPS_LIVE,
    GROUPS_TOP,
    HORIZON,
    JOIN,
    LONG_AGO,
    MATCHES,
    NOBODY,
    NONE,
    NUMBER,
    ONE,
    PUSH,
    RAISE,
    RETRACT,
    ROWS,
    SAID,
    SUPPRESSED,
    T_CELLS,
    T_CIRCLES,
    T_EVIDENCE,
    T_FACT_HEADS,
    T_FACTS,
    T_FOUND,
    T_GROUP_HEADS,
    T_GROUPS,
    T_META,
    T_OUT,
    T_RULES,
    T_SOURCES,
    T_TOLD,
    T_UNLESS,
    ZERO,
)
from .memory import kernel, part, view


@part
def suppressed(m, rule, spot, time):
    """Whether a fact of the rule's `unless` is active at `time` and near `spot` (valid_until is exclusive)."""
    r, unless, facts = view(m, T_RULES)[rule], view(m, T_UNLESS), view(m, T_FACTS)
    for u in range(r.unless, r.unless_end):
        at = view(m, T_FACT_HEADS)[unless[u].list]
        while at >= 0:
            fact = facts[at]
            if fact.time <= time < fact.until and apart(fact, spot) <= unless[u].limit:
                return True
            at = fact.next
    return False


#: Squared chords that differ by less are the same distance: micrometres within a city, above the rounding of the vectors.
TIE = 1e-18


@kernel
def bucket(rule, source, cell, mask):
    """Chain of a group: by rule, by source when thinned by source, by cell when thinned by place (-1 otherwise)."""
    return mix(((np.int64(rule) * 1_000_003 + source + 1) << 24) ^ (cell + 1), mask)


@kernel
def over(m, group):
    """Whether no match that may still come can join a group: none will be of a time before the horizon."""
    return group.newest + view(m, T_RULES)[group.rule].hold < view(m, T_META)[HORIZON]


@kernel
def free_group(m, at):
    """Gives the place of a group back."""
    meta, group = view(m, T_META), view(m, T_GROUPS)[at]
    group.number = -1
    group.next = meta[GROUPS_FREE]
    meta[GROUPS_FREE] = at
    meta[GROUPS_LIVE] -= 1


@kernel
def look(m, rule, source, cell, spot, time, best, nearest):
    """The nearest open group of one chain if it beats `best` at `nearest`; frees groups that nothing can join any more."""
    groups, heads, r = view(m, T_GROUPS), view(m, T_GROUP_HEADS), view(m, T_RULES)[rule]
    head = bucket(rule, source, cell, heads.size - 1)
    before, at = -1, np.int64(heads[head])
    while at >= 0:
        g = groups[at]
        after = g.next
        if over(m, g):
            if before < 0:
                heads[head] = after
            else:
                groups[before].next = after
            free_group(m, at)
            at = after
            continue
        if g.rule == rule and g.source == source and time - g.newest <= r.hold and (g.placed != 0) == (cell >= 0):
            away = apart(g, spot) if cell >= 0 else 0.0
            limit = r.place if cell >= 0 else 0.0
            closer, as_close = away < nearest - TIE, away <= nearest + TIE
            if away <= limit and (closer or (as_close and (best < 0 or g.number > groups[best].number))):
                best, nearest = at, away
        before = at
        at = after
    return best, nearest


@part
def open_group(m, rule, source, spot, time):
    """The group a match joins, -1 when it opens a new one."""
    r, cells = view(m, T_RULES)[rule], view(m, T_CELLS)
    by = source if r.by_source else NONE
    best, nearest = NONE, np.inf
    if not (r.placed and spot.known):
        best, nearest = look(m, rule, by, NONE, spot, time, best, nearest)
        return best
    first, count = cover(m, r.place_circle, spot)
    for i in range(first, first + count):
        best, nearest = look(m, rule, by, cells[i], spot, time, best, nearest)
    return best


@part
def new_group(m, rule, source, spot):
    """Opens a group; the caller has seen to the room."""
    meta, groups, r = view(m, T_META), view(m, T_GROUPS), view(m, T_RULES)[rule]
    at = meta[GROUPS_FREE]
    if at >= 0:
        meta[GROUPS_FREE] = groups[at].next
    else:
        at = meta[GROUPS_TOP]
        meta[GROUPS_TOP] = at + 1
    meta[GROUPS_LIVE] += 1
    g = groups[at]
    g.number, g.newest, g.count, g.row, g.push = meta[NUMBER], LONG_AGO, 0, -1, -1
    g.rule, g.source, g.kept, g.live = rule, source if r.by_source else -1, 0, 0
    g.x, g.y, g.z, g.placed = spot.x, spot.y, spot.z, 1 if r.placed and spot.known else 0
    meta[NUMBER] += 1
    hang(m, at)
    return at


@kernel
def hang(m, at):
    """Puts a group into its chain."""
    g, heads = view(m, T_GROUPS)[at], view(m, T_GROUP_HEADS)
    cell = NONE
    if g.placed:
        cell = cell_of(m, view(m, T_CIRCLES)[view(m, T_RULES)[g.rule].place_circle].level, spot_at(g.x, g.y, g.z))
    head = bucket(g.rule, g.source, cell, heads.size - 1)
    g.next = heads[head]
    heads[head] = at


@kernel
def rehang(m):
    """Builds all chains of groups again, without those that are over."""
    meta, groups, heads = view(m, T_META), view(m, T_GROUPS), view(m, T_GROUP_HEADS)
    for i in range(heads.size):
        heads[i] = -1
    meta[GROUPS_FREE] = -1
    meta[GROUPS_LIVE] = meta[GROUPS_TOP]
    for at in range(meta[GROUPS_TOP]):
        if groups[at].number >= 0 and not over(m, groups[at]):
            hang(m, at)
        else:
            free_group(m, at)


@kernel
def say(m, what, rule, group, seq, time, source, count):
    """Appends an output row; its evidence is what is told after this and before the next row."""
    meta = view(m, T_META)
    at = meta[ROWS]
    meta[ROWS] = at + 1
    out = view(m, T_OUT)[at]
    out.rule, out.what, out.group = rule, what, group
    out.first, out.last = meta[SAID], meta[SAID]
    anchored(m, at, seq, time, source, count)
    return at


@kernel
def anchored(m, row, seq, time, source, count):
    """Writes the match that a row speaks of last."""
    out = view(m, T_OUT)[row]
    out.anchor, out.time, out.source, out.count = seq, time, source, count


@kernel
def tell(m, row, seq, role):
    """Adds one piece of evidence to the last row."""
    meta = view(m, T_META)
    at = meta[SAID]
    meta[SAID] = at + 1
    told = view(m, T_TOLD)[at]
    told.seq, told.role = seq, role
    view(m, T_OUT)[row].last = at + 1


@part
def correctable(m, source):
    """Whether an event of this source may be updated or cancelled later."""
    corrects, sources = view(m, T_META)[CORRECTS], view(m, T_SOURCES)
    if corrects == NOBODY or source < 0 or source >= sources.size:
        return corrects == ALL
    return corrects == ALL or sources[source].corrects != 0


@part
def may_fall(m, n):
    """Whether one of the n found events may be taken back: then all of them are told, however much evidence there is already."""
    if view(m, T_META)[CORRECTS] == NOBODY:
        return False
    for i in range(n):
        if correctable(m, view(m, T_FOUND)[i].source):
            return True
    return False


@part
def tell_new(m, row, group, n, everything):
    """Adds those of the n found events to the row that the group has not told before, up to the limit of evidence or all of them."""
    g, found, known = view(m, T_GROUPS)[group], view(m, T_FOUND), view(m, T_EVIDENCE)
    first = group * EVIDENCE
    for i in range(n):
        if g.kept >= EVIDENCE:
            if everything:
                tell(m, row, found[i].seq, found[i].role)
            continue
        told = False
        for j in range(first, first + g.kept):
            if known[j] == found[i].seq:
                told = True
                break
        if told:
            if everything and i == 0:
                tell(m, row, found[i].seq, found[i].role)  # a match that fell and is back
        else:
            known[first + g.kept] = found[i].seq
            g.kept += 1
            tell(m, row, found[i].seq, found[i].role)


@part
def join(m, rule, group, seq, time, source, n):
    """A match joins a group. Once the group has all the evidence it keeps, one row a push stands for all joins of matches that
    cannot be taken back."""
    meta, g = view(m, T_META), view(m, T_GROUPS)[group]
    g.count += 1
    g.live += 1
    g.newest = max(g.newest, time)
    full, falls = g.kept >= EVIDENCE, may_fall(m, n)
    if full and not falls and g.push == meta[PUSH]:
        anchored(m, g.row, seq, time, source, g.count)
        return
    at = say(m, RAISE if g.count == 1 else JOIN, rule, g.number, seq, time, source, g.count)
    tell_new(m, at, group, n, falls)
    if full:
        g.push, g.row = NONE if falls else meta[PUSH], at


@kernel
def fire(m, rule, seq, time, source, spot, n):
    """A match: the first n found events are its evidence, the anchor first. Returns (number of its alert, slot of its group
    or -1), or (-1, -1) when a fact suppresses it."""
    meta, r, found = view(m, T_META), view(m, T_RULES)[rule], view(m, T_FOUND)
    if r.unless < r.unless_end and spot.known and suppressed(m, rule, spot, time):
        meta[SUPPRESSED] += 1
        return NONE, NONE
    meta[MATCHES] += 1
    if r.thinned == 0:
        number = meta[NUMBER]
        meta[NUMBER] = number + 1
        row = say(m, RAISE, rule, number, seq, time, source, ONE)
        for i in range(n if may_fall(m, n) else min(n, EVIDENCE)):
            tell(m, row, found[i].seq, found[i].role)
        return number, NONE
    group = open_group(m, rule, source, spot, time)
    if group < 0:
        group = new_group(m, rule, source, spot)
    join(m, rule, group, seq, time, source, n)
    return view(m, T_GROUPS)[group].number, group


@kernel
def take_back(m, rule, number, slot, seq, time, source, match):
    """A match no longer holds because an event (`seq`) arrived late; `match` is its anchor. The row counts the matches of the alert that
    are left. With the last one the alert falls and nothing joins it any more."""
    left = leave(m, number, slot)
    if left == 0 and slot >= 0 and view(m, T_GROUPS)[slot].number == number:
        view(m, T_GROUPS)[slot].newest = LONG_AGO
    row = say(m, RETRACT, rule, number, seq, time, source, left)
    tell(m, row, seq, ZERO)
    if match >= 0:
        tell(m, row, match, AFTER_ROLE)


@kernel
def leave(m, number, slot):
    """Takes one match out of its group, if that is still there. Returns how many are left."""
    left = ZERO
    if slot >= 0 and view(m, T_GROUPS)[slot].number == number:
        g = view(m, T_GROUPS)[slot]
        g.live -= 1
        left = max(ZERO, g.live)
    return left
