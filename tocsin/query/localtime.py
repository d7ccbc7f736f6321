"""Hours, days and hours of the week of a city's own clock, from buckets of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from tocsin.model.asking import Refused, Step
from tocsin.model.time import DAY, EPOCH, HOUR, MINUTE, SECOND, from_datetime

#: Offsets of time zones since 1980 are multiples of this.
QUARTER: Final = 15 * MINUTE
Ints = NDArray[np.int64]


def zone_of(name: str) -> ZoneInfo:
    """Raises Refused."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(
            f"zone: found {name[:60]!r}; valid is a name of the IANA time zone database, as in America/Los_Angeles or UTC"
        ) from None


def width_of(step: Step, zone: ZoneInfo, start: int, stop: int) -> int:
    """The widest bucket of UTC, µs, that no edge of a step cuts between `start` and `stop`."""
    first, last = (EPOCH + timedelta(microseconds=edge) for edge in (start, stop))
    offsets = {_offset(zone, datetime(year, month, 1, tzinfo=UTC)) for year in range(first.year, last.year + 1) for month in range(1, 13)}
    if offsets == {0} and step == "day":
        return DAY
    return HOUR if all(offset % HOUR == 0 for offset in offsets) else QUARTER


def folded(buckets: Ints, width: int, step: Step, zone: ZoneInfo) -> Ints:
    """For each bucket the step it lies in: µs of its beginning, or hours since Monday 00:00 of the zone's clock."""
    known, places = np.unique(buckets, return_inverse=True)
    return np.array([_step(int(one) * width, step, zone) for one in known], np.int64)[places]


def _step(instant: int, step: Step, zone: ZoneInfo) -> int:
    local = (EPOCH + timedelta(microseconds=instant)).astimezone(zone)
    if step == "hour-of-week":
        return local.weekday() * 24 + local.hour
    if step == "day":
        return from_datetime(local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC))
    return instant - (local.minute * MINUTE + local.second * SECOND + local.microsecond)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    span = moment.astimezone(zone).utcoffset() or timedelta()
    return (span.days * 86_400 + span.seconds) * SECOND
