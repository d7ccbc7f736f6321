"""Bodies that are too large, or become so when they are unpacked."""

import gzip
import tracemalloc

import pytest

from tocsin.feeds.body import BadBodyError, read_body


async def chunks(*parts: bytes):
    for part in parts:
        yield part


async def test_a_bomb_is_never_unpacked_beyond_the_limit():
    bomb = gzip.compress(b"0" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(BadBodyError) as raised:
        await read_body(chunks(bomb), "gzip", 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raised.value.status == 413
    assert peak < 1_000_000


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_packed_body_is_the_same_in_any_pieces(size):
    clear = bytes(range(256)) * 100
    packed = gzip.compress(clear)
    parts = [packed[start : start + size] for start in range(0, len(packed), size)]
    asked = []
    assert await read_body(chunks(*parts), " GZIP ", len(clear), asked.append) == clear
    assert sum(asked) == len(clear)


async def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not():
    assert await read_body(chunks(b"ab", b"c"), "", 3) == b"abc"
    for encoding, body in (("identity", b"abcd"), ("gzip", gzip.compress(b"abcd"))):
        with pytest.raises(BadBodyError, match="larger than 3 bytes"):
            await read_body(chunks(body), encoding, 3)
