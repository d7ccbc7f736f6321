"""The pixels of a screenshot, without an image library: PNG (ISO/IEC 15948) as Chromium writes it, 8 bits, RGB or RGBA."""

from __future__ import annotations

import struct
import zlib


def decode_png(png: bytes) -> list[tuple[int, int, int]]:
    """All pixels as (red, green, blue), row by row."""
    at, packed, width, depth, kind = 8, b"", 0, 0, 0
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        if name == b"IHDR":
            width, _, depth, kind = struct.unpack_from(">IIBB", body)
        elif name == b"IDAT":
            packed += body
        at += 12 + length
    assert depth == 8
    step = {2: 3, 6: 4}[kind]
    raw, stride = zlib.decompress(packed), width * step + 1
    above, pixels = bytearray(width * step), []
    for start in range(0, len(raw), stride):
        above = _unfiltered(raw[start], bytearray(raw[start + 1 : start + stride]), above, step)
        pixels += [(above[i], above[i + 1], above[i + 2]) for i in range(0, len(above), step)]
    return pixels


def _unfiltered(method: int, row: bytearray, above: bytearray, step: int) -> bytearray:
    for i in range(len(row)):
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        guess = (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[method]
        row[i] = (row[i] + guess) & 255
    return row


def _paeth(left: int, up: int, corner: int) -> int:
    start = left + up - corner
    return min((left, up, corner), key=lambda one: abs(start - one))
