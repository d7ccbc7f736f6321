"""The compiled check whether ids are spelled from source and time (`model/rowids.py`): no text is made, every id is looked at once."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_ZERO, _NINE = 48, 57  # digits
_ONE = np.uintp(1)
_MOST = np.uintp(18)  # digits of a number that surely fits

_compiled: Any = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # not in its annotations


@_compiled
def spelled(ids, begins, names, name_begins, codes, times, forms, separator, width, form):  # type: ignore[no-untyped-def]
    """Writes `form` to every row that has none yet and whose id is its source's name, the separator and its time in units of `width` µs. How many.

    `ids`, `names`: bytes of all texts, `begins`, `name_begins`: where each begins, and the end. `codes`: name of each row's source, -1 for none."""
    found, unit = 0, np.uint64(width)
    for row in range(codes.size):
        code = codes[row]
        if forms[row] != 0 or code < 0 or times[row] < 0:
            continue
        start, stop = np.uintp(begins[row]), np.uintp(begins[row + 1])  # unsigned: no place is counted from the end
        first = np.uintp(name_begins[code])
        length = np.uintp(name_begins[code + 1]) - first
        place = start + length + _ONE
        if stop <= place or stop - place > _MOST or ids[place - _ONE] != separator or (ids[place] == _ZERO and stop - place > _ONE):
            continue
        at = np.uintp(0)
        while at < length and ids[start + at] == names[first + at]:
            at += _ONE
        number = np.uint64(0)
        while place < stop and _ZERO <= ids[place] <= _NINE:
            number = number * np.uint64(10) + np.uint64(ids[place] - _ZERO)
            place += _ONE
        if at == length and place == stop and number == np.uint64(times[row]) // unit:
            forms[row] = form
            found += 1
    return found
