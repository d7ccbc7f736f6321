"""The grid of the archive: web-mercator tiles and their Morton codes."""

from __future__ import annotations

from math import asinh, atan, degrees, pi, radians, sinh, tan
from typing import Final

from tocsin.model.archive import Box

#: Tiles of ROLLUP_ZOOM whose ranges of cells are named one by one; a box over more of them has one range.
TILES_MOST: Final = 64
HIGHEST: Final = 85.0511287798066  # degrees of latitude: the edge of the map, beyond which places count as on it
_SLACK: Final = 1e-7  # degrees: what rounding may do to an edge
#: Zoom of `cell` in events and in rollups.
EVENT_ZOOM, ROLLUP_ZOOM = 16, 14
_SPREAD: Final = ((16, 0xFFFF0000FFFF), (8, 0xFF00FF00FF00FF), (4, 0xF0F0F0F0F0F0F0F), (2, 0x3333333333333333), (1, 0x5555555555555555))


def unmorton(code: int) -> tuple[int, int]:
    """x, y of a Morton code."""
    x = y = 0
    for bit in range(32):
        x |= (code >> (2 * bit) & 1) << bit
        y |= (code >> (2 * bit + 1) & 1) << bit
    return x, y


def morton(x: int, y: int) -> int:
    """Its Morton code: grows with x and with y. Both below 2 ** 32."""
    return _spread(x) | _spread(y) << 1


def _spread(bits: int) -> int:
    """A zero between any two of 32 bits."""
    for shift, mask in _SPREAD:
        bits = (bits | bits << shift) & mask
    return bits


def cell_ranges(box: Box) -> list[tuple[int, int]]:
    """Ranges of `cell` of an event, first and last, that hold every place of a box that does not cross the antimeridian. Files are sorted by tile, so whoever
    asks for them opens no other part of one."""
    return _ranges(box, ROLLUP_ZOOM) or [_one_range(box)]


def fine_ranges(box: Box) -> list[tuple[int, int]]:
    """As `cell_ranges`, and as narrow as can be said in few ranges."""
    return _ranges(box, EVENT_ZOOM) or _ranges(box, EVENT_ZOOM - 1) or cell_ranges(box)


def _edges(box: Box, zoom: int) -> tuple[int, int, int, int]:
    """First and last column, first and last row."""
    side = 1 << zoom
    west, east = (_column(lon, side) for lon in (box.west - _SLACK, box.east + _SLACK))
    north, south = (_row(lat, side) for lat in (box.north + _SLACK, box.south - _SLACK))
    return west, east, north, south


def _one_range(box: Box) -> tuple[int, int]:
    west, east, north, south = _edges(box, ROLLUP_ZOOM)
    shift = 2 * (EVENT_ZOOM - ROLLUP_ZOOM)
    return morton(west, north) << shift, (morton(east, south) + 1 << shift) - 1


def _ranges(box: Box, zoom: int) -> list[tuple[int, int]]:
    """By tiles of this zoom; empty where those are too many."""
    west, east, north, south = _edges(box, zoom)
    if (east - west + 1) * (south - north + 1) > TILES_MOST:
        return []
    shift = 2 * (EVENT_ZOOM - zoom)
    found: list[tuple[int, int]] = []
    for tile in sorted(morton(x, y) for x in range(west, east + 1) for y in range(north, south + 1)):
        first = tile << shift
        if found and found[-1][1] + 1 == first:
            first = found.pop()[0]
        found.append((first, (tile + 1 << shift) - 1))
    return found


def _column(lon: float, side: int) -> int:
    return min(max(int((lon + 180) / 360 * side), 0), side - 1)


def _row(lat: float, side: int) -> int:
    edge = radians(min(max(lat, -HIGHEST), HIGHEST))
    return min(max(int((1 - asinh(tan(edge)) / pi) / 2 * side), 0), side - 1)


def tile_box(z: int, x: int, y: int) -> Box:
    """A tile's edges in degrees."""
    side = 1 << z
    return Box(x / side * 360 - 180, _lat(y + 1, side), (x + 1) / side * 360 - 180, _lat(y, side))


def held_box(z: int, x: int, y: int) -> Box:
    """A tile's edges with all that lies on it: what is nearer to a pole than the edge of the map counts as on that edge."""
    box = tile_box(z, x, y)
    return Box(box.west, -90.0 if y == (1 << z) - 1 else box.south, box.east, 90.0 if y == 0 else box.north)


def _lat(y: int, side: int) -> float:
    return degrees(atan(sinh(pi * (1 - 2 * y / side))))
