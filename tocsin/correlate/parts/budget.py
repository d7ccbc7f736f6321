"""`alert.budget`: how many new alerts of a rule a span of time bears. Those beyond it are raised all the same; all are counted."""

from __future__ import annotations

from typing import Any

from tocsin.model.plan import Budget


class Purse:
    """Of one rule. `over`: alerts beyond the budget since start."""

    def __init__(self, budget: Budget) -> None:
        self.over = 0
        self._budget = budget
        self._within: list[tuple[int, str]] = []  # (journal clock, alert) of those within budget, oldest first
        self._row = 0  # alerts beyond it since the newest within it

    def spend(self, clock: int, alert: str) -> tuple[int, str]:
        """A new alert at a journal clock, ascending. Returns (0, "") when it is within budget; else its number beyond it and the newest alert
        within it. A span is closed at both ends."""
        self._within = [one for one in self._within if one[0] >= clock - self._budget.per]
        if len(self._within) < self._budget.alerts:
            self._within.append((clock, alert))
            self._row = 0
            return 0, ""
        self.over += 1
        self._row += 1
        return self._row, self._within[-1][1]

    def save(self) -> list[Any]:
        """Plain values."""
        return [self.over, self._within, self._row]

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self.over, within, self._row = state
        self._within = [(at, alert) for at, alert in within]
