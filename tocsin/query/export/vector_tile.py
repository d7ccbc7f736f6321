"""Mapbox Vector Tile 2.1 of the squares of a tile: one layer `events` of points with `rows`, `severity`, `kind`, `seq`."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa

from tocsin.query.points import EXTENT

LAYER: Final = "events"
MEDIA_TYPE: Final = "application/vnd.mapbox-vector-tile"
_POINT: Final = 1
_MOVE_TO_ONE: Final = 9  # command 1 (MoveTo), count 1
_PROPERTIES: Final = ("rows", "severity", "kind", "seq")


def to_tile(table: pa.Table) -> bytes:
    """Empty for no squares: an absent layer is a tile with nothing in it."""
    if not len(table):
        return b""
    columns = [table[name].to_pylist() for name in _PROPERTIES]
    places = zip(table["px"].to_pylist(), table["py"].to_pylist(), strict=True)
    values: dict[Any, int] = {}
    features = []
    for (x, y), row in zip(places, zip(*columns, strict=True), strict=True):
        tags = [n for key, value in enumerate(row) if value is not None for n in (key, values.setdefault(value, len(values)))]
        geometry = [_MOVE_TO_ONE, _zigzag(x), _zigzag(y)]
        features.append(_packed(2, tags) + _number(3, _POINT) + _packed(4, geometry))
    layer = [_bytes(1, LAYER.encode()), *(_bytes(2, one) for one in features), *(_bytes(3, name.encode()) for name in _PROPERTIES)]
    layer += [_bytes(4, _value(one)) for one in values]
    return _bytes(3, b"".join([*layer, _number(5, EXTENT), _number(15, 2)]))


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return _bytes(1, value.encode())
    if isinstance(value, float):
        return bytes([3 << 3 | 1]) + struct.pack("<d", value)
    return _number(6, _zigzag(value)) if value < 0 else _number(5, value)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _packed(field: int, numbers: Iterable[int]) -> bytes:
    return _bytes(field, b"".join(map(_varint, numbers)))
