"""`match` of single events whose guards are not the kernels' business."""

from __future__ import annotations

from .sample import Found, Sample, at_sample
from .track import Plain


class SingleMachine(Plain):
    """Every event is a match."""

    reach = 0
    blank = False

    def step(self, state: bool, samples: list[Sample], i: int, out: list[Found]) -> bool:
        """An event."""
        out.append(at_sample(samples[i]))
        return state
