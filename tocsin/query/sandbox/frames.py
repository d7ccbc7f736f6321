"""What the asking process and the sandbox say to each other: frames of a letter, a length and bytes, over two pipes."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

_HEAD: Final = struct.Struct("<cQ")
#: No frame of the house is larger.
FRAME_MOST: Final = 1 << 32

ASKED, NEEDS, FILES, ROWS, DONE, FAILED = b"A", b"N", b"F", b"R", b"D", b"X"


class Broken(Exception):
    """The other side has gone, or says what is no frame."""


def send(pipe: BinaryIO, kind: bytes, body: bytes = b"") -> None:
    pipe.write(_HEAD.pack(kind, len(body)))
    pipe.write(body)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[bytes, bytes]:
    """Raises Broken."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise Broken("the other side has gone")
    kind, length = _HEAD.unpack(head)
    if length > FRAME_MOST:
        raise Broken(f"a frame of {length} bytes")
    body = pipe.read(length)
    if len(body) < length:
        raise Broken("the other side has gone")
    return kind, body
