"""Numbers as the kernels want them: values in canonical units, instants within reason, coordinates on the globe or NaN.

Each function takes one Arrow column of a batch and works on all rows at once; what it had to repair, it counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.units import canonical

#: Dimension of a unit that `model.units` does not know: it equals no rule's dimension, so it passes no comparison (SEMANTICS 8).
UNKNOWN_DIMENSION = "?"


def dimension(unit: str | None) -> str | None:
    """Dimension key of a unit code; None without a unit, `UNKNOWN_DIMENSION` when the code is none we know."""
    if unit is None:
        return None
    known = canonical(unit)
    return known.dimension if known is not None else UNKNOWN_DIMENSION


def canonical_values(column: pa.Array, codes: NDArray[np.intp], units: Sequence[str | None]) -> NDArray[np.float64]:
    """float64[n] in canonical units, -inf where there is no finite value or its unit is unknown.

    `codes[i]`: index of row i's unit in `units`. A value without a unit is kept as the plain number it is.
    """
    values = np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    factors, offsets = np.ones(len(units)), np.zeros(len(units))
    for i, unit in enumerate(units):
        if unit is not None:
            known = canonical(unit)
            factors[i], offsets[i] = (known.factor, known.offset) if known is not None else (np.nan, np.nan)
    out = values * factors[codes] + offsets[codes] if len(units) > 1 else values * factors[0] + offsets[0]
    missing = ~np.isfinite(out)
    if missing.any():
        out[missing] = -np.inf
    return out


def clamped_times(column: pa.Array, latest: int | NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Event times, int64 µs, none after `latest` (SEMANTICS 2), and how many were clamped."""
    times = microseconds(column)
    ahead = int(np.count_nonzero(times > latest)) if len(times) else 0
    return (np.minimum(times, latest) if ahead else times), ahead


def microseconds(column: pa.Array, null: int = 0) -> NDArray[np.int64]:
    """A timestamp column as int64 µs since 1970, `null` where it is null."""
    plain = column.view(pa.int64())
    if plain.null_count:
        plain = plain.fill_null(null)
    return np.asarray(plain.to_numpy(zero_copy_only=False), np.int64)


def coordinates(lon: pa.Array, lat: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Longitude and latitude in degrees, both NaN unless both are on the globe, and how many pairs were off it."""
    x = np.asarray(lon.to_numpy(zero_copy_only=False), np.float64)
    y = np.asarray(lat.to_numpy(zero_copy_only=False), np.float64)
    good = (np.abs(x) <= 180.0) & (np.abs(y) <= 90.0)
    if good.all():
        return x, y, 0
    off = int(np.count_nonzero(~good & ~np.isnan(x) & ~np.isnan(y)))
    return np.where(good, x, np.nan), np.where(good, y, np.nan), off
