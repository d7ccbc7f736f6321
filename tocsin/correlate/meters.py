"""What the correlator counts about itself, as Prometheus text (exposition format 0.0.4, base units)."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PREFIX: Final = "tocsin_correlate_"
#: Upper edges of the latency histogram, seconds.
EDGES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KEPT: Final = 10_000


class Sample(NamedTuple):
    """One value of a metric. `kind`: counter or gauge; a counter's name gets `_total`. `labels`: as they are written between the braces."""

    name: str
    kind: str
    words: str
    value: float
    labels: str = ""


@dataclass(slots=True)
class Latency:
    """Receipt of the oldest record of an entry to the alert it raised being durable. Keeps the newest values for quantiles."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    total: float = 0.0
    newest: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def note(self, seconds: float) -> None:
        """Adds one alert."""
        self.counts[bisect_left(EDGES, seconds)] += 1
        self.total += seconds
        self.newest.append(seconds)

    def quantile(self, share: float) -> float | None:
        """Seconds that `share` of the newest alerts stayed within (nearest rank); None before the first."""
        ordered = sorted(self.newest)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def text(self, name: str, words: str) -> str:
        """As a Prometheus histogram."""
        lines, running = [f"# HELP {name} {words}", f"# TYPE {name} histogram"], 0
        for edge, count in zip((*map(str, EDGES), "+Inf"), self.counts, strict=True):
            running += count
            lines.append(f'{name}_bucket{{le="{edge}"}} {running}')
        return "\n".join([*lines, f"{name}_sum {self.total:.6f}", f"{name}_count {running}"]) + "\n"


@dataclass(slots=True)
class Counters:
    """Since this process started."""

    entries: int = 0
    events: int = 0
    repeated: int = 0  # entries delivered a second time, left out
    withdrawn: int = 0
    raised: int = 0
    amended: int = 0
    retracted: int = 0
    settings: int = 0
    snapshots: int = 0
    snapshot_failures: int = 0
    snapshot_seconds: float = 0.0
    snapshot_pause: float = 0.0
    snapshot_bytes: int = 0


COUNTER_WORDS: Final[Mapping[str, str]] = {
    "entries": "Journal entries taken in, ticks included.",
    "events": "Events taken in.",
    "repeated": "Journal entries delivered a second time and left out.",
    "withdrawn": "Facts taken back by an update or a cancel.",
    "raised": "Alerts told for the first time.",
    "amended": "Revisions told of standing alerts.",
    "retracted": "Revisions that retracted an alert.",
    "settings": "Times other rules came into force.",
    "snapshots": "Snapshots written.",
    "snapshot_failures": "Snapshots that could not be written.",
}


def render(samples: Iterable[Sample]) -> str:
    """Samples as text; those of one metric come together, under one HELP and TYPE."""
    lines: list[str] = []
    before = ""
    for sample in samples:
        name = PREFIX + sample.name + ("_total" if sample.kind == "counter" else "")
        value = str(int(sample.value)) if sample.value == int(sample.value) else repr(float(sample.value))
        if name != before:
            lines += [f"# HELP {name} {sample.words}", f"# TYPE {name} {sample.kind}"]
        lines.append(f"{name}{{{sample.labels}}} {value}" if sample.labels else f"{name} {value}")
        before = name
    return "\n".join(lines) + "\n"
