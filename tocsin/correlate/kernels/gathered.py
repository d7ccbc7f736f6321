"""Matches found by the shards, joined and told as if they had been found here."""

from __future__ import annotations

from .alerts import fire, take_back
from .cells import locate
from .layout import DONE, FULL_GROUPS, FULL_OUT, GROUPS_LIVE, RAISE, ROWS, SAID, T_FOUND, T_GROUPS, T_META, T_OUT, T_TOLD
from .memory import kernel, view


@kernel
def gather(m, rows, told, row):
    """Takes the matches from `row` on. Returns (where it stopped, the full table or DONE)."""
    meta, found = view(m, T_META), view(m, T_FOUND)
    while row < rows.size:
        r = rows[row]
        n = r.last - r.first
        if meta[ROWS] + 2 > view(m, T_OUT).size or meta[SAID] + n + 2 > view(m, T_TOLD).size:
            return row, FULL_OUT
        if meta[GROUPS_LIVE] + 1 >= view(m, T_GROUPS).size:
            return row, FULL_GROUPS
        if r.what == RAISE:
            for i in range(n):
                f = found[i]
                f.seq, f.role, f.source = told[r.first + i].seq, told[r.first + i].role, r.falls
            r.number, r.slot = fire(m, r.rule, r.seq, r.time, r.source, locate(r.lon, r.lat), n)
        else:
            take_back(m, r.rule, r.number, r.slot, r.seq, r.time, r.source, r.match)
        row += 1
    return row, DONE
