"""Places: degrees to unit vectors, cells of the grid, and the cells a circle touches (`geometry.py` builds the tables)."""

from __future__ import annotations

import math

import numpy as np

from .layout import T_CELLS, T_COLUMNS, T_LEVELS, Spot
from .memory import kernel, view

RADIANS = math.pi / 180
TURN = 1 / (2 * math.pi)
COLUMN_BITS = 20
CELL_BITS = 40  # row and column; the lane stands above them
#: Circles are taken this much larger when cells are listed, so that rounding never loses a cell.
WIDER = 1 + 1e-9
MARGIN = 1e-11  # radians, 0.06 mm


@kernel
def locate(lon, lat):
    """Degrees -> the place. NaN, infinite and impossible coordinates are unknown places."""
    if not (-90.0 <= lat <= 90.0 and -540.0 <= lon <= 540.0):
        return Spot(0.0, 0.0, 0.0, False)
    across = math.cos(lat * RADIANS)
    return Spot(across * math.cos(lon * RADIANS), across * math.sin(lon * RADIANS), math.sin(lat * RADIANS), True)


@kernel
def row_of(rows, latitude):
    """The row of a latitude in radians."""
    row = np.int64(math.floor((latitude / math.pi + 0.5) * rows))
    return min(max(row, 0), rows - 1)


@kernel
def turn_of(spot):
    """Longitude as a fraction of a turn in [0, 1), from the antimeridian eastward."""
    return math.atan2(spot.y, spot.x) * TURN + 0.5


@kernel
def cell_of(m, level, spot):
    """The cell a place lies in, as `row << COLUMN_BITS | column`."""
    grid = view(m, T_LEVELS)[level]
    row = row_of(grid.rows, math.atan2(spot.z, math.sqrt(spot.x * spot.x + spot.y * spot.y)))
    count = view(m, T_COLUMNS)[grid.first + row]
    column = np.int64(math.floor(turn_of(spot) * count))
    return row << COLUMN_BITS | column % count


@kernel
def cover(m, level, spot, angle):
    """Writes the cells that a circle of `angle` radians around `spot` touches into the table of cells; returns how many."""
    cells, columns, grid = view(m, T_CELLS), view(m, T_COLUMNS), view(m, T_LEVELS)[level]
    if grid.rows == 1:
        cells[0] = 0
        return 1
    angle = angle * WIDER + MARGIN
    across = math.sqrt(spot.x * spot.x + spot.y * spot.y)
    latitude = math.atan2(spot.z, across)
    reach = math.sin(angle)
    half = 1.0  # half the circle's width as a fraction of a turn; a circle over the pole has every longitude
    if reach < across:
        half = math.asin(reach / across) * TURN + 1e-12
    middle = turn_of(spot)
    n = 0
    for row in range(row_of(grid.rows, latitude - angle), row_of(grid.rows, latitude + angle) + 1):
        count = columns[grid.first + row]
        first = np.int64(math.floor((middle - half) * count))
        last = np.int64(math.floor((middle + half) * count))
        if last - first + 1 >= count:
            first, last = np.int64(0), np.int64(count - 1)
        for column in range(first, last + 1):
            cells[n] = row << COLUMN_BITS | column % count
            n += 1
    return n


@kernel
def apart(entry, spot):
    """Squared chord between a stored entry and a place."""
    dx = entry.x - spot.x
    dy = entry.y - spot.y
    dz = entry.z - spot.z
    return dx * dx + dy * dy + dz * dz


@kernel
def mix(key, mask):
    """A well spread slot for a 64-bit key (the finaliser of splitmix64)."""
    h = np.uint64(key)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((h ^ (h >> np.uint64(31))) & np.uint64(mask))
