"""How many events each hour of the week usually has, and which hours had many more or fewer."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Refused, Series
from tocsin.model.reporting import Report
from tocsin.model.time import DAY, EARLIEST, HOUR, LATEST, to_iso
from tocsin.query.ask import Questions
from tocsin.query.localtime import folded, zone_of

#: An hour is unusual beyond so many standard deviations of counts at random about the usual one.
UNUSUAL = 3.0
#: Hours without any event after which a busy city's feed was away.
SILENT = 24
_TOLD = 5
_UNITS = {
    "hour_of_week": "hours from Monday 00:00 of the city's clock", "usual": "events an hour", "weeks": "weeks", "last": "events an hour", "ratio": "last / usual",
    "deviations": "standard deviations",
}  # fmt: skip


def hourly_counts(questions: Questions, wanted: Filter, patience: Patience) -> tuple[np.ndarray, np.ndarray, str]:
    """Instants of all whole hours of the span (µs), how many events each had, and the query. Nothing is known of the hours before the first event;
    a span without an end has it after the last. Raises Refused where there is nothing to count."""
    start, stop = EARLIEST if wanted.start is None else wanted.start, LATEST if wanted.stop is None else wanted.stop
    if stop - start < 2 * HOUR:
        raise Refused(f"span: found {max(0, stop - start) / HOUR:.1f} hours; valid is a start and an end some weeks apart")
    first, last = -(-start // HOUR), stop // HOUR
    whole = replace(wanted, start=first * HOUR, stop=last * HOUR)
    answer = questions.series(Series(whole, "hour", zone="UTC", confirmed=True), patience)
    counts = np.zeros(last - first, np.int64)
    counts[answer.table["start"].to_numpy() // HOUR - first] = answer.table["rows"].to_numpy()
    there = np.flatnonzero(counts)
    if not len(there):
        raise Refused("span: found no event of it in the archive; valid is a span with some, see 'tocsin archive status'")
    some = slice(int(there[0]), None if wanted.stop is not None else int(there[-1]) + 1)
    return (np.arange(first, last, dtype=np.int64) * HOUR)[some], counts[some], answer.sql


def heard(instants: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which hours count, and a note on those that do not: a day and more without any event, where at least every fourth hour has some, is a feed
    that was away, and no quiet day."""
    known = np.ones(len(counts), np.bool_)
    if np.count_nonzero(counts) < len(counts) / 4:  # such events are rare: silence is usual
        return known, ()
    edges = np.flatnonzero(np.diff(np.concatenate(([0], counts == 0, [0]))))
    stretches = [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2) if end - begin >= SILENT]
    for begin, end in stretches:
        known[begin:end] = False
    told = [f"{to_iso(int(instants[begin]))} to {to_iso(int(instants[end - 1]) + HOUR)}" for begin, end in stretches[:_TOLD]]
    words = (
        f"left out, because nothing at all was heard for a day or longer: {', '.join(told)}{' and more' if len(stretches) > _TOLD else ''}"
    )
    return known, (words,) if stretches else ()


def hour_of_week(instants: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """0 (Monday 00:00) to 167 on the city's clock."""
    return folded(instants // HOUR, HOUR, "hour-of-week", zone)


def volume(questions: Questions, wanted: Filter, zone_name: str, patience: Patience) -> Report:
    """Columns `hour_of_week`, `usual` (mean of the weeks before the last 7 days), `last` (the last 7 days), `ratio`, `deviations`, `unusual`."""
    zone = zone_of(zone_name)
    instants, counts, sql = hourly_counts(questions, wanted, patience)
    known, gaps = heard(instants, counts)
    instants, counts = instants[known], counts[known]
    recent = instants >= int(instants[-1]) + HOUR - 7 * DAY
    if recent.all():
        raise Refused("span: found a week or less; valid is more than one week, because the last week is held against those before")
    hours = hour_of_week(instants, zone)
    usual, weeks = _mean(hours[~recent], counts[~recent])
    last, _ = _mean(hours[recent], counts[recent])
    deviations = [None if np.isnan(u) or np.isnan(v) else (v - u) / sqrt(max(u, 1.0)) for u, v in zip(usual, last, strict=True)]
    table = pa.table(
        {
            "hour_of_week": pa.array(range(168), pa.int64()),
            "usual": pa.array(usual, from_pandas=True),
            "weeks": pa.array(weeks, pa.int64()),
            "last": pa.array(last, from_pandas=True),
            "ratio": pa.array(
                [None if not u or np.isnan(u) or np.isnan(v) else v / u for u, v in zip(usual, last, strict=True)], pa.float64()
            ),
            "deviations": pa.array(deviations, pa.float64()),
            "unusual": pa.array([None if one is None else abs(one) >= UNUSUAL for one in deviations], pa.bool_()),
        }
    )
    facts = (("hours", len(counts)), ("events", int(counts.sum())), ("weeks_before", round(float((~recent).sum()) / 168, 1)))
    note = "deviations: (last - usual) / sqrt(usual), as if calls came at random about the usual number; bursts of one incident exceed it easily"
    return Report(
        "volume", "Events by hour of the week: the last seven days against the weeks before", table, (sql,), (note, *gaps), facts, _UNITS
    )


def _mean(hours: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean count of each hour of the week (NaN where there is none), and how many there were."""
    seen = np.bincount(hours, minlength=168)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.bincount(hours, counts, minlength=168) / seen, seen
