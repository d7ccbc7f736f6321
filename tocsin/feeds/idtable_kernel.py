"""The compiled search of `idtable.py`: every key to its slot, in one pass in which the waits for memory overlap."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # not in its annotations
def seek(table, keys, slots):
    """Fills for each key (not 0) the slot of `table`, a power of two in size, that holds it, or the empty one (0) where it belongs; returns their
    number. Some slot of the table must be empty."""
    last = table.size - 1
    for i in range(keys.size):
        key = keys[i]
        at = np.int64(key & np.uint64(last))
        while table[at] != key and table[at] != 0:
            at = (at + 1) & last
        slots[i] = at
    return keys.size
