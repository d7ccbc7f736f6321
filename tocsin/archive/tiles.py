"""Tiles of the web-mercator map as numbers: where a row lies, so that neighbours lie together in a file."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

ZOOM: Final = 16
SIDE: Final = 1 << ZOOM
HIGHEST: Final = 85.0511287798066  # degrees of latitude: the edge of the map
_SPREAD: Final = ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555))


def cells(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """Degrees -> Morton code of the tile at zoom 16 (its quadkey read as a number to base 4). Places beyond the map's edge count as on it."""
    x = np.clip((lon + 180.0) / 360.0 * SIDE, 0, SIDE - 1).astype(np.uint32)
    edge = np.radians(np.clip(lat, -HIGHEST, HIGHEST))
    y = np.clip((1.0 - np.arcsinh(np.tan(edge)) / np.pi) / 2.0 * SIDE, 0, SIDE - 1).astype(np.uint32)
    return (_spread(x) | (_spread(y) << np.uint32(1))).astype(np.int64)


def _spread(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A zero between any two of the lowest 16 bits."""
    for shift, mask in _SPREAD:
        bits = (bits | (bits << np.uint32(shift))) & np.uint32(mask)
    return bits
