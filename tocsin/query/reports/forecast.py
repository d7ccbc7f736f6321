"""Expected calls for the coming days, with the error that the same method would have made before.

Three methods that need nothing but counting, held against one another by rolling origin: what the same hour of last week had (the seasonal naive,
the yardstick), the mean of that hour over recent weeks with newer weeks weighing more, and that mean scaled to the level of the last week. Whichever
had the smallest mean absolute error before is used; its error, and that of the yardstick, come with the forecast. The band is what its own errors were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Refused
from tocsin.model.time import HOUR
from tocsin.query.ask import Questions
from tocsin.query.localtime import zone_of

from .report import Report
from .volume import hour_of_week, hourly_counts

WEEK: Final = 168
#: Weight of a week against the one after it, and weeks that are looked back at.
FADE: Final = 0.8
WEEKS: Final = 12
#: Of the errors, what the band leaves out at either end.
OUTSIDE: Final = 0.1
#: Shares of the level that the last week may move the mean by.
_LEVEL: Final = (0.5, 2.0)

Method = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def seasonal_naive(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """What that hour had when it last was. `hours`, `ahead`: hours of the week of the past and of what is asked for."""
    last = np.full(WEEK, counts.mean())
    last[hours] = counts  # of several the newest stays
    return np.asarray(last[ahead])


def faded_mean(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The mean of that hour over recent weeks, newer ones weighing more."""
    age = (len(counts) - 1 - np.arange(len(counts))) // WEEK
    weights = np.where(age < WEEKS, FADE**age, 0.0)
    total, weight = np.bincount(hours, counts * weights, minlength=WEEK), np.bincount(hours, weights, minlength=WEEK)
    return np.asarray(np.where(weight > 0, total / np.maximum(weight, 1e-12), counts.mean())[ahead])


def levelled_mean(counts: np.ndarray, hours: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The faded mean, moved to how busy the last week was."""
    recent = slice(max(0, len(counts) - WEEK), None)
    expected = faded_mean(counts, hours, hours[recent]).sum()
    level = float(np.clip(counts[recent].sum() / expected, *_LEVEL)) if expected else 1.0
    return faded_mean(counts, hours, ahead) * level


METHODS: Final[Mapping[str, Method]] = {"seasonal naive": seasonal_naive, "faded mean": faded_mean, "levelled mean": levelled_mean}


def rolling_errors(counts: np.ndarray, hours: np.ndarray, method: Method, horizon: int, origins: int) -> np.ndarray:
    """Actual minus forecast, one row an origin: the newest `origins` stretches of `horizon` hours, each forecast from what was before it."""
    found = []
    for back in range(origins, 0, -1):
        cut = len(counts) - back * horizon
        ahead = slice(cut, cut + horizon)
        found.append(counts[ahead] - method(counts[:cut], hours[:cut], hours[ahead]))
    return np.array(found)


def forecast(questions: Questions, wanted: Filter, zone_name: str, patience: Patience, days: int = 3) -> Report:
    """Columns `start` (µs), `expected`, `low`, `high` (eight of ten), for `days` after the span of `wanted`. Raises Refused for too little history."""
    if not 1 <= days <= 14:
        raise Refused(f"days: found {days}; valid is 1 to 14")
    instants, counts, sql = hourly_counts(questions, wanted, patience)
    horizon = days * 24
    origins = min(14, (len(counts) - 2 * WEEK) // horizon)
    if origins < 2:
        raise Refused(
            f"span: found {len(counts) / 24:.1f} days; valid is at least {14 + 2 * days}, because the error of the method is measured on them"
        )
    zone = zone_of(zone_name)
    hours = hour_of_week(instants, zone)
    errors = {name: rolling_errors(counts, hours, method, horizon, origins) for name, method in METHODS.items()}
    error = {name: float(np.abs(one).mean()) for name, one in errors.items()}
    best = min(error, key=lambda name: error[name])
    ahead = int(instants[-1]) + HOUR * np.arange(1, horizon + 1)
    expected = METHODS[best](counts, hours, hour_of_week(ahead, zone))
    low, high = np.quantile(errors[best] / np.sqrt(np.maximum(1.0, _past(best, counts, hours, horizon, origins))), [OUTSIDE, 1 - OUTSIDE])
    spread = np.sqrt(np.maximum(1.0, expected))
    columns = {
        "start": ahead,
        "expected": expected,
        "low": np.maximum(0.0, expected + low * spread),
        "high": np.maximum(0.0, expected + high * spread),
    }
    naive = error["seasonal naive"]
    facts = (
        ("method", best), ("mean_absolute_error", round(error[best], 3)), ("seasonal_naive_error", round(naive, 3)),
        ("better_than_naive", round(1 - error[best] / naive, 3) if naive else 0.0), ("origins", origins), ("horizon_hours", horizon),
    )  # fmt: skip
    notes = (
        f"errors are of {origins} forecasts of {days} days made from what was known before each",
        "a forecast of load on services, not of incidents at a place",
    )
    return Report("forecast", f"Expected events of the next {days} days", pa.table(columns), (sql,), notes, facts)


def _past(name: str, counts: np.ndarray, hours: np.ndarray, horizon: int, origins: int) -> np.ndarray:
    """What the method had expected at each origin."""
    actual = np.array([counts[len(counts) - back * horizon :][:horizon] for back in range(origins, 0, -1)])
    return np.asarray(actual - rolling_errors(counts, hours, METHODS[name], horizon, origins))
