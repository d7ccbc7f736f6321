"""Who may come in under overload: a bound per feed, and a shared bound that lower priorities reach first.

One flooding feed fills only its own share, so it can never take the memory another feed needs. What cannot be held is sent
back with `OverloadError`: the sender keeps it, nothing is dropped here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tocsin.kernel.fault import Retriable

MB: Final = 1 << 20
#: Part of the shared bound a feed may fill up to, by declared priority (1 highest): the highest number is shed first.
SHARES: Final = {1: 1.0, 2: 0.8, 3: 0.6}
LOWEST_SHARE: Final = 0.4


class OverloadError(Retriable):
    """The sender is too fast for now (HTTP 429), as opposed to a part of the house that is down (503)."""


class Hold:
    """Bytes held in memory for one message."""

    def __init__(self, budget: Budget, feed: str, priority: int) -> None:
        self._budget = budget
        self._feed = feed
        self._priority = priority
        self.size = 0

    def grow(self, size: int) -> None:
        """Asks for `size` more bytes. Raises `Retriable`, and then holds what it held before."""
        self._budget.take(self._feed, self._priority, size)
        self.size += size

    def release(self) -> None:
        self._budget.free(self._feed, self.size)
        self.size = 0


class Budget:
    """Bytes of messages in flight, per feed and together."""

    def __init__(self, per_feed: int = 64 * MB, total: int = 256 * MB) -> None:
        self.per_feed = per_feed
        self.total = total
        self.held: dict[str, int] = {}
        self.held_total = 0

    @contextmanager
    def hold(self, feed: str, priority: int) -> Iterator[Hold]:
        hold = Hold(self, feed, priority)
        try:
            yield hold
        finally:
            hold.release()

    def take(self, feed: str, priority: int, size: int) -> None:
        mine = self.held.get(feed, 0)
        if mine + size > self.per_feed:
            raise OverloadError(
                f"{feed} has {mine} bytes in flight and may have {self.per_feed}; send again when earlier messages are answered", 1.0
            )
        share = self.total * SHARES.get(priority, LOWEST_SHARE)
        if self.held_total + size > share:
            raise OverloadError(f"all feeds together have {self.held_total} bytes in flight; priority {priority} may fill {share:.0f}", 2.0)
        self.held[feed] = mine + size
        self.held_total += size

    def free(self, feed: str, size: int) -> None:
        self.held[feed] = self.held.get(feed, 0) - size
        self.held_total -= size
