"""Matches that join an alert which will be amended anyway: counted in arrays, a whole push at once, and folded in when it is told.

In a storm nearly every match joins a standing alert that has all the evidence it keeps and an amendment waiting for its second.
Such a match changes two numbers, so it costs array work and no Python object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .firing import Firings, What

_NONE = np.empty(0, np.int64)


class Joins:
    """Engine groups whose further matches only count. Every group here belongs to a standing case with an amendment pending."""

    def __init__(self) -> None:
        self._groups = _NONE  # ascending
        self._counts = _NONE
        self._clocks = _NONE
        self._new: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._groups) + len(self._new)

    def watch(self, group: int) -> None:
        """From now on matches without new evidence that join this group are only counted."""
        self._new[group] = None

    def take(self, firings: Firings, clock: int) -> NDArray[np.bool_]:
        """Counts what can be counted; returns which firings are left to look at one by one."""
        left = np.ones(len(firings), np.bool_)
        if self._new:
            self._merge()
        if not len(self._groups):
            return left
        rows = np.flatnonzero((firings.what == What.JOIN) & (np.diff(firings.offset) == 0))
        groups = firings.group[rows]
        at = np.searchsorted(self._groups, groups)
        known = at < len(self._groups)
        known[known] = self._groups[at[known]] == groups[known]
        rows, at = rows[known], at[known]
        self._counts[at] = firings.count[rows]  # counts of a group ascend, so that the last one stays
        self._clocks[at] = clock
        left[rows] = False
        return left

    def groups(self) -> list[int]:
        """Groups of which something may have been counted."""
        return self._groups.tolist()

    def look(self, group: int) -> tuple[int, int]:
        """(matches joined, journal clock of the newest) of a group; zeros when nothing was counted."""
        at = self._find(group)
        return (0, 0) if at < 0 else (int(self._counts[at]), int(self._clocks[at]))

    def forget(self, group: int) -> None:
        """Matches of this group are looked at one by one again. Look first: what was counted is gone."""
        self._new.pop(group, None)
        at = self._find(group)
        if at >= 0:
            self._groups, self._counts, self._clocks = (np.delete(a, at) for a in (self._groups, self._counts, self._clocks))

    def _find(self, group: int) -> int:
        at = int(np.searchsorted(self._groups, group))
        return at if at < len(self._groups) and self._groups[at] == group else -1

    def _merge(self) -> None:
        new = np.array([group for group in self._new if self._find(group) < 0], np.int64)
        self._new.clear()
        zeros = np.zeros(len(new), np.int64)
        groups = np.concatenate([self._groups, new])
        order = np.argsort(groups, kind="stable")
        self._groups = groups[order]
        self._counts = np.concatenate([self._counts, zeros])[order]
        self._clocks = np.concatenate([self._clocks, zeros])[order]
