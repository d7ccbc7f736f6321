"""The heap of deadlines. A jump of the clock costs what is due, not what lies between.

Every node has four children, which lie in one cache line (the root is at `ROOT` so that they do). A timer is a deadline and a
reference: the number of a pending absence, or -1 - the number of a run of something heard. Equal deadlines come in an order
that depends only on the stream - absences by event and set of rules, after silences by watch and subject - so firings are the same
whatever was pushed together.
"""

from __future__ import annotations

from .layout import ROOT, T_HEAP, T_META, T_PENDING, T_RUNS, TIMERS
from .memory import kernel, part, view


@part
def rank_in_tie(m, at):
    """What orders a timer among those of the same deadline."""
    if at >= 0:
        pending = view(m, T_PENDING)[at]
        return pending.seq, pending.set
    run = view(m, T_RUNS)[-1 - at]
    return -1 - run.watch, run.subject


@kernel
def sooner(m, deadline, at, timer):
    """Whether the timer (deadline, at) comes before another one."""
    if deadline != timer.deadline:
        return deadline < timer.deadline
    first, second = rank_in_tie(m, at)
    other_first, other_second = rank_in_tie(m, timer.at)
    return first < other_first or (first == other_first and second < other_second)


@kernel
def set_timer(m, deadline, at):
    """Adds a timer; the caller has seen to the room."""
    meta, heap = view(m, T_META), view(m, T_HEAP)
    i = meta[TIMERS] + ROOT
    meta[TIMERS] += 1
    while i > ROOT:
        parent = (i >> 2) + 2
        if not sooner(m, deadline, at, heap[parent]):
            break
        heap[i] = heap[parent]
        i = parent
    heap[i].deadline, heap[i].at = deadline, at


@kernel
def drop_first(m):
    """Removes the earliest timer."""
    meta, heap = view(m, T_META), view(m, T_HEAP)
    meta[TIMERS] -= 1
    end = meta[TIMERS] + ROOT
    deadline, at = heap[end].deadline, heap[end].at
    i = ROOT
    while True:
        child = (i - 2) << 2
        if child >= end:
            break
        best = child
        for other in range(child + 1, min(child + 4, end)):
            if sooner(m, heap[other].deadline, heap[other].at, heap[best]):
                best = other
        if not sooner(m, heap[best].deadline, heap[best].at, heap[end]):
            break
        heap[i] = heap[best]
        i = best
    heap[i].deadline, heap[i].at = deadline, at
