"""The grid of the archive: web-mercator tiles and their Morton codes."""

from __future__ import annotations

from math import atan, degrees, pi, sinh

from tocsin.model.archive import Box

#: Zoom of `cell` in events and in rollups.
EVENT_ZOOM, ROLLUP_ZOOM = 16, 14


def unmorton(code: int) -> tuple[int, int]:
    """x, y of a Morton code."""
    x = y = 0
    for bit in range(32):
        x |= (code >> (2 * bit) & 1) << bit
        y |= (code >> (2 * bit + 1) & 1) << bit
    return x, y


def tile_box(z: int, x: int, y: int) -> Box:
    """A tile's edges in degrees."""
    side = 1 << z
    return Box(x / side * 360 - 180, _lat(y + 1, side), (x + 1) / side * 360 - 180, _lat(y, side))


def _lat(y: int, side: int) -> float:
    return degrees(atan(sinh(pi * (1 - 2 * y / side))))
