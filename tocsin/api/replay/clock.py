"""The clock of a replay: recorded time at a chosen speed, which stops, jumps, and never runs ahead of what has been read."""

from __future__ import annotations

import time
from collections.abc import Callable


class ReplayClock:
    """City time in µs. It runs while it plays, is not held, has not reached `stop` and is not at `limit`. `wall`: seconds, monotonic."""

    def __init__(self, at: int, stop: int, speed: float, playing: bool, wall: Callable[[], float] = time.monotonic) -> None:
        self.stop = stop
        self.limit = at  # what is known up to here has been read
        self._wall = wall
        self._at, self._since = at, wall()
        self._rate, self._playing = speed, playing

    def now(self) -> int:
        """City time, µs."""
        if not self._playing:
            return self._at
        end = min(self.stop, self.limit)
        at = max(self._at, min(end, self._at + round((self._wall() - self._since) * self._rate * 1e6)))
        if at >= end:  # waiting: time that passes meanwhile is not caught up with
            self._at, self._since = at, self._wall()
        return at

    @property
    def speed(self) -> float:
        """City seconds in a second; 0 while it stands still."""
        return self._rate if self._playing and self.now() < self.stop else 0.0

    @property
    def rate(self) -> float:
        """The speed it has while it plays."""
        return self._rate

    @property
    def playing(self) -> bool:
        return self._playing

    @property
    def ended(self) -> bool:
        return self.now() >= self.stop

    def set(self, *, speed: float | None = None, playing: bool | None = None) -> None:
        """From now on at another speed, or standing still, or running."""
        self._at, self._since = self.now(), self._wall()
        self._rate = self._rate if speed is None else speed
        self._playing = self._playing if playing is None else playing

    def read_to(self, moment: int) -> None:
        """What is known up to `moment` has been read."""
        self.now()
        if moment > self.limit:
            waited = self._at >= self.limit
            self.limit = moment
            if waited:
                self._since = self._wall()

    def wait_for(self, moment: int) -> float:
        """Seconds until it is `moment`, at this speed; infinite while it stands still."""
        return max(0.0, (moment - self.now()) / 1e6 / self._rate) if self._playing else float("inf")
