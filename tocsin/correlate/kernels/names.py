"""Names to numbers: a table of names in flat arrays, searched for all names of a batch at once (`correlate/names.py` owns it).

`slots` (a power of two, at most half used) holds rows, -1 for none. Row r has its hash in `hashes`, its bytes in `text` from `ends[r]` to
`ends[r + 1]`. Names asked for lie one after the other in `raw`, cut at `offsets`.
"""

from __future__ import annotations

import numpy as np

from .memory import kernel, prefetch


@kernel
def hash_names(raw, offsets, seed, hashes):
    """Fills the hash of every name: FNV-1a from a seed nobody knows, and stirred, so that no sender can choose names that meet in one slot."""
    for i in range(offsets.size - 1):
        word = np.uint64(seed)
        for at in range(offsets[i], offsets[i + 1]):
            word = (word ^ np.uint64(raw[at])) * np.uint64(0x100000001B3)
        word = (word ^ (word >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
        hashes[i] = word ^ (word >> np.uint64(29))


@kernel
def find_names(raw, offsets, asked, slots, hashes, ends, text, numbers, out):
    """Fills the number of every name, -1 for one that is not known. `asked`: their hashes; `numbers`: of each row."""
    last = np.uint64(slots.size - 1)
    for i in range(asked.size):
        prefetch(slots, np.int64(asked[i] & last))
    for i in range(asked.size):
        row = slots[np.int64(asked[i] & last)]
        if row >= 0:
            prefetch(hashes, np.int64(row))
            prefetch(ends, np.int64(row))
            prefetch(numbers, np.int64(row))
    for i in range(asked.size):
        begin, length = np.int64(offsets[i]), np.int64(offsets[i + 1]) - np.int64(offsets[i])
        at, out[i] = np.int64(asked[i] & last), -1
        while slots[at] >= 0:
            row = np.int64(slots[at])
            if hashes[row] == asked[i] and ends[row + 1] - ends[row] == length:
                same, first = True, ends[row]
                for k in range(length):
                    if text[first + k] != raw[begin + k]:
                        same = False
                        break
                if same:
                    out[i] = numbers[row]
                    break
            at = (at + 1) & np.int64(last)


@kernel
def hang_names(slots, hashes, first, stop):
    """Enters rows [first, stop)."""
    last = np.uint64(slots.size - 1)
    for row in range(first, stop):
        at = np.int64(hashes[row] & last)
        while slots[at] >= 0:
            at = (at + 1) & np.int64(last)
        slots[at] = row
