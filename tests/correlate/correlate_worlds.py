"""Random rules and streams for the parity tests: crowded, late, at equal times, on edges, over the antimeridian."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from correlate_harness import SECOND, Entry, rule, selector
from hypothesis import strategies as st
from oracle import EARTH, Fact

from tocsin.model.plan import Absence, Active, Cluster, Match, Operator, Per, RulePlan, Silence, Step
from tocsin.model.plan import Sequence as Chain
from tocsin.model.predicate import Compare, Selector

DEGREE = math.pi * EARTH / 180
GRID = 200.0  # metres between places, so that radii of 400 m and 1200 m have places on their edge


@dataclass(frozen=True)
class World:
    """Knobs of a stream. `late`: seconds events may be late; `places`: how far the grid of places reaches from its middle."""

    seed: int
    entries: int = 30
    crowd: int = 4
    places: int = 2
    sources: int = 4
    late: int = 20
    lon: float = 179.999
    lat: float = 60.0
    withdraws: bool = False

    def stream(self) -> list[Entry]:
        random, clock, seq, made = Random(self.seed), 1_000 * SECOND, 0, []
        for _ in range(self.entries):
            clock += random.choice((0, 1, 1, 2, 5, 20)) * SECOND
            some = [self.fact(random, clock, seq + i) for i in range(random.randint(0, self.crowd))]
            gone = tuple(random.sample(range(seq), min(seq, 2))) if self.withdraws and random.random() < 0.2 else ()
            seq += len(some)
            made.append(Entry(clock, some, gone, clock - random.choice((0, 0, 5, 30)) * SECOND))
        made.append(Entry(clock + 200 * SECOND))
        return made

    def fact(self, random: Random, clock: int, seq: int) -> Fact:
        placed = random.random() < 0.95
        lateness = random.choice((0, 0, 0, 1, 2, -3, random.randint(0, self.late), random.randint(0, self.late + 15)))
        east, north = (random.randint(-self.places, self.places) * GRID / DEGREE for _ in range(2))
        name = random.randint(0, self.sources)
        return Fact(
            seq=seq,
            time=clock - lateness * SECOND,
            kind=random.choice(("a", "a", "a", "a.x", "b", "b.y", "ab")),
            source=(("f", f"s{name}") if name else random.choice((("f", None), ("g", "s1"), None))),
            lon=_wrapped(self.lon + east / math.cos(math.radians(self.lat))) if placed else math.nan,
            lat=self.lat + north if placed else math.nan,
            value=random.choice((None, 0.0, 1.0, 2.0, 3.0, 3.0)),
            dimension=random.choice(("length", "length", None)),
            severity=random.randint(0, 3),
            valid_until=random.choice((None, None, clock, clock + 15 * SECOND)),
        )


def _wrapped(lon: float) -> float:
    return (lon + 180) % 360 - 180


worlds = st.builds(
    World,
    seed=st.integers(0, 1 << 30),
    entries=st.integers(1, 40),
    crowd=st.integers(1, 8),
    places=st.integers(0, 4),
    sources=st.integers(1, 8),
    late=st.sampled_from((0, 5, 20)),
    lon=st.sampled_from((179.999, 0.0, -122.3)),
    lat=st.sampled_from((60.0, 0.0, -47.6)),
    withdraws=st.booleans(),
)


def some_selector(random: Random) -> Selector:
    where = random.choice((None, None, None, Compare("severity", ">=", 2), Compare("severity", ">=", 1)))
    return selector(
        random.choice(("a", "a", "a", "a.x", "b")),
        random.choice((None, None, 1.0, 2.0, 3.0)),
        dimension=random.choice((None, None, None, "length")),
        where=where,
    )


def some_radius(random: Random) -> float:
    return random.choice((400.0, 400.0, 1_200.0, 6_000.0, 40_000.0, 1_000_000.0))


def some_span(random: Random) -> int:
    return random.choice((0, 5, 20, 60)) * SECOND


def some_match(random: Random) -> Match:
    until = random.choice((None, some_selector(random), selector("a", where=Compare("value", "<=", 1))))
    return Match(some_selector(random), random.randint(1, 3), until)


def some_cluster(random: Random) -> Cluster:
    gap = random.choice((0, 0, 0, 2, 6)) * SECOND
    return Cluster(some_selector(random), some_radius(random), some_span(random), random.randint(1, 4), random.choice((1, 1, 3, 5)), gap)


def some_sequence(random: Random) -> Chain:
    steps = tuple(
        Step(some_selector(random), some_radius(random), some_span(random), random.choice((0, 0, 2)) * SECOND)
        for _ in range(random.randint(1, 3))
    )
    return Chain(some_selector(random), steps)


def some_absence(random: Random) -> Absence:
    return Absence(some_selector(random), some_selector(random), some_radius(random), some_span(random))


def some_silence(random: Random) -> Silence:
    by = random.choice(("source", "feed"))
    declared = ((), ("f/s1", "g/s9")) if by == "source" else ((), ("f", "h"))
    return Silence(some_selector(random), random.choice((1, 3, 10, 30)) * SECOND, by, random.choice(declared))


def some_per(random: Random) -> Per | None:
    if random.random() < 0.4:
        return None
    return Per(random.choice((0, 10, 60)) * SECOND, random.choice((None, 300.0, 900.0, 6_000.0)), random.random() < 0.4)


OPERATORS: dict[str, Callable[[Random], Operator]] = {
    "match": some_match,
    "cluster": some_cluster,
    "sequence": some_sequence,
    "absence": some_absence,
    "silence": some_silence,
}


def some_rules(seed: int, operators: tuple[str, ...], n: int) -> list[RulePlan]:
    random = Random(seed)
    rules = []
    for _ in range(n):
        unless = ()
        if random.random() < 0.2:
            unless = (Active(some_selector(random), some_radius(random), random.choice((0, 10)) * SECOND),)
        rules.append(rule(OPERATORS[random.choice(operators)](random), some_per(random), unless=unless))
    return rules
