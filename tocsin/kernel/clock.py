"""The node's clock: real time, or in an exercise recorded time running faster.

Every ingest time and tick is read from here, so an exercise at 720x is consistent in all stages: windows, lateness and
deadlines are in the city's time, never in the wall's.
"""

from __future__ import annotations

import time
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


class Monotone:
    """Readings of a clock that never go back: a clock jumping back freezes until real time catches up (SEMANTICS 2)."""

    def __init__(self, clock: Clock, last: int = 0) -> None:
        self.clock = clock
        self.last = last

    def now(self) -> int:
        self.last = max(self.last, self.clock.now())
        return self.last
