"""Where things are on the sphere: distances, and the hashed grid that finds neighbours without looking at everybody.

Distances are great-circle on the mean sphere (SEMANTICS 3). A place is kept as a unit vector, so the kernels compare chords:
`|a - b| <= 2 sin(r / 2R)` is the great-circle test itself, at any latitude, over the antimeridian and over the poles, with
three multiplications and no projection. The grid only proposes candidates.

A level is a grid of rows of equal height; each row is cut into as many columns as leave a cell at least `size` wide at its
poleward edge, so cells stay roughly square everywhere and a circle of radius `size` touches at most 3 x 3 of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .kernels.layout import LEVEL

#: Mean radius of the Earth, metres (IUGG R1).
RADIUS = 6_371_008.8
#: Cell sizes of the levels, metres. A search uses the finest level whose cells are at least as large as its radius; the last
#: level is one cell, the whole world.
SIZES = (500.0, 2_000.0, 8_000.0, 50_000.0, math.inf)
#: Above this radius a search walks the whole world instead of more than about a hundred cells of 50 km.
FARTHEST = 200_000.0
#: Edges are inclusive: this much rounding is forgiven, relative and in units of the Earth's radius (6 nanometres).
SLACK = 1e-9
GRAIN = 1e-15


@dataclass(frozen=True, slots=True)
class Grid:
    """The level tables as the kernels read them. `columns[level.first + row]`: columns of that row."""

    levels: NDArray[np.void]
    columns: NDArray[np.int64]


def great_circle(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Metres between two places in degrees, by the haversine formula."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_lat = math.sin((phi2 - phi1) / 2)
    half_lon = math.sin(math.radians(lon2 - lon1) / 2)
    square = half_lat * half_lat + math.cos(phi1) * math.cos(phi2) * half_lon * half_lon
    return 2 * RADIUS * math.asin(min(1.0, math.sqrt(square)))


def level_of(radius: float) -> int:
    """The level a search of this radius in metres uses."""
    if radius > FARTHEST:
        return len(SIZES) - 1
    return next((level for level, size in enumerate(SIZES[:-1]) if radius <= size), len(SIZES) - 2)


def chord_limit(radius: float) -> float:
    """The squared chord of the unit sphere up to which two places are within `radius` metres of each other."""
    chord = 2 * math.sin(min(radius / (2 * RADIUS), math.pi / 2))
    return (chord * (1 + SLACK) + GRAIN) ** 2


def search_angle(radius: float) -> tuple[float, float]:
    """(angle, sine of it) of the circle whose cells are looked through, radians: a little more than the radius, so that rounding
    never loses a cell. From a right angle on the sine is 2: every longitude."""
    angle = radius / RADIUS * (1 + SLACK) + 1e-11
    return min(angle, math.pi), math.sin(angle) if angle < math.pi / 2 else 2.0


def make_grid() -> Grid:
    """Builds the tables of all levels."""
    levels = np.zeros(len(SIZES), LEVEL)
    columns = []
    first = 0
    for level, size in zip(levels, SIZES, strict=True):
        counts = _columns(size)
        level["first"], level["rows"] = first, len(counts)
        columns.append(counts)
        first += len(counts)
    return Grid(levels, np.concatenate(columns).astype(np.int64))


def _columns(size: float) -> NDArray[np.float64]:
    rows = max(1, math.floor(math.pi * RADIUS / size))
    edges = np.linspace(-90.0, 90.0, rows + 1)
    poleward = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    around = 2 * math.pi * RADIUS * np.cos(np.radians(poleward))
    return np.maximum(1.0, np.floor(around / size))
