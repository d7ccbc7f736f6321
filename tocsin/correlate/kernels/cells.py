"""Places: degrees to unit vectors, cells of the grid, and the cells a circle touches (`geometry.py` builds the tables)."""

from __future__ import annotations

import math

import numpy as np

from .layout import COVER_STRIDE, COVERS, T_CELLS, T_CIRCLES, T_COLUMNS, T_COVERS, T_LEVELS, ZERO, Spot
from .memory import kernel, part, view

RADIANS = math.pi / 180
TURN = 1 / (2 * math.pi)
COLUMN_BITS = 20
MARGIN = 1e-12  # of a turn: rounding never loses a cell


NOWHERE = Spot(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False, ZERO)


@kernel
def locate(lon, lat):
    """Degrees -> the place. NaN, infinite and impossible coordinates are unknown places."""
    if not (-90.0 <= lat <= 90.0 and -540.0 <= lon <= 540.0):
        return NOWHERE
    across, turn = math.cos(lat * RADIANS), lon / 360 + 0.5
    x, y, z = across * math.cos(lon * RADIANS), across * math.sin(lon * RADIANS), math.sin(lat * RADIANS)
    return Spot(x, y, z, across, lat * RADIANS, turn - math.floor(turn), True, ZERO)


@kernel
def spot_at(x, y, z):
    """Unit vector -> the place."""
    across, turn = math.sqrt(x * x + y * y), math.atan2(y, x) * TURN + 0.5
    return Spot(x, y, z, across, math.atan2(z, across), turn - math.floor(turn), True, ZERO)


@kernel
def row_of(rows, latitude):
    """The row of a latitude in radians."""
    row = np.int64(math.floor((latitude * (1 / math.pi) + 0.5) * rows))
    return min(max(row, 0), rows - 1)


@kernel
def cell_of(m, level, spot):
    """The cell a place lies in, as `row << COLUMN_BITS | column`."""
    grid = view(m, T_LEVELS)[level]
    row = row_of(grid.rows, spot.latitude)
    count = view(m, T_COLUMNS)[grid.first + row]
    column = np.int64(spot.turn * count)
    return row << COLUMN_BITS | (column if column < count else 0)


@part
def half_width(spot, reach):
    """Half of the width in longitude of a circle whose angle has the sine `reach`, as a fraction of a turn. A circle over the pole
    has every longitude."""
    if reach >= spot.across:
        return 1.0
    s = reach / spot.across
    return (s * (1 + s * s) if s < 0.1 else math.asin(s)) * TURN + MARGIN  # asin(s) < s + s^3


@kernel
def cover(m, circle, spot):
    """The cells that a circle around `spot` touches, its own cell first, as (where they start in the table of cells, how many).

    Rules of one event ask for the same few circles again and again: a circle keeps the cells of its newest centre for each `Spot.cover`.
    """
    kept = circle * COVERS + spot.cover
    c, first = view(m, T_COVERS)[kept], kept * COVER_STRIDE
    if c.x != spot.x or c.y != spot.y or c.z != spot.z:
        c.x, c.y, c.z = spot.x, spot.y, spot.z
        c.count = touched(m, view(m, T_CIRCLES)[circle], spot, first)
    return first, c.count


@part
def touched(m, circle, spot, first):
    """Writes the cells that a circle touches into the table of cells; returns how many."""
    cells, columns, grid = view(m, T_CELLS), view(m, T_COLUMNS), view(m, T_LEVELS)[circle.level]
    own = cell_of(m, circle.level, spot)
    cells[first] = own
    n = first + 1
    half = half_width(spot, circle.reach)
    for row in range(row_of(grid.rows, spot.latitude - circle.angle), row_of(grid.rows, spot.latitude + circle.angle) + 1):
        count = columns[grid.first + row]
        left = np.int64(math.floor((spot.turn - half) * count))
        right = np.int64(math.floor((spot.turn + half) * count))
        if right - left + 1 >= count:
            left, right = np.int64(0), count - 1
        for column in range(left, right + 1):
            if column < 0:
                column += count
            elif column >= count:
                column -= count
            cell = row << COLUMN_BITS | column
            if cell != own:
                cells[n] = cell
                n += 1
    return n - first


@kernel
def apart(entry, spot):
    """Squared chord between a stored entry and a place."""
    dx = entry.x - spot.x
    dy = entry.y - spot.y
    dz = entry.z - spot.z
    return dx * dx + dy * dy + dz * dz


@kernel
def spread(key):
    """A 64-bit product whose upper bits every bit of the key reaches."""
    return np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)


@kernel
def slot_in(product, mask):
    """A slot for a spread key: the upper half over the lower."""
    return np.int64((product ^ (product >> np.uint64(32))) & np.uint64(mask))


@kernel
def head_in(product, key, mask):
    """The head of a spread key: four cells that lie in a square share a cache line."""
    return slot_in(product, mask >> 2) << 2 | (key >> COLUMN_BITS - 1 & 2) | (key & 1)


@kernel
def spread_square(key):
    """A product that every bit of the key reaches but the two that say which cell of its square it is."""
    return spread(key & ~np.int64(1 << COLUMN_BITS | 1))


@kernel
def mix(key, mask):
    """A well spread slot for a 64-bit key."""
    return slot_in(spread(key), mask)
