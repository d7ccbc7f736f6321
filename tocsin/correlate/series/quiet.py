"""Members whose matches complete on arrival alone: nothing in them waits for the clock."""

from __future__ import annotations

from .sample import NEVER


class Quiet:
    """The parts of a `runner.Member` without deadlines."""

    def settle(self, _clock: int, _watermark: int) -> None:
        """Nothing waits for the clock."""

    def stirs(self, _watermark: int) -> bool:
        """Nothing waits for the clock."""
        return False

    def next(self) -> int:
        """There are no deadlines."""
        return NEVER

    def wake(self, _at: int) -> None:
        """There are no deadlines."""
