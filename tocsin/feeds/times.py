"""Written times to microseconds since 1970 UTC: ISO 8601, epoch numbers and strptime formats, one by one or a column at once.

A feed may declare the IANA `zone` its times are *really* in; then an offset in the text is ignored (Seattle's fire calls say
`+0000` and mean Pacific time). Local times are resolved the way RFC 5545 does: a time in the gap of spring (it never existed) is
read with the offset before the change, so 02:30 becomes 03:30 daylight time; a time in the repeated hour of autumn is its first
occurrence, daylight time. Without a zone a time that names no offset is refused: it is not an instant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.event import INSTANT
from tocsin.model.time import EARLIEST, LATEST, MINUTE, from_datetime, to_iso

from .unfit import Unfit

EPOCH_SCALE: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
ISO: Final = ("iso",)
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - counts local minutes
_MICROSECOND: Final = timedelta(microseconds=1)
_FURTHEST: Final = 1 << 62  # microseconds; beyond it a number is not a time at all
_OFFSET: Final = r"^(.{10}[T ].*?)(?:Z|[+-][01]\d:?[0-5]\d)$"


def instant(value: Any, formats: Sequence[str] = ISO, zone: str | None = None) -> int:
    """A written time (text, number or datetime) -> microseconds. `formats` are tried in order. Raises Unfit."""
    if isinstance(value, datetime):
        return _to_utc(value, zone, value)
    if isinstance(value, str):
        return _from_text(value.strip(), tuple(formats) or ISO, zone)
    if isinstance(value, int | float) and not isinstance(value, bool):
        for name in formats:
            if name in EPOCH_SCALE:
                return _from_number(value, EPOCH_SCALE[name])
        raise Unfit(value, "a written time; for numbers declare `formats: [epoch_s]` or `[epoch_ms]`")
    raise Unfit(value, "a time")


def in_range(us: int) -> int:
    """The same instant, if a working clock could have said it. Raises Unfit before 1980 and after 2099."""
    if EARLIEST <= us <= LATEST:
        return us
    try:
        found = to_iso(us)
    except OverflowError:
        found = f"{us} microseconds"
    raise Unfit(found, "a time between 1980 and 2099; the clock that wrote it is broken")


def column(values: list[Any], formats: Sequence[str] = ISO, zone: str | None = None) -> pa.Array | None:
    """The same as `instant` for a whole column, as int64; None when the values need the careful way, one by one."""
    formats = tuple(formats) or ISO
    try:
        if formats == ISO:
            return _iso_column(pa.array(values, pa.string()), zone)
        if len(formats) == 1 and formats[0] in EPOCH_SCALE and bool not in set(map(type, values)):
            return _epoch_column(pa.array(values, pa.float64()), EPOCH_SCALE[formats[0]])
    except (pa.ArrowException, OverflowError, UnicodeError):
        return None
    return None


def epoch_column(numbers: pa.Array, formats: Sequence[str]) -> pa.Array | None:
    """The same for a float64 column without NaN; None when the declared formats do not say what one number means."""
    if len(formats) != 1 or formats[0] not in EPOCH_SCALE:
        return None
    try:
        return _epoch_column(numbers, EPOCH_SCALE[formats[0]])
    except OverflowError:
        return None


def problems(formats: Sequence[str], zone: str | None) -> list[str]:
    """What is wrong with declared formats and zone, in words."""
    found = [
        f"{name!r} is not a time format; valid: iso, epoch_s, epoch_ms or strptime codes as in '%d/%m/%Y %H:%M'"
        for name in formats
        if name != "iso" and name not in EPOCH_SCALE and "%" not in name
    ]
    found += [f"{name!r}: {fault}" for name in formats if "%" in name and (fault := _bad_directive(name))]
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            found.append(f"{zone!r} is not an IANA time zone, as in America/Los_Angeles")
        if formats and all(name in EPOCH_SCALE for name in formats):
            found.append("zone has no meaning for epoch numbers; they are instants already")
    return found


def _bad_directive(name: str) -> str:
    try:
        datetime.strptime("", name)  # noqa: DTZ007 - only to see whether the codes exist
    except ValueError as error:
        return str(error) if "directive" in str(error) or "stray" in str(error) else ""
    return ""


def _iso_column(texts: pa.Array, zone: str | None) -> pa.Array:
    # Arrow refuses everything that `datetime.fromisoformat` reads differently (more than six decimals, basic format, ...)
    if zone is None:
        return texts.cast(INSTANT).cast(pa.int64())
    local = pc.replace_substring_regex(texts, _OFFSET, r"\1").cast(pa.timestamp("us")).cast(pa.int64())
    found = local.fill_null(0).to_numpy(zero_copy_only=False)
    minutes, inverse = np.unique(found // MINUTE, return_inverse=True)
    offsets = np.array([_offset(zone, int(minute)) for minute in minutes], np.int64)
    return pa.array(found - offsets[inverse], pa.int64(), mask=local.is_null().to_numpy(zero_copy_only=False))


def _epoch_column(numbers: pa.Array, scale: int) -> pa.Array:
    found: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    missing = np.isnan(found)
    found = np.where(missing, 0.0, found)
    if np.any(np.abs(found) > _FURTHEST / scale):
        raise OverflowError
    return pa.array(np.rint(found * scale).astype(np.int64), pa.int64(), mask=missing)


def _from_number(value: float, scale: int) -> int:
    if not abs(value) <= _FURTHEST / scale:  # also NaN and infinity
        raise Unfit(value, "a time")
    return round(value * scale)


@lru_cache(maxsize=4096)
def _from_text(text: str, formats: tuple[str, ...], zone: str | None) -> int:
    for name in formats:
        try:
            if name in EPOCH_SCALE:
                return _from_number(float(text) if "_" not in text else math.nan, EPOCH_SCALE[name])
            moment = datetime.fromisoformat(text) if name == "iso" else datetime.strptime(text, name)  # noqa: DTZ007 - zone below
        except ValueError:
            continue
        return _to_utc(moment, zone, text)
    raise Unfit(text, f"a time written as {' or '.join(formats)}")


def _to_utc(moment: datetime, zone: str | None, found: object) -> int:
    if zone is None:
        if moment.tzinfo is None:
            raise Unfit(found, "an instant: it has no UTC offset; declare the `zone` it is written in")
        return from_datetime(moment)
    local = (moment.replace(tzinfo=None) - _LOCAL_EPOCH) // _MICROSECOND
    try:
        return local - _offset(zone, local // MINUTE)
    except OverflowError:
        raise Unfit(found, "a time between 1980 and 2099") from None


@lru_cache(maxsize=65_536)
def _offset(zone: str, minute: int) -> int:
    """UTC offset, microseconds, of a local minute (zones have changed on whole minutes only since 1980)."""
    local = _LOCAL_EPOCH + timedelta(minutes=minute)
    span = local.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    return span // _MICROSECOND
