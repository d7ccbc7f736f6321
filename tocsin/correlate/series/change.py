"""`change`: a value rises or falls by so much, or so fast, over a span of time (SEMANTICS 14)."""

from __future__ import annotations

from bisect import bisect_left

from tocsin.model.plan import Change

from .sample import LONG_AGO, Found, Sample, at_sample
from .track import Plain

#: Rounding forgiven at the edge, relative to the numbers compared: 1.2 m - 1.0 m is 20 cm.
SLACK = 1e-9


class ChangeMachine(Plain):
    """The history holds the passing samples; the state is whether the condition holds."""

    def __init__(self, when: Change) -> None:
        self._when = when
        self.reach = when.during
        self.blank = False

    def step(self, state: bool, samples: list[Sample], i: int, out: list[Found]) -> bool:
        """Judges the window that ends at a sample."""
        when, newest = self._when, samples[i]
        first = bisect_left(samples, (newest.time - when.during, LONG_AGO), 0, i)
        if i + 1 - first < when.samples:
            return False
        window = samples[first : i + 1]
        beside = self._by(window, when.by) if when.by is not None else self._slope(window, when.slope or 0.0)
        if beside is not None and not state:
            out.append(at_sample(newest, (beside,)))
        return beside is not None

    def _by(self, window: list[Sample], by: float) -> Sample | None:
        """The sample that the newest one differs from by enough: the newest of the smallest (largest)."""
        newest, direction = window[-1].value, self._when.direction
        values = [sample.value for sample in window]
        for wanted, extreme in (("rise", min(values)), ("fall", max(values))):
            if direction not in (wanted, "either"):
                continue
            difference = newest - extreme if wanted == "rise" else extreme - newest
            if difference >= by - SLACK * max(abs(newest), abs(extreme), by):
                return window[len(values) - 1 - values[::-1].index(extreme)]
        return None

    def _slope(self, window: list[Sample], slope: float) -> Sample | None:
        """The oldest sample, when the line through all of them is steep enough."""
        steepness = least_squares([sample.time for sample in window], [sample.value for sample in window])
        if steepness is None:
            return None
        directed = {"rise": steepness, "fall": -steepness}.get(self._when.direction, abs(steepness))
        return window[0] if directed >= slope * (1 - SLACK) else None


def least_squares(times: list[int], values: list[float]) -> float | None:
    """Slope per second of the line with the smallest squares; None when all samples are of one time."""
    n, start = len(times), times[0]
    seconds = [(time - start) / 1e6 for time in times]
    middle, mean = sum(seconds) / n, sum(values) / n
    spread = sum((second - middle) ** 2 for second in seconds)
    if times[-1] == start:
        return None
    return sum((second - middle) * (value - mean) for second, value in zip(seconds, values, strict=True)) / spread
