"""What an Arrow IPC stream would grow to, read from its metadata before anything is unpacked.

A compressed buffer names its own uncompressed size (Arrow columnar format, "Compression"); 1 MB may claim terabytes. pyarrow offers no limit and
does not show these sizes, so the few fields needed are read from the flatbuffers here (format/Message.fbs), which pyarrow has verified.
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

from tocsin.kernel.fault import Skippable

LARGEST: Final = 256 << 20  # bytes, uncompressed, a message
_HEADER, _RECORD_BATCH, _DICTIONARY_BATCH = 2, 3, 2
_BUFFERS, _COMPRESSION = 2, 3


def check(body: bytes) -> None:
    """Raises Skippable when the stream is no Arrow IPC or would take more than `LARGEST` bytes."""
    total = 0
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(body))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        total += uncompressed(message)
        if total > LARGEST:
            raise Skippable(f"an Arrow stream of more than {LARGEST} bytes when uncompressed")


def uncompressed(message: pa.ipc.Message) -> int:
    """Bytes that the buffers of a message claim to be; 0 for a message that is not compressed."""
    data = message.metadata.to_pybytes()
    if message.type not in ("record batch", "dictionary"):
        return 0
    try:
        batch = _follow(data, struct.unpack_from("<I", data)[0], _HEADER)
        if batch is not None and message.type == "dictionary":
            batch = _follow(data, batch, 1)
        if batch is None or _follow(data, batch, _COMPRESSION) is None:
            return 0
        vector = _follow(data, batch, _BUFFERS)
        return 0 if vector is None else _claimed(data, vector, memoryview(message.body))
    except struct.error:
        raise Skippable("Arrow metadata that points outside itself") from None


def _claimed(data: bytes, vector: int, body: memoryview) -> int:
    total = 0
    for number in range(struct.unpack_from("<I", data, vector)[0]):
        offset, length = struct.unpack_from("<qq", data, vector + 4 + 16 * number)
        if length >= 8:
            total += max(length, struct.unpack_from("<q", body, offset)[0])
    return total


def _follow(data: bytes, table: int, field: int) -> int | None:
    """Where field `field` of the flatbuffers table at `table` leads to; None when it is not set."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * field >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    slot = struct.unpack_from("<H", data, vtable + 4 + 2 * field)[0]
    return table + slot + struct.unpack_from("<I", data, table + slot)[0] if slot else None
