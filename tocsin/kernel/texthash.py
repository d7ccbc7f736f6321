"""Texts to 64-bit words, a whole column at once: equal texts give equal words, and nobody outside can find two texts that share one.

A text is cut into words of eight bytes; each is stirred with secret numbers of its place (a secret mask, a secret multiplier), and the
sum is stirred again. The secrets are drawn when the process starts, so the words mean nothing outside it and are never written
down. Texts longer than `LONGEST` take Python's own string hash, which is keyed as well (SipHash).
"""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Words = NDArray[np.uint64]

#: Bytes; longer texts are quicker one by one.
LONGEST: Final = 32
_PLACES: Final = LONGEST // 8
#: The secrets, for whoever makes the same words by compiled code.
MASK: Final = np.array([secrets.randbits(64) for _ in range(_PLACES)], np.uint64)
TIMES: Final = np.array([secrets.randbits(64) | 1 for _ in range(_PLACES + 1)], np.uint64)  # the last for the length
_KEPT: Final = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # the first n bytes of a word
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_HALF: Final = np.uint64(32)


def text_words(column: pa.Array) -> Words:
    """One word per row of a string or binary column (32-bit offsets); that of a null is arbitrary."""
    count = len(column)
    if not count:
        return np.zeros(0, np.uint64)
    offsets = np.frombuffer(column.buffers()[1], np.int32, count + 1, 4 * column.offset)
    lengths = np.diff(offsets)
    words = _short(column, offsets, lengths)
    if int(lengths.max()) > LONGEST:
        long_words(column, words)
    return words


def long_words(column: pa.Array, words: Words) -> None:
    """Writes those of the texts that are longer than `LONGEST`."""
    offsets = np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, 4 * column.offset)
    rows = np.flatnonzero(np.diff(offsets) > LONGEST)
    words[rows] = np.array([hash(text) for text in column.take(pa.array(rows)).to_pylist()], np.int64).view(np.uint64)


def mixed(words: Words) -> Words:
    """Spreads every bit over the word (one round of SplitMix64's finaliser)."""
    words = words ^ (words >> _HALF)
    words *= _MIX
    words ^= words >> _HALF
    return words


def _short(column: pa.Array, offsets: NDArray[np.int32], lengths: NDArray[np.int32]) -> Words:
    first, span = int(offsets[0]), int(offsets[-1] - offsets[0])
    raw = np.zeros(span + 8, np.uint8)
    if span:
        raw[:span] = np.frombuffer(column.buffers()[2], np.uint8, span, first)
    eight = np.ndarray((span + 1,), "<u8", raw.data, 0, (1,))  # the eight bytes from every place on
    starts = offsets[:-1] - first
    shortest, longest = int(lengths.min()), int(lengths.max())
    total: Words = lengths.astype(np.uint64) * TIMES[_PLACES]
    for place in range(min(_PLACES, -(-longest // 8))):
        at = starts + 8 * place
        if shortest >= 8 * (place + 1):
            word = eight[at]
        else:
            left = lengths - 8 * place
            word = eight[np.minimum(at, span)] & _KEPT[np.clip(left, 0, 8)]
        word ^= MASK[place]
        word *= TIMES[place]
        word = mixed(word)
        if shortest <= 8 * place:
            word[left <= 0] = 0
        total += word
    return mixed(total)
