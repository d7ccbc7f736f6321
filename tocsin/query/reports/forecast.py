"""Expected calls for the coming days, with the error that the same method would have made before.

Four methods that need nothing but counting, held against one another by rolling origin: what the same hour of last week had (the seasonal naive,
the yardstick), the mean of that hour over recent weeks, that mean with newer weeks weighing more, and the latter scaled to the level of the last week. Whichever
had the smallest mean absolute error before is used; its error, and that of the yardstick, come with the forecast. The band is what its own errors were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Refused
from tocsin.model.reporting import Report
from tocsin.model.time import HOUR
from tocsin.query.ask import Questions
from tocsin.query.localtime import zone_of

from .volume import heard, hour_of_week, hourly_counts

WEEK: Final = 168
#: Weight of a week against the one after it, and weeks that are looked back at.
FADE: Final = 0.8
WEEKS: Final = 12
#: Of the errors, what the band leaves out at either end.
OUTSIDE: Final = 0.1
#: Shares of the level that the last week may move the mean by.
_LEVEL: Final = (0.5, 2.0)

#: Forecasts whose errors are counted, at most.
ORIGINS: Final = 14
_UNITS: Final = {
    "start": "begin of the hour, UTC",
    "actual": "events an hour",
    "expected": "events an hour",
    "low": "events an hour",
    "high": "events an hour",
}

Method = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def seasonal_naive(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """What that hour had when it last was. `hours`, `ahead`: hours of the week of the past and of what is asked for."""
    last = np.full(WEEK, counts.mean())
    last[hours] = counts  # of several the newest stays
    return np.asarray(last[ahead])


def plain_mean(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The mean of that hour over recent weeks."""
    return _mean_of_weeks(counts, hours, ahead, 1.0)


def faded_mean(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Likewise, newer weeks weighing more."""
    return _mean_of_weeks(counts, hours, ahead, FADE)


def _mean_of_weeks(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray, fade: float) -> np.ndarray:
    age = (len(counts) - 1 - np.arange(len(counts))) // WEEK
    weights = np.where(age < WEEKS, fade**age, 0.0)
    total, weight = np.bincount(hours, counts * weights, minlength=WEEK), np.bincount(hours, weights, minlength=WEEK)
    return np.asarray(np.where(weight > 0, total / np.maximum(weight, 1e-12), counts.mean())[ahead])


def levelled_mean(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The faded mean, moved to how busy the last week was."""
    recent = slice(max(0, len(counts) - WEEK), None)
    expected = faded_mean(counts, hours, hours[recent]).sum()
    level = float(np.clip(counts[recent].sum() / expected, *_LEVEL)) if expected else 1.0
    return faded_mean(counts, hours, ahead) * level


METHODS: Final[Mapping[str, Method]] = {
    "seasonal naive": seasonal_naive,
    "plain mean": plain_mean,
    "faded mean": faded_mean,
    "levelled mean": levelled_mean,
}


def rolling_errors(counts: np.ndarray, hours: np.ndarray, method: Method, horizon: int, origins: int) -> np.ndarray:
    """Actual minus forecast, one row an origin: the newest `origins` stretches of `horizon` hours, each forecast from what was before it."""
    found = []
    for back in range(origins, 0, -1):
        cut = len(counts) - back * horizon
        ahead = slice(cut, cut + horizon)
        found.append(counts[ahead] - method(counts[:cut], hours[:cut], hours[ahead]))
    return np.array(found)


def _mean_of_hours(counts: np.ndarray, hours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For every hour the mean of its hour of the week: what stands in where nothing was heard."""
    total, seen = np.bincount(hours[known], counts[known], minlength=WEEK), np.bincount(hours[known], minlength=WEEK)
    return np.asarray(np.where(seen > 0, total / np.maximum(seen, 1), counts[known].mean())[hours])


def _table(instants: np.ndarray, actual: list[int | None], expected: np.ndarray, errors: np.ndarray) -> pa.Table:
    """`errors`: earlier ones, over the root of what had been expected. The band is where eight of ten of them were."""
    low, high = np.quantile(errors, [OUTSIDE, 1 - OUTSIDE])
    spread = np.sqrt(np.maximum(1.0, expected))
    return pa.table(
        {
            "start": pa.array(instants).cast(pa.timestamp("us", "UTC")),
            "actual": pa.array([*actual, *[None] * (len(instants) - len(actual))], pa.int64()),
            "expected": expected,
            "low": np.maximum(0.0, np.minimum(expected, expected + low * spread)),
            "high": np.maximum(expected, expected + high * spread),
        }
    )


def forecast(questions: Questions, wanted: Filter, zone_name: str, patience: Patience, days: int = 3) -> Report:
    """Columns `start`, `actual`, `expected`, `low`, `high` (eight of ten), events an hour. The rows with `actual` are the last week (or less) with what
    had been forecast for it from before; the last rows, without, are the `days` after the span of `wanted`. Raises Refused for too little history."""
    if not 1 <= days <= 14:
        raise Refused(f"days: found {days}; valid is 1 to 14")
    instants, counts, sql = hourly_counts(questions, wanted, patience)
    known, gaps = heard(instants, counts)
    horizon = days * 24
    origins = min(ORIGINS, (int(known.sum()) - 2 * WEEK) // horizon)
    if origins < 2:
        found = f"{known.sum() / 24:.1f} days" + (" on which anything was heard" if gaps else "")
        raise Refused(f"span: found {found}; valid is at least {14 + 2 * days}, because the error of the method is measured on them")
    hours = hour_of_week(instants, zone_of(zone_name))
    filled = np.where(known, counts, _mean_of_hours(counts, hours, known))
    errors = {name: rolling_errors(filled, hours, method, horizon, origins) for name, method in METHODS.items()}
    counted = known[len(known) - origins * horizon :].reshape(errors["seasonal naive"].shape)
    error = {name: float(np.abs(one[counted]).mean()) for name, one in errors.items()}
    best = min(error, key=lambda name: error[name])
    ahead = int(instants[-1]) + HOUR * np.arange(1, horizon + 1)
    past = filled[len(filled) - origins * horizon :] - errors[best].ravel()
    coming = METHODS[best](filled, hours, hour_of_week(ahead, zone_of(zone_name)))
    scaled = (errors[best].ravel() / np.sqrt(np.maximum(1.0, past)))[counted.ravel()]
    shown = slice(len(filled) - min(WEEK, origins * horizon), None)
    actual = [int(one) if there else None for one, there in zip(counts[shown], known[shown], strict=True)]
    table = _table(np.concatenate((instants[shown], ahead)), actual, np.concatenate((past[-len(actual) :], coming)), scaled)
    naive = error["seasonal naive"]
    facts = (
        ("method", best), ("mean_absolute_error", round(error[best], 3)), ("seasonal_naive_error", round(naive, 3)),
        ("better_than_naive", round(1 - error[best] / naive, 3) if naive else 0.0), ("origins", origins), ("horizon_hours", horizon),
        ("errors", ", ".join(f"{name} {one:.3f}" for name, one in error.items())), ("days_of_history", round(int(known.sum()) / 24, 1)),
    )  # fmt: skip
    notes = (
        f"errors, in events an hour, are of {origins} forecasts of {days} days made from what was known before each",
        "a forecast of load on services, not of incidents at a place",
        *gaps,
    )
    return Report("forecast", f"Expected events of the next {days} days", table, (sql,), notes, facts, _UNITS)
