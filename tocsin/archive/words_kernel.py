"""The compiled making of words from texts (`kernel/texthash.py`): what numpy does there in a dozen passes, in one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_HALF = np.uint64(32)
_MIX = np.uint64(0xBF58476D1CE4E5B9)

_compiled: Any = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # not in its annotations


@_compiled
def worded(texts, begins, masks, times, words):  # type: ignore[no-untyped-def]
    """Writes the word of every text that is no longer than eight bytes for each of `masks`; 0 for the others. How many others.

    `texts`: bytes of all of them, `begins`: where each begins, and the end. `times`: a factor for each mask, and one for the length."""
    longest, others = 8 * masks.size, 0
    for row in range(words.size):
        start, stop = begins[row], begins[row + 1]
        if stop - start > longest:
            words[row] = np.uint64(0)
            others += 1
            continue
        total = np.uint64(stop - start) * times[masks.size]
        place = 0
        while start < stop:
            word = np.uint64(0)
            for at in range(min(8, stop - start)):
                word |= np.uint64(texts[start + at]) << np.uint64(8 * at)
            word = (word ^ masks[place]) * times[place]
            word = (word ^ (word >> _HALF)) * _MIX
            total += word ^ (word >> _HALF)
            start += 8
            place += 1
        total = (total ^ (total >> _HALF)) * _MIX
        words[row] = total ^ (total >> _HALF)
    return others
