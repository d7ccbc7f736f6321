"""What became of absences: fired, or answered only by Bs that may be cancelled. Kept for as long as a late B or a withdrawal can change it.

A ring in the order the verdicts were given. Positions only count up, and one below the first that is kept is forgotten, so
nothing is ever taken out of a chain. Chains run newest first per rule and cell. `given` is the watermark at the time, so it
never rises along a chain, and a late B of time b can only belong to verdicts given at b or later.
A fired verdict has the number of its alert in `group` and its slot; an answered one has no group.
"""

from __future__ import annotations

import numpy as np

from .cells import cell_of, mix
from .layout import (
    ANSWERED,
    CELL_BITS,
    CLOCK,
    FIRED,
    LATENESS,
    NONE,
    T_CIRCLES,
    T_GROUPS,
    T_META,
    T_RULES,
    T_SEARCHES,
    T_VERDICT_HEADS,
    T_VERDICTS,
    VERDICTS_FROM,
    VERDICTS_TO,
    WATERMARK,
)
from .memory import kernel, part, prefetch, view


@kernel
def verdict_at(m, position):
    """The verdict at a position."""
    verdicts = view(m, T_VERDICTS)
    return verdicts[position & verdicts.size - 1]


@kernel
def hang(m, position):
    """Puts a verdict at the head of its chain."""
    heads, verdict = view(m, T_VERDICT_HEADS), verdict_at(m, position)
    head = mix(verdict.key, heads.size - 1)
    verdict.older = heads[head]
    heads[head] = position


@part
def count(m, verdict, by):
    """Counts a verdict in or out."""
    view(m, T_META)[FIRED if verdict.group >= 0 else ANSWERED] += by


@part
def verdict_key(m, rule, spot):
    """The key of what becomes of an absence of a rule at a place; brings the head of its chain near."""
    search, heads = view(m, T_SEARCHES)[view(m, T_RULES)[rule].search], view(m, T_VERDICT_HEADS)
    key = np.int64(rule) << CELL_BITS | cell_of(m, view(m, T_CIRCLES)[search.circle].level, spot)
    prefetch(heads, mix(key, heads.size - 1))
    return key


@kernel
def give(m, key, event, group, slot):
    """Remembers a verdict on the absence that `event` started. The caller has seen to the room."""
    meta = view(m, T_META)
    position = meta[VERDICTS_TO]
    meta[VERDICTS_TO] = position + 1
    verdict = verdict_at(m, position)
    verdict.seq, verdict.time, verdict.source, verdict.given, verdict.alive = event.seq, event.time, event.source, meta[WATERMARK], 1
    verdict.x, verdict.y, verdict.z = event.spot.x, event.spot.y, event.spot.z
    verdict.key, verdict.group, verdict.slot = key, group, slot
    count(m, verdict, 1)
    hang(m, position)


@part
def drop(m, verdict):
    """Nothing can change a verdict any more."""
    verdict.alive = 0
    count(m, verdict, -1)


@kernel
def settled(m, verdict):
    """Whether no B that may still come can be late enough to matter."""
    return verdict.time + view(m, T_RULES)[verdict.key >> CELL_BITS].window + view(m, T_META)[LATENESS] < view(m, T_META)[CLOCK]


@kernel
def forget(m):
    """Makes room: the oldest verdicts go as long as they are settled."""
    meta = view(m, T_META)
    while meta[VERDICTS_FROM] < meta[VERDICTS_TO]:
        verdict = verdict_at(m, meta[VERDICTS_FROM])
        if verdict.alive != 0:
            if not settled(m, verdict):
                return
            drop(m, verdict)
        meta[VERDICTS_FROM] += 1


@kernel
def rehang(m):
    """Builds all chains and counts again from the verdicts alone."""
    meta, heads = view(m, T_META), view(m, T_VERDICT_HEADS)
    for i in range(heads.size):
        heads[i] = -1
    meta[FIRED] = meta[ANSWERED] = 0
    for position in range(meta[VERDICTS_FROM], meta[VERDICTS_TO]):
        hang(m, position)
        verdict = verdict_at(m, position)
        if verdict.alive != 0:
            count(m, verdict, 1)


@kernel
def given_since(m, time):
    """How many verdicts were given at a watermark of `time` or later: no late B of that time changes more."""
    meta = view(m, T_META)
    low, high = meta[VERDICTS_FROM], meta[VERDICTS_TO]
    while low < high:
        middle = (low + high) // 2
        if verdict_at(m, middle).given < time:
            low = middle + 1
        else:
            high = middle
    return meta[VERDICTS_TO] - low


@kernel
def withdraw_verdicts(m, seqs):
    """Drops the verdicts on withdrawn As (`seqs` ascending). Alerts that rest on them are the caller's, but a late answer to another
    match of such an alert must know."""
    meta, groups = view(m, T_META), view(m, T_GROUPS)
    for position in range(meta[VERDICTS_FROM], meta[VERDICTS_TO]):
        verdict = verdict_at(m, position)
        i = np.searchsorted(seqs, verdict.seq)
        if verdict.alive != 0 and i < seqs.size and seqs[i] == verdict.seq:
            if verdict.group >= 0 and verdict.slot >= 0 and groups[verdict.slot].number == verdict.group:
                groups[verdict.slot].live -= 1
            drop(m, verdict)


@kernel
def reopen(m, verdict):
    """A fired absence is answered by Bs that may be cancelled."""
    count(m, verdict, -1)
    verdict.group, verdict.slot = NONE, NONE
    count(m, verdict, 1)
