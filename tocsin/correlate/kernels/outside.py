"""Matches found outside the kernels (`correlate/series`): suppressed, thinned and told by the same rules as every other match.

What suppresses a match is what was known when its cause arrived: facts of the same push that came after it do not count, so that
a match does not depend on how a journal entry is cut into pushes.
"""

from __future__ import annotations

from .alerts import new_group, open_group, say, take_back, tell, tell_new
from .cells import apart, locate
from .layout import (
    EVIDENCE,
    JOIN,
    MATCHES,
    NONE,
    NUMBER,
    ONE,
    RAISE,
    SUPPRESSED,
    T_EVIDENCE,
    T_FACT_HEADS,
    T_FACTS,
    T_FOUND,
    T_GROUPS,
    T_META,
    T_RULES,
    T_UNLESS,
)
from .memory import kernel, part, view


@part
def hushed(m, rule, spot, time, before):
    """Whether a fact of the rule's `unless`, known before the journal position, is active at `time` and near `spot`."""
    r, unless, facts = view(m, T_RULES)[rule], view(m, T_UNLESS), view(m, T_FACTS)
    for u in range(r.unless, r.unless_end):
        at = view(m, T_FACT_HEADS)[unless[u].list]
        while at >= 0:
            fact = facts[at]
            if fact.seq < before and fact.time <= time < fact.until and apart(fact, spot) <= unless[u].limit:
                return True
            at = fact.next
    return False


@kernel
def outside(m, rule, seq, time, source, lon, lat, before, n):
    """A match whose n pieces of evidence stand in `found`, the anchor first. Returns (number of its alert, slot of its group or
    -1), or (-1, -1) when a fact suppresses it. The caller has seen to the room."""
    meta, r, found, spot = view(m, T_META), view(m, T_RULES)[rule], view(m, T_FOUND), locate(lon, lat)
    if spot.known and hushed(m, rule, spot, time, before):
        meta[SUPPRESSED] += 1
        return NONE, NONE
    meta[MATCHES] += 1
    if r.thinned == 0:
        number = meta[NUMBER]
        meta[NUMBER] = number + 1
        row = say(m, RAISE, rule, number, seq, time, source, ONE)
        for i in range(n):
            tell(m, row, found[i].seq, found[i].role)
        return number, NONE
    at = open_group(m, rule, source, spot, time)
    if at < 0:
        at = new_group(m, rule, source, spot)
    g = view(m, T_GROUPS)[at]
    g.count += 1
    g.live += 1
    g.newest = max(g.newest, time)
    row = say(m, RAISE if g.count == 1 else JOIN, rule, g.number, seq, time, source, g.count)
    tell_new(m, row, at, n, True)  # a match of a history may always fall
    if g.kept >= EVIDENCE:
        g.push, g.row = NONE, row
    return g.number, at


@kernel
def outside_back(m, rule, number, slot, seq, time, source):
    """The match anchored by `seq` no longer holds."""
    take_back(m, rule, number, slot, seq, time, source, seq)


@kernel
def outside_more(m, rule, number, slot, seq, time, source, n):
    """A match stands, on other evidence than before: what the alert does not have yet is in `found`."""
    known, found = view(m, T_EVIDENCE), view(m, T_FOUND)
    count = ONE
    thinned = slot >= 0 and view(m, T_GROUPS)[slot].number == number
    if thinned:
        count = view(m, T_GROUPS)[slot].count
    row = say(m, JOIN, rule, number, seq, time, source, count)
    for i in range(n):
        if not thinned:
            tell(m, row, found[i].seq, found[i].role)
            continue
        g, first, told = view(m, T_GROUPS)[slot], slot * EVIDENCE, False
        for j in range(first, first + g.kept):
            told = told or known[j] == found[i].seq
        if not told and g.kept < EVIDENCE:
            known[first + g.kept] = found[i].seq
            g.kept += 1
            tell(m, row, found[i].seq, found[i].role)
