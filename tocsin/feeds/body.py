"""Reading an HTTP body that may be too large, or a few kilobytes that unpack to gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Final

GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's notation for "with a gzip header"


class BadBodyError(Exception):
    """`status`: the HTTP status with which a server says it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def read_body(chunks: AsyncIterator[bytes], encoding: str, limit: int, grow: Callable[[int], None] = lambda _: None) -> bytes:
    """The body, unpacked. Never holds more than `limit` bytes and one chunk; `grow` is told of every part before it is kept and
    may refuse it by raising. `encoding`: the Content-Encoding."""
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", "gzip"}:
        raise BadBodyError(415, f"content-encoding {encoding!r} is not known; send gzip or none")
    unpack = _Gunzip(limit) if encoding == "gzip" else None
    parts, size = [], 0
    async for chunk in chunks:
        part = unpack.feed(chunk) if unpack else chunk
        size += len(part)
        if size > limit:
            raise too_large(limit)
        grow(len(part))
        parts.append(part)
    if unpack and not unpack.finished:
        raise BadBodyError(400, "the gzip body ends before its end mark")
    return b"".join(parts)


def too_large(limit: int) -> BadBodyError:
    return BadBodyError(413, f"the body is larger than {limit} bytes")


class _Gunzip:
    """Unpacks step by step and never more than the limit, whatever the ratio."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = limit
        self._stream = zlib.decompressobj(GZIP)

    @property
    def finished(self) -> bool:
        return self._stream.eof

    def feed(self, chunk: bytes) -> bytes:
        try:
            part = self._stream.decompress(chunk, self._room + 1)
        except zlib.error as error:
            raise BadBodyError(400, f"the body is not gzip: {error}") from error
        if len(part) > self._room:
            raise too_large(self._limit)
        self._room -= len(part)
        if self._stream.unused_data:
            raise BadBodyError(400, "bytes follow the end of the gzip body")
        return part
