"""A made-up city: the stream all engines are measured on. The same arguments give the same bytes.

40 kinds (0-9 discrete events with a severity 1 to 5, 10-39 telemetry, standardised), 19,000 fixed and 1,000 moving sources,
12 hot spots in 60 x 60 km, bursts of high values ("incidents"), lateness exponential with mean 0.8 s plus 2 % uniform up
to 10 s. Events come in arrival order. No real place, person or agency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LON0, LAT0 = -74.0, 40.7
METRES_PER_DEGREE = 6_371_008.8 * np.pi / 180
KINDS, DISCRETE = 40, 10
FIXED, MOVING = 19_000, 1_000
EXTENT = 60_000.0
START = 1_760_000_000_000_000  # µs


@dataclass(frozen=True, slots=True)
class Stream:
    """n events in arrival order. `time`, `arrival`: int64 µs; `kind`: int16; `source`: int32; `lon`, `lat`: degrees; `value`: float64."""

    time: NDArray[np.int64]
    arrival: NDArray[np.int64]
    kind: NDArray[np.int16]
    source: NDArray[np.int32]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)

    def head(self, n: int) -> Stream:
        return Stream(*(getattr(self, name)[:n] for name in self.__slots__))


class _Places:
    """Positions that crowd around twelve hot spots."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.centres = rng.uniform(8_000, 52_000, (12, 2))
        self.spread = rng.uniform(400, 2_500, 12)

    def draw(self, n: int) -> NDArray[np.float64]:
        crowded = self.rng.random(n) < 0.6
        spot = self.rng.integers(0, 12, n)
        anywhere = self.rng.uniform(0, EXTENT, (n, 2))
        near = self.centres[spot] + self.rng.normal(0, 1, (n, 2)) * self.spread[spot][:, None]
        return np.clip(np.where(crowded[:, None], near, anywhere), 0, EXTENT - 1)


def _positions(rng: np.random.Generator, places: _Places, time: NDArray, source: NDArray, span: float) -> NDArray:
    """Fixed sources stay; moving ones follow a polyline with a waypoint every minute."""
    xy = np.empty((len(time), 2))
    fixed = places.draw(FIXED)
    moving = source >= FIXED
    xy[~moving] = fixed[source[~moving]]
    waypoints = int(span // 60) + 2
    steps = np.concatenate([places.draw(MOVING)[:, None, :], rng.normal(0, 400, (MOVING, waypoints, 2))], 1)
    way = np.cumsum(steps, 1) % EXTENT
    who, minute = source[moving] - FIXED, time[moving] / 60e6
    whole = minute.astype(int)
    part = (minute - whole)[:, None]
    xy[moving] = way[who, whole] * (1 - part) + way[who, whole + 1] * part
    return xy


def _values(rng: np.random.Generator, time: NDArray, source: NDArray, kind: NDArray, span: float) -> NDArray:
    """Telemetry N(0, 1) with a four-minute excursion at 5 % of the sources; discrete kinds carry a severity."""
    n = len(time)
    value = rng.normal(0, 1, n)
    when = rng.uniform(0, span * 1e6, FIXED + MOVING)
    excursion = rng.random(FIXED + MOVING) < 0.05
    value[excursion[source] & (np.abs(time - when[source]) < 120e6)] += 4
    discrete = kind < DISCRETE
    value[discrete] = rng.integers(1, 6, int(discrete.sum()))
    return value


def _incidents(rng: np.random.Generator, places: _Places, time: NDArray, xy: NDArray, value: NDArray, span: float) -> None:
    """1 % of the events are drawn to the incident nearest in time, with high values."""
    n, count = len(time), max(int(span / 3600 * 200), 4)
    where, when = places.draw(count), np.sort(rng.uniform(0.02, 0.9, count) * span * 1e6)
    starts = when[rng.integers(0, count, max(1, n // 100))] + rng.exponential(60e6, max(1, n // 100))
    rows = np.unique(np.minimum(np.searchsorted(time, starts), n - 1))
    nearest = np.argmin(np.abs(time[rows][:, None] - when[None, :]), 1)
    xy[rows] = np.clip(where[nearest] + rng.normal(0, 250, (len(rows), 2)), 0, EXTENT - 1)
    value[rows] = 5 + rng.random(len(rows))


def generate(n: int, span_s: float, seed: int = 7) -> Stream:
    """n events over `span_s` seconds. 5,000,000 over 3,600 s is the benchmark stream: 1,389 events/s, 40 x the reference city."""
    rng = np.random.default_rng(seed)
    places = _Places(rng)
    popularity = 1 / np.arange(1, 31) ** 0.6
    telemetry = DISCRETE + rng.choice(30, FIXED, p=popularity / popularity.sum())
    own_kind = np.where(rng.random(FIXED) < 0.15, rng.integers(0, DISCRETE, FIXED), telemetry)
    rate = np.concatenate([np.where(own_kind < DISCRETE, 0.15, 1.0) * rng.lognormal(0, 0.7, FIXED), np.full(MOVING, 2.0)])
    time = np.sort(rng.uniform(0, span_s * 1e6, n)).astype(np.int64)
    source = np.minimum(np.searchsorted(np.cumsum(rate) / rate.sum(), rng.random(n)), FIXED + MOVING - 1).astype(np.int32)
    kind = np.empty(n, np.int16)
    moving = source >= FIXED
    kind[~moving] = own_kind[source[~moving]]
    many = int(moving.sum())
    kind[moving] = np.where(rng.random(many) < 0.05, rng.integers(0, DISCRETE, many), DISCRETE + rng.integers(0, 30, many))
    xy = _positions(rng, places, time, source, span_s)
    value = _values(rng, time, source, kind, span_s)
    _incidents(rng, places, time, xy, value, span_s)
    late = np.minimum(rng.exponential(0.8e6, n), 10e6)
    uniform = rng.random(n) < 0.02
    late[uniform] = rng.uniform(0, 10e6, int(uniform.sum()))
    order = np.argsort(time + late, kind="stable")
    lon = LON0 + xy[:, 0] / (METRES_PER_DEGREE * np.cos(np.radians(LAT0)))
    lat = LAT0 + xy[:, 1] / METRES_PER_DEGREE
    arrival = (time + late).astype(np.int64) + START
    return Stream(
        time[order] + START, arrival[order], kind[order], source[order],
        lon[order], lat[order], np.round(value[order], 4),
    )  # fmt: skip
