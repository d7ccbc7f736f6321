"""The node's clock: real time, or in an exercise recorded time running faster.

Every ingest time and tick is read from here, so an exercise at 720x is consistent in all stages: windows, lateness and
deadlines are in the city's time, never in the wall's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """City time = `city_start` + (wall - `wall_start`) x `speed`, in microseconds. The default is real time.

    Never before the last reading handed out by `Monotone`, even when the machine's clock jumps back.
    """

    speed: float = 1.0
    wall_start: int = 0
    city_start: int = 0

    def now(self) -> int:
        """City time, microseconds since 1970."""
        return self.at(time.time_ns() // 1000)

    def at(self, wall: int) -> int:
        return self.city_start + round((wall - self.wall_start) * self.speed)

    def wall_seconds(self, city_span: int) -> float:
        """How long a span of city time takes on the wall, seconds."""
        return city_span / self.speed / 1e6

    def to_json(self) -> dict[str, float | int]:
        return {"speed": self.speed, "wall_start": self.wall_start, "city_start": self.city_start}


#: While the machine's clock is behind what was told already, city time goes on at this part of its pace.
SLOWED = 0.5


class Monotone:
    """Readings of a clock that never go back (SEMANTICS 2).

    When the machine's clock is set back, city time goes on more slowly until real time has caught up: deadlines still pass, a
    silence is still noticed, and no moment comes twice. `held`: the clock's time -> the city's, while recordings catch up.
    """

    def __init__(self, clock: Clock, last: int = 0, held: Callable[[int], int] = lambda now: now) -> None:
        self.clock = clock
        self._held = held
        self.last = last
        self._read_at = time.monotonic_ns()

    @property
    def ahead(self) -> int:
        """How far city time is ahead of the machine's clock, microseconds: more than 0 after that was set back."""
        return max(0, self.last - self.clock.now())

    def now(self) -> int:
        at = time.monotonic_ns()
        slowed = self.last + round((at - self._read_at) / 1000 * self.clock.speed * SLOWED)
        reading = self._held(self.clock.now())
        self.last = reading if reading >= self.last else slowed
        self._read_at = at
        return self.last
