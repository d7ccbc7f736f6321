"""Functions for `test_machine.py` to compile."""

from __future__ import annotations

import numpy as np
from numba import njit

bare = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]
PAIR = np.dtype([("count", "i8"), ("weight", "f8")])


@bare
def nothing(a):
    a[0] += 1


@bare
def sums(whole, part, table, pairs, more):
    """(sum of everything, length of the table's rows)"""
    total = whole + np.int64(part)
    for row in range(table.shape[0]):
        for column in range(table.shape[1]):
            total += np.int64(table[row, column])
    for i in range(len(pairs)):
        total += pairs[i].count + np.int64(pairs[i].weight)
    return total + more, np.int64(table.shape[1])


@bare
def weighed(factor, counts, weights, table, ends):
    """(sum of counts times weights times the factor, cells of the table, length of ends, sum of ends)"""
    total, last = 0, 0
    for i in range(counts.size):
        total += counts[i] * np.int64(weights[i]) * factor
    for i in range(ends.size):
        last += ends[i]
    return total, np.int64(table.shape[0] * table.shape[1]), np.int64(ends.shape[0]), np.int64(last)


@bare
def divided(a, b):
    return a // b


@bare
def allocates(n):
    made = np.zeros(n, np.int64)
    for i in range(n):
        made[i] = i
    return made.sum()
