"""The compiled reader of plain NDJSON: bytes to numbers and places of texts, in one pass. Loaded by `scan.py` when there is much to read.

It reads only what nobody could read differently: one object a line, keys and texts without escapes, numbers that a double holds exactly.
Whatever else it finds, it gives up, and the body is read the ordinary way. Small functions are given addresses and numbers instead of
arrays: counting who holds an array costs more than reading a key.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .scan_doors import GIVEN_UP, NUMBER, TEXT

_EXACT = 1 << 53  # whole numbers up to here, times or over a power of ten up to the 22nd, are rounded once and so correctly
_POWERS = 10.0 ** np.arange(23)


#: As `scan_doors.py` has them compiled: nothing of Python is touched, so other threads may run.
_compiled = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # not in its annotations


@intrinsic
def _byte(typing, address, at):
    """The byte at `address + at`; the caller sees to it that it is there."""

    def load(context, builder, signature, arguments):
        place = builder.add(arguments[0], arguments[1])
        return builder.load(builder.inttoptr(place, ir.PointerType(ir.IntType(8))))

    return types.uint8(types.uintp, types.intp), load


@_compiled
def _skip(text, at, size):
    """Past blanks and tabs."""
    while at < size and (_byte(text, at) == 32 or _byte(text, at) == 9):
        at += 1
    return at


@_compiled
def _text_end(text, at, size):
    """The place of the quote that ends the text beginning at `at`, or -1: no end, an escape, or a control character."""
    while at < size:
        code = _byte(text, at)
        if code == 34:
            return at
        if code == 92 or code < 32:
            return -1
        at += 1
    return -1


@_compiled
def _same(text, at, other, begin, length):
    """Whether two stretches of bytes are equal."""
    for i in range(length):
        if _byte(text, at + i) != _byte(other, begin + i):
            return False
    return True


@_compiled
def _digits(text, at, size):
    """Past digits."""
    while at < size and 48 <= _byte(text, at) <= 57:
        at += 1
    return at


@_compiled
def _number_end(text, at, size):
    """Past a number as JSON writes it (RFC 8259, section 6), or -1."""
    if _byte(text, at) == 45:
        at += 1
    first = at
    at = _digits(text, at, size)
    if at == first or (_byte(text, first) == 48 and at > first + 1):
        return -1
    if at < size and _byte(text, at) == 46:
        first = at + 1
        at = _digits(text, first, size)
        if at == first:
            return -1
    if at < size and (_byte(text, at) == 101 or _byte(text, at) == 69):
        first = at + 1
        if first < size and (_byte(text, first) == 43 or _byte(text, first) == 45):
            first += 1
        at = _digits(text, first, size)
        if at == first:
            return -1
    return at


@_compiled
def _exponent(text, at, end):
    """The number after `e`, at most 999 in size."""
    sign, found = 1, 0
    if _byte(text, at) == 43 or _byte(text, at) == 45:
        sign = -1 if _byte(text, at) == 45 else 1
        at += 1
    while at < end:
        found = min(999, 10 * found + np.int64(_byte(text, at)) - 48)
        at += 1
    return sign * found


@_compiled
def _number(text, begin, end):
    """(value, whether it is exact) of a number that is written as it should be."""
    negative = _byte(text, begin) == 45
    at, whole, digits, shift, step = begin + np.int64(negative), 0, 0, 0, 0
    while at < end:
        code = np.int64(_byte(text, at))
        if code == 46:
            step = 1
        elif code == 101 or code == 69:
            shift += _exponent(text, at + 1, end)
            break
        else:
            if digits > 0 or code != 48:
                digits += 1
            if digits > 18:
                return 0.0, False
            whole = 10 * whole + code - 48
            shift -= step
        at += 1
    if whole > _EXACT or shift < -22 or shift > 22 or (negative and whole == 0):
        return 0.0, False
    value = whole * _POWERS[shift] if shift >= 0 else whole / _POWERS[-shift]
    return (-value if negative else value), True


@_compiled
def _word(text, at, size, words):
    """Past `true`, `null` or `false`, or -1. `words`: address of those, one after the other."""
    for begin, length in ((0, 4), (4, 4), (8, 5)):
        if at + length <= size and _same(text, at, words, begin, length):
            return at + length
    return -1


@_compiled
def _line(text, size, at, row, names, cuts, words, kinds, here, begins, ends, numbers):
    """Reads the members of the object whose `{` is before `at`; past its `}`, or -1."""
    guess, count = 0, kinds.size
    at = _skip(text, at, size)
    if at < size and _byte(text, at) == 125:
        return at + 1
    while at < size and _byte(text, at) == 34:
        end = _text_end(text, at + 1, size)
        if end < 0:
            return -1
        field = -1
        for number in range(guess, guess + count):
            number -= count if number >= count else 0
            if cuts[number + 1] - cuts[number] == end - at - 1 and _same(text, at + 1, names, cuts[number], end - at - 1):
                field, guess = number, number + 1
                break
        colon = _skip(text, end + 1, size)
        begin = _skip(text, colon + 1, size)
        if begin >= size or _byte(text, colon) != 58:
            return -1
        code = _byte(text, begin)
        if code == 34:
            end = _text_end(text, begin + 1, size) + 1
            if end == 0 or (field >= 0 and kinds[field] != TEXT):
                return -1
            if field >= 0:
                here[field, row], begins[field, row], ends[field, row] = 1, begin + 1, end - 1
        elif code == 45 or 48 <= code <= 57:
            end = _number_end(text, begin, size)
            if end >= 0 and field >= 0:
                value, exact = _number(text, begin, end)
                if not exact or kinds[field] != NUMBER:
                    return -1
                here[field, row], numbers[field, row] = 1, value
        else:
            end = _word(text, begin, size, words)
            if field >= 0:
                here[field, row] = 0
                if code != 110:
                    return -1
        if end < 0:
            return -1
        at = _skip(text, end, size)
        if at >= size or _byte(text, at) == 125:
            return at + 1 if at < size else -1
        if _byte(text, at) != 44:
            return -1
        at = _skip(text, at + 1, size)
    return -1


@_compiled
def scan(body, names, cuts, kinds, words, here, begins, ends, numbers):
    """Every line of `body` (uint8). `names`: the keys asked for, one after the other, cut at `cuts`; `kinds`: TEXT or NUMBER each.

    Fills for field f and row r `here[f, r]` (1 when there is a value), `begins`, `ends` (of a text) and `numbers`. Returns the number
    of rows, or GIVEN_UP. `words`: the bytes of `truenullfalse`.
    """
    at, row, size = 0, 0, body.size
    text, keys, literals = body.ctypes.data, names.ctypes.data, words.ctypes.data
    while at < size:
        if row >= here.shape[1] or _byte(text, at) != 123:
            return GIVEN_UP
        at = _line(text, size, at + 1, row, keys, cuts, literals, kinds, here, begins, ends, numbers)
        if at < 0 or (at < size and _byte(text, at) != 10):
            return GIVEN_UP
        at, row = at + 1, row + 1
    return row


@_compiled
def gather(body, begins, ends, offsets, out):
    """Texts one after the other: fills `offsets` (one more than texts) and `out`; returns how many bytes there are. A null has equal ends."""
    place = 0
    for row in range(begins.size):
        offsets[row] = place
        for at in range(begins[row], ends[row]):
            out[place] = body[at]
            place += 1
    offsets[begins.size] = place
    return place
