"""The compiled check whether ids are spelled from source and time (`model/rowids.py`): no text is made, every id is looked at once."""

from __future__ import annotations

from typing import Any

import numba

_ZERO = 48  # the digit 0

_compiled: Any = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # not in its annotations


@_compiled
def spelled(ids, begins, names, name_begins, codes, times, forms, separator, width, form):  # type: ignore[no-untyped-def]
    """Writes `form` to every row that has none yet and whose id is its source's name, the separator and its time in units of `width` µs. How many.

    `ids`, `names`: bytes of all texts, `begins`, `name_begins`: where each begins, and the end. `codes`: name of each row's source, -1 for none."""
    found = 0
    for row in range(codes.size):
        code = codes[row]
        if forms[row] != 0 or code < 0 or times[row] < 0:
            continue
        start, first = begins[row], name_begins[code]
        length = name_begins[code + 1] - first
        digits = begins[row + 1] - start - length - 1
        if digits < 1 or digits > 19:
            continue
        at = 0
        while at < length and ids[start + at] == names[first + at]:
            at += 1
        if at < length or ids[start + length] != separator:
            continue
        number = times[row] // width
        place = begins[row + 1] - 1
        least = start + length + 1
        while place >= least and ids[place] == _ZERO + number % 10 and (number > 0 or place == begins[row + 1] - 1):
            number //= 10
            place -= 1
        if place < least and number == 0:
            forms[row] = form
            found += 1
    return found
