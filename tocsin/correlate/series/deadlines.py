"""The next deadline of every rule while the clock moves: a heap, so that a deadline costs what is due and not a look at every rule."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from .sample import LONG_AGO, NEVER


class Waiting(Protocol):
    """Who has deadlines."""

    def next(self) -> int: ...
    def wake(self, at: int) -> None: ...


class Deadlines:
    """Of members in their order. A member's next deadline changes when it is woken, and otherwise only where `look` is told so."""

    def __init__(self, members: Sequence[Waiting]) -> None:
        self._members: Final = members
        self._at = [member.next() for member in members]
        self._heap = [(at, i) for i, at in enumerate(self._at) if at != NEVER]
        heapq.heapify(self._heap)

    def next(self) -> int:
        """The earliest, `NEVER` for none."""
        while self._heap and self._at[self._heap[0][1]] != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER

    def wake(self, at: int) -> None:
        """Wakes those that are due at `at`, the answer of `next`, in their order."""
        due: dict[int, None] = {}
        while self.next() == at:
            due[heapq.heappop(self._heap)[1]] = None
        for i in due:
            self._members[i].wake(at)
            self._at[i] = LONG_AGO  # its entry is gone, whatever it says now
        self.look(due)

    def look(self, numbers: Iterable[int]) -> None:
        """Something happened to these members."""
        for i in numbers:
            at = self._members[i].next()
            if at != self._at[i]:
                self._at[i] = at
                if at != NEVER:
                    heapq.heappush(self._heap, (at, i))
