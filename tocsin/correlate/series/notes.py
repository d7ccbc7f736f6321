"""What anchors say besides: fields by which alerts are linked, remembered for events that may become anchors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .quiet import Quiet
from .sample import Sample
from .saving import load_samples, save_samples


class Notes(Quiet):
    """A member that finds nothing. `keep`: µs an event may wait until it becomes an anchor."""

    def __init__(self, fields: tuple[str, ...], keep: int) -> None:
        self.folded = 0
        self.fields = fields
        self._keep = keep
        self._noted: dict[int, Sample] = {}
        self.running: list[Callable[[], set[int]]] = []  # anchors that may still be needed, however old

    def of(self, seq: int, fields: Sequence[str]) -> tuple[Any, ...]:
        """Values of fields of an event; None for those it lacks, and for an event never noted."""
        noted = self._noted.get(seq)
        return tuple(None if noted is None else noted.more[self.fields.index(name)] for name in fields)

    def place(self, seq: int) -> tuple[float, float]:
        """Where an event was, degrees; NaN when it has no place or was never noted."""
        noted = self._noted.get(seq)
        return (math.nan, math.nan) if noted is None else (noted.lon, noted.lat)

    def take(self, samples: Sequence[Sample], _clock: int) -> None:
        """Events that some rule may choose as its anchor."""
        self._noted.update((sample.seq, sample) for sample in samples)

    def prune(self, clock: int) -> None:
        """Forgets events that are too old."""
        alive = set[int]().union(*(running() for running in self.running))
        self._noted = {seq: sample for seq, sample in self._noted.items() if sample.time >= clock - self._keep or seq in alive}

    def size(self) -> tuple[int, int]:
        """(no histories, events noted)."""
        return 0, len(self._noted)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {"fields": list(self.fields), **save_samples(self._noted.values())}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        known: list[str] = list(state["fields"])
        for sample in load_samples(state):
            told = dict(zip(known, sample.more, strict=True))
            self._noted[sample.seq] = sample._replace(more=tuple(told.get(name) for name in self.fields))

    def withdraw(self, _seqs: frozenset[int], _clock: int, _at: int) -> None:
        """What it said, it said."""
