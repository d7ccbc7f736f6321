"""Baselines of rates as text: a table people can read, one line for each key and hour of the week.

    key,weeks,day,hour,mean,sigma
    all,12,Mon,0,3.25,1.09

`key` as in `links.Key`; `weeks` from how many whole weeks; `day` and `hour` local; `mean` and `sigma` of the measure, in canonical units. Hours that
are missing have no baseline, so the key is as if it had not been learnt.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable
from typing import Final

from .operators import Baseline, Learnt

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS: Final = 168
COLUMNS: Final = ("key", "weeks", "day", "hour", "mean", "sigma")


def write_baseline(learnt: Iterable[Learnt]) -> str:
    """The table as CSV, keys sorted; the same for the same content, byte for byte."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in sorted(learnt, key=lambda each: each.key):
        for hour in range(HOURS):
            rows.writerow((one.key, one.weeks, DAYS[hour // 24], hour % 24, f"{one.means[hour]:.9g}", f"{one.sigmas[hour]:.9g}"))
    return out.getvalue()


def read_baseline(text: str, sigmas: float = 0.0, weeks: int = 4) -> Baseline:
    """A table as `write_baseline` makes it, or a person. Raises ValueError naming the line, what was found and what would be valid."""
    rows = csv.reader(io.StringIO(text))
    if tuple(next(rows, ())) != COLUMNS:
        raise ValueError(f"line 1: the first line must be {','.join(COLUMNS)}")
    found: dict[str, dict[int, tuple[int, float, float]]] = {}
    for row in rows:
        if row:
            key, hour, cell = _row(row, rows.line_num)
            if hour in found.setdefault(key, {}):
                raise ValueError(f"line {rows.line_num}: {key} has this hour twice")
            found[key][hour] = cell
    learnt = tuple(_learnt(key, hours) for key, hours in sorted(found.items()) if len(hours) == HOURS)
    return Baseline(sigmas, weeks, hashlib.sha256(write_baseline(learnt).encode()).hexdigest()[:16], learnt)


def _learnt(key: str, hours: dict[int, tuple[int, float, float]]) -> Learnt:
    cells = [hours[hour] for hour in range(HOURS)]
    return Learnt(key, min(weeks for weeks, _, _ in cells), tuple(mean for _, mean, _ in cells), tuple(sigma for _, _, sigma in cells))


def _row(row: list[str], line: int) -> tuple[str, int, tuple[int, float, float]]:
    try:
        key, weeks, day, hour, mean, sigma = row
        place = DAYS.index(day) * 24 + int(hour)
        cell = int(weeks), float(mean), float(sigma)
    except ValueError:
        raise ValueError(f"line {line}: found {','.join(row)!r}; valid is for example 'all,12,Mon,0,3.25,1.09'") from None
    if not (0 <= int(hour) < 24 and cell[0] >= 0 and math.isfinite(cell[1]) and math.isfinite(cell[2]) and cell[2] >= 0):
        raise ValueError(f"line {line}: found {','.join(row)!r}; hours are 0 to 23, weeks and sigma not below 0, and all numbers finite")
    return key, place, cell
