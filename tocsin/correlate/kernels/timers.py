"""The heap of deadlines. A jump of the clock costs what is due, not what lies between.

Order: deadline, then two tie-breakers that depend only on the stream, so that firings come in one order whatever was pushed
together. An absence has (seq of its event, set of rules), a silence (-1 - watch, subject).
"""

from __future__ import annotations

from .layout import T_HEAP, T_META, TIMERS
from .memory import kernel, part, view


@kernel
def sooner(a, b):
    """Whether timer a comes before timer b."""
    if a.deadline != b.deadline:
        return a.deadline < b.deadline
    if a.first != b.first:
        return a.first < b.first
    return a.second < b.second


@part
def put(timer, deadline, first, second, at):
    """Fills a timer."""
    timer.deadline, timer.first, timer.second, timer.at = deadline, first, second, at


@kernel
def set_timer(m, deadline, first, second, at):
    """Adds a timer; the caller has seen to the room. The last place of the heap is its working memory."""
    meta, heap = view(m, T_META), view(m, T_HEAP)
    new = len(heap) - 1
    put(heap[new], deadline, first, second, at)
    i = meta[TIMERS]
    meta[TIMERS] = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if not sooner(heap[new], heap[parent]):
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = heap[new]


@kernel
def drop_first(m):
    """Removes the earliest timer."""
    meta, heap = view(m, T_META), view(m, T_HEAP)
    n = meta[TIMERS] - 1
    meta[TIMERS] = n
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and sooner(heap[child + 1], heap[child]):
            child += 1
        if not sooner(heap[child], heap[n]):
            break
        heap[i] = heap[child]
        i = child
    heap[i] = heap[n]
