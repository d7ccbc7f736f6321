"""What operators with a history see and find: samples in event-time order, and matches."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

LONG_AGO: Final = -(1 << 62)
NEVER: Final = (1 << 63) - 1
#: Roles of evidence (`firing.Firings.role`).
ANCHOR, MEMBER, FIRST_STEP, AFTER, AREA, EARLY = 0, 1, 10, 30, 31, 32

Link = str | int | float | None


class Sample(NamedTuple):
    """One event as a rule sees it. Ordered by event time, then journal order.

    `flags`: bit i set when it passes the rule's ask i. `more`: what else the rule asked for (links, ends), in the order it did.
    """

    time: int
    seq: int
    source: int
    value: float
    lon: float
    lat: float
    flags: int
    more: tuple[Any, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether it has usable coordinates."""
        return not (math.isnan(self.lon) or math.isnan(self.lat))


class Found(NamedTuple):
    """A match. `time`: of the firing. `deadline`: it waits for the watermark to reach that time. `evidence`: (seq, role), anchor first.
    `born`: the place in the history, (time, seq), where it came to be; of a deadline (time, `NEVER`).
    `rests`: numbers of facts it rests on besides its anchor, where a rule asks for them."""

    anchor: Sample
    time: int
    deadline: bool
    evidence: tuple[tuple[int, int], ...]
    born: tuple[int, int]
    label: str = ""
    rests: tuple[int, ...] = ()

    @property
    def identity(self) -> tuple[int, int, str]:
        """Two evaluations that find the same match agree in this."""
        return self.anchor.seq, self.time, self.label


def at_sample(anchor: Sample, others: tuple[Sample, ...] = (), label: str = "") -> Found:
    """A match at the time of a sample. `others`: further evidence, without repetition."""
    evidence = ((anchor.seq, ANCHOR), *((other.seq, MEMBER) for other in dict.fromkeys(others) if other.seq != anchor.seq))
    return Found(anchor, anchor.time, False, evidence, (anchor.time, anchor.seq), label)


def at_deadline(anchor: Sample, time: int, others: tuple[Sample, ...] = (), label: str = "") -> Found:
    """A match between samples, at `time`."""
    return at_sample(anchor, others, label)._replace(time=time, deadline=True, born=(time, NEVER))
