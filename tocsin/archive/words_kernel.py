"""The compiled making of words from texts (`kernel/texthash.py`): what numpy does there in a dozen passes, in one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_EIGHT = np.uintp(8)
_HALF = np.uint64(32)
_MIX = np.uint64(0xBF58476D1CE4E5B9)

_compiled: Any = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # not in its annotations


@_compiled
def worded(texts, begins, masks, times, words):  # type: ignore[no-untyped-def]
    """Writes the word of every text that is no longer than eight bytes for each of `masks`; 0 for the others. How many others.

    `texts`: bytes of all of them, `begins`: where each begins, and the end. `times`: a factor for each mask, and one for the length."""
    longest, others = _EIGHT * np.uintp(masks.size), 0
    for row in range(words.size):
        start, stop = np.uintp(begins[row]), np.uintp(begins[row + 1])  # unsigned: no place is counted from the end
        if stop - start > longest:
            words[row] = np.uint64(0)
            others += 1
            continue
        total = np.uint64(stop - start) * times[masks.size]
        place = 0
        while start < stop:
            word = np.uint64(0)
            for at in range(min(_EIGHT, stop - start)):
                word |= np.uint64(texts[start + np.uintp(at)]) << np.uint64(_EIGHT * np.uintp(at))
            word = (word ^ masks[place]) * times[place]
            word = (word ^ (word >> _HALF)) * _MIX
            total += word ^ (word >> _HALF)
            start += _EIGHT
            place += 1
        total = (total ^ (total >> _HALF)) * _MIX
        words[row] = total ^ (total >> _HALF)
    return others
