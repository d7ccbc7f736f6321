"""Well-known binary (OGC 06-103r4, and PostGIS's EWKB) to GeoJSON geometry, for bytes from outside.

GEOS reads it too, but follows geometries within geometries on the machine's stack: a megabyte of nested collections ends the process. Collections
and curves are therefore not read at all.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final

import numpy as np

from .unfit import Unfit

_NAMES: Final = {1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
_Z, _M, _SRID = 0x80000000, 0x40000000, 0x20000000


def read(data: bytes) -> dict[str, Any]:
    """A GeoJSON geometry of the six simple types; heights and measures are left out. Raises Unfit."""
    try:
        reader = _Reader(data)
        geometry = reader.geometry()
    except (struct.error, ValueError, KeyError):
        raise Unfit(data, f"a geometry in well-known binary ({', '.join(_NAMES.values())})") from None
    if reader.at != len(data):
        raise Unfit(data, "a geometry in well-known binary: there are bytes after it")
    return geometry


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._order = "<"
        self._width = 2

    def geometry(self) -> dict[str, Any]:
        kind = self._head()
        if kind == 1:
            (position,) = self._positions(1)
            coordinates = [] if all(math.isnan(value) for value in position) else position  # NaN, NaN is the empty point
            return {"type": "Point", "coordinates": coordinates}
        if kind <= 3:
            return {"type": _NAMES[kind], "coordinates": self._positions(self._count()) if kind == 2 else self._rings()}
        parts = []
        for _ in range(self._count()):
            if self._head() != kind - 3:
                raise ValueError(kind)
            parts.append({4: lambda: self._positions(1)[0], 5: lambda: self._positions(self._count()), 6: self._rings}[kind]())
        return {"type": _NAMES[kind], "coordinates": parts}

    def _head(self) -> int:
        """Byte order and type of the geometry that follows; sets how its positions are read."""
        self._order = {0: ">", 1: "<"}[self._take("B")]
        code = self._take("I")
        if code & _SRID:
            self._take("I")
        plain = code & ~(_Z | _M | _SRID)
        self._width = 2 + bool(code & _Z) + bool(code & _M) + {0: 0, 1: 1, 2: 1, 3: 2}[plain // 1000]
        if plain % 1000 not in _NAMES:
            raise KeyError(code)
        return plain % 1000

    def _rings(self) -> list[list[list[float]]]:
        return [self._positions(self._count()) for _ in range(self._count())]

    def _positions(self, count: int) -> list[list[float]]:
        size = count * self._width * 8
        if self.at + size > len(self._data):
            raise ValueError(count)
        values = np.frombuffer(self._data, f"{self._order}f8", count * self._width, self.at)
        self.at += size
        found: list[list[float]] = values.reshape(count, self._width)[:, :2].tolist()
        return found

    def _count(self) -> int:
        count = self._take("I")
        if count > len(self._data):
            raise ValueError(count)
        return count

    def _take(self, code: str) -> int:
        (value,) = struct.unpack_from(self._order + code, self._data, self.at)
        self.at += struct.calcsize(self._order + code)
        return int(value)
