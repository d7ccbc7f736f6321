"""Waiting between attempts: exponential with full jitter, so that a thousand feeds do not knock at once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """`next()` gives seconds to wait: uniform in (0, min(cap, base * 2^n)]; `reset()` after a success."""

    base: float = 0.5
    cap: float = 60.0
    failures: int = 0
    rng: random.Random = field(default_factory=random.Random)

    def next(self) -> float:
        ceiling = min(self.cap, self.base * 2.0 ** min(self.failures, 20))
        self.failures += 1
        return self.rng.uniform(ceiling * 0.1, ceiling)

    def reset(self) -> None:
        self.failures = 0
