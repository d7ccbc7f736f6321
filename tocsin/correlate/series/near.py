"""Facts by place and by the fields they must agree in: who is near, within a span of time, without looking at everybody.

A bucket is a cube of the space the globe lies in (so poles and the antimeridian are places like any other) and one set of values.
In a bucket facts are kept per voice, the voice heard last at the end: who asks for different voices looks at few facts of each.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from tocsin.correlate.geometry import RADIUS, chord_limit

from .places import vector
from .sample import LONG_AGO, NEVER, Sample
from .saving import load_samples, save_samples

#: Metres that an edge of a bucket is longer than the distance asked for: rounding.
_SLACK: Final = 1.0
_STEPS: Final = tuple((i, j, k) for i in (0, -1, 1) for j in (0, -1, 1) for k in (0, -1, 1))
_ANYWHERE: Final = ((0, 0, 0),)


def cube(spot: tuple[float, float, float], edge: float) -> tuple[int, int, int]:
    """The cube of space a place on the unit sphere lies in."""
    return math.floor(spot[0] / edge), math.floor(spot[1] / edge), math.floor(spot[2] / edge)


class Cubes:
    """Which keys may lie near a place: all that were put within `within` metres of it, and some more."""

    def __init__(self, within: float) -> None:
        self._edge = (within + _SLACK) / RADIUS
        self._keys: dict[tuple[int, int, int], dict[int, None]] = {}

    def put(self, key: int, sample: Sample) -> None:
        """A key is at the place of a sample, which must have one."""
        self._keys.setdefault(cube(vector(sample.lon, sample.lat), self._edge), {})[key] = None

    def around(self, sample: Sample) -> list[int]:
        """Keys ascending."""
        x, y, z = cube(vector(sample.lon, sample.lat), self._edge)
        return sorted({key for i, j, k in _STEPS for key in self._keys.get((x + i, y + j, z + k), ())})

    def clear(self) -> None:
        """Forgets all."""
        self._keys.clear()


class Fact(NamedTuple):
    """A sample with its place on the unit sphere. Ordered by event time, then journal order."""

    time: int
    seq: int
    spot: tuple[float, float, float]
    sample: Sample


class Near:
    """`within`: metres, infinite for anywhere. `links`: how many values at the start of `more` must agree. `voice`: whose fact a sample is."""

    def __init__(self, within: float, links: int, voice: Callable[[Sample], Any]) -> None:
        self._anywhere = math.isinf(within)
        self._limit = math.inf if self._anywhere else chord_limit(within)
        self._edge = (within + _SLACK) / RADIUS
        self._links = links
        self._voice = voice
        self._buckets: dict[Any, dict[Any, list[Fact]]] = {}
        self._where: dict[int, tuple[Any, Any]] = {}  # seq -> bucket, voice
        self.newest = LONG_AGO  # event time

    def __len__(self) -> int:
        return len(self._where)

    def asks(self, sample: Sample) -> bool:
        """Whether a sample has what it takes to be near another: a place, and all the values."""
        return (self._anywhere or sample.placed) and None not in sample.more[: self._links]

    def add(self, sample: Sample) -> None:
        """Keeps a sample that `asks`."""
        spot = self._spot(sample)
        bucket, voice = (self._values(sample), self._cube(spot)), self._voice(sample)
        voices = self._buckets.setdefault(bucket, {})
        facts = voices.pop(voice, None) or []
        insort(facts, Fact(sample.time, sample.seq, spot, sample))
        voices[voice] = facts
        self._where[sample.seq] = bucket, voice
        self.newest = max(self.newest, sample.time)

    def around(self, sample: Sample, first: int, last: int) -> Iterator[tuple[Any, Iterator[Sample]]]:
        """Voices with facts near a sample and of event time first to last, both included: (voice, its facts, newest first). In one
        bucket the voice that was heard last comes first; a voice comes once for every bucket it was heard in."""
        if not self.asks(sample):
            return
        spot, values = self._spot(sample), self._values(sample)
        x, y, z = self._cube(spot)
        for i, j, k in _ANYWHERE if self._anywhere else _STEPS:
            voices = self._buckets.get((values, (x + i, y + j, z + k)))
            for voice in reversed(voices) if voices is not None else ():
                yield voice, self._of(voices[voice], sample.seq, spot, first, last)  # type: ignore[index]

    def _of(self, facts: list[Fact], but: int, spot: tuple[float, float, float], first: int, last: int) -> Iterator[Sample]:
        for at in range(bisect_right(facts, (last, NEVER)) - 1, -1, -1):
            fact = facts[at]
            if fact.time < first:
                return
            if fact.seq != but and (self._anywhere or _apart(spot, fact.spot) <= self._limit):
                yield fact.sample

    def get(self, seq: int) -> Sample | None:
        """A fact that is kept."""
        if seq not in self._where:
            return None
        bucket, voice = self._where[seq]
        return next(fact.sample for fact in self._buckets[bucket][voice] if fact.seq == seq)

    def remove(self, seqs: Iterable[int]) -> None:
        """Forgets facts."""
        for seq in seqs:
            if seq in self._where:
                bucket, voice = self._where.pop(seq)
                self._keep(bucket, voice, [fact for fact in self._buckets[bucket][voice] if fact.seq != seq])

    def prune(self, horizon: int) -> None:
        """Forgets facts older than that."""
        for bucket, voices in list(self._buckets.items()):
            for voice, facts in list(voices.items()):
                gone = bisect_left(facts, (horizon, LONG_AGO))
                for fact in facts[:gone]:
                    del self._where[fact.seq]
                if gone:
                    self._keep(bucket, voice, facts[gone:])

    def _keep(self, bucket: Any, voice: Any, facts: list[Fact]) -> None:
        voices = self._buckets[bucket]
        if facts:
            voices[voice] = facts
            return
        del voices[voice]
        if not voices:
            del self._buckets[bucket]

    def _values(self, sample: Sample) -> tuple[Any, ...]:
        """Texts and numbers are never equal, whatever they look like."""
        return sample.more[: self._links]

    def _spot(self, sample: Sample) -> tuple[float, float, float]:
        return (0.0, 0.0, 0.0) if self._anywhere else vector(sample.lon, sample.lat)

    def _cube(self, spot: tuple[float, float, float]) -> tuple[int, int, int]:
        if self._anywhere:
            return 0, 0, 0
        return cube(spot, self._edge)

    def save(self) -> Any:
        """Plain values and arrays; the order of voices in a bucket is kept."""
        return save_samples(fact.sample for voices in self._buckets.values() for facts in voices.values() for fact in facts)

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._buckets, self._where, self.newest = {}, {}, LONG_AGO
        for sample in load_samples(state):
            self.add(sample)


def _apart(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    """Squared chord, as `places.chord` adds it up."""
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2
