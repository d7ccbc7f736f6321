"""Jobs of operators that keep a history: `history-OPERATOR-N` is N rules of one operator, with random kinds, thresholds and spans.

About three in a hundred events pass a rule that looks at their kind, but for `zone` and half of `inside`, which look at all of theirs: where
things are matters there, and not what they say. `accumulate` and `lasting` must hear all of them as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from shapely import box, to_wkb

from bench.stream import EXTENT, KINDS, LAT0, LON0, METRES_PER_DEGREE
from tocsin.model.links import Zone
from tocsin.model.plan import Accumulate, Alerts, Around, Change, Inside, Key, Match, Operator, Rate, Timer, ZoneEvent, Zones
from tocsin.model.predicate import Selector

SECOND, MINUTE = 1_000_000, 60_000_000
_KEYS: Final = (Key(), Key(), Key("cell", size=2_000.0), Key("all"))


def names() -> tuple[str, ...]:
    """All operators."""
    return tuple(_MAKERS)


def known(job: str) -> bool:
    """Whether a job is one of these."""
    head, _, rest = job.partition("-")
    name, _, number = rest.rpartition("-")
    return head == "history" and name in _MAKERS and number.isdigit() and int(number) > 0


def operators(job: str) -> list[Operator]:
    """The rules of a job."""
    _, name, number = job.split("-")
    rng = np.random.default_rng(1)
    made: list[Operator] = []
    while len(made) < int(number):
        made.append(_MAKERS[name](rng, len(made)))
    return made


def _of(rng: np.random.Generator, low: float = 2.0) -> Selector:
    """Telemetry of one kind; standardised values, so that about two in a hundred are 2 or more."""
    return Selector(f"kind.{int(rng.integers(10, KINDS))}", at_least=round(float(rng.uniform(low, low + 1.0)), 2))


def _span(rng: np.random.Generator) -> int:
    return int(rng.choice([1, 2, 5, 10])) * MINUTE


def _key(rng: np.random.Generator) -> Key:
    return _KEYS[int(rng.integers(0, len(_KEYS)))]


def _zones(rng: np.random.Generator) -> Zones:
    """Ten squares of one to three kilometres."""
    degree = METRES_PER_DEGREE
    zones = []
    for i in range(10):
        east, north, side = rng.uniform(0, EXTENT - 3_000), rng.uniform(0, EXTENT - 3_000), rng.uniform(1_000, 3_000)
        west, south = LON0 + east / (degree * np.cos(np.radians(LAT0))), LAT0 + north / degree
        zones.append(Zone(f"z{i}", to_wkb(box(west, south, west + side / degree, south + side / degree))))
    return Zones("squares", "", zones=tuple(zones))


def _rate(rng: np.random.Generator, _: int) -> Operator:
    return Rate(_of(rng), _span(rng), above=float(rng.integers(2, 6)), key=_key(rng))


def _change(rng: np.random.Generator, _: int) -> Operator:
    return Change(_of(rng), _span(rng), by=round(float(rng.uniform(0.5, 2.0)), 2), key=_key(rng))


def _accumulate(rng: np.random.Generator, _: int) -> Operator:
    return Accumulate(_of(rng), 10 * MINUTE, MINUTE, total=int(rng.integers(60, 180)) * SECOND)


def _lasting(rng: np.random.Generator, _: int) -> Operator:
    return Match(_of(rng), lasting=_span(rng), max_gap=2 * MINUTE)


def _timer(rng: np.random.Generator, _: int) -> Operator:
    return Timer(_of(rng), _span(rng), Key(), _of(rng))


def _zone(rng: np.random.Generator, _: int) -> Operator:
    return ZoneEvent(_of(rng, -9.0), str(rng.choice(["enters", "leaves"])), _zones(rng))


def _inside(rng: np.random.Generator, _: int) -> Operator:
    if rng.random() < 0.5:
        return Inside(_of(rng, -9.0), _zones(rng))
    return Inside(_of(rng), Around(_of(rng), 1_000.0, _span(rng)))


def _alerts(rng: np.random.Generator, number: int) -> Operator:
    """Every second rule raises, the one after it looks at two of those before."""
    if number % 2 == 0:
        return Match(_of(rng, 3.0))
    first, second = (f"r{2 * int(rng.integers(0, number // 2 + 1))}" for _ in range(2))
    return Alerts((first, second), str(rng.choice(["all", "any"])), 1_000.0, MINUTE)


_MAKERS: Final[dict[str, Callable[[np.random.Generator, int], Operator]]] = {
    "rate": _rate,
    "change": _change,
    "accumulate": _accumulate,
    "lasting": _lasting,
    "timer": _timer,
    "zone": _zone,
    "inside": _inside,
    "alerts": _alerts,
}
