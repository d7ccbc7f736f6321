"""The plane cut along meridians: which region a place lies in, and what lies close enough to a region to matter there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.sphere import RADIUS

#: What is added to a halo, so that rounding never loses a neighbour: a part of it, and metres.
_SLACK: Final = (1.002, 1.0)
#: How far a city's events usually lie from its centre, east or west, metres: regions nobody chose are cut by it.
_SPREAD: Final = 8_000.0


@dataclass(frozen=True, slots=True)
class Regions:
    """`cuts`: ascending longitudes in degrees, each between two regions. Region 0 lies west of the first one and east of the antimeridian;
    a place on a cut belongs to the region east of it, a place without coordinates to region 0."""

    cuts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        inside = all(-180.0 < cut < 180.0 for cut in self.cuts)
        if not inside or any(one >= two for one, two in zip(self.cuts, self.cuts[1:], strict=False)):
            raise ValueError(f"cuts between shards are ascending longitudes between -180 and 180, not {list(self.cuts)}")

    @property
    def count(self) -> int:
        """How many regions there are."""
        return len(self.cuts) + 1

    def owner(self, lon: NDArray[np.float64]) -> NDArray[np.intp]:
        """The region of each place; longitudes in degrees, NaN for none."""
        turned = np.where(lon >= 180.0, lon - 360.0, lon)
        return np.where(np.isnan(turned), 0, np.searchsorted(np.array(self.cuts), turned, side="right"))

    def near(self, region: int, lon: NDArray[np.float64], lat: NDArray[np.float64], halo: float) -> NDArray[np.bool_]:
        """Which places lie in a region or at most `halo` metres from it. A place without coordinates is near region 0 alone."""
        inside = np.asarray(self.owner(lon) == region)
        if self.count == 1:
            return inside
        far, more = _SLACK
        angle = (halo * far + more) / RADIUS
        edges = (self.cuts[region - 1] if region else -180.0, self.cuts[region] if region < len(self.cuts) else 180.0)
        for edge in edges:
            inside |= _from_meridian(lon, lat, edge) <= angle
        return inside


def around(lon: float, lat: float, count: int) -> Regions:
    """`count` regions about a city's centre (degrees), narrower in the middle, where a city is densest."""
    degree = RADIUS * math.pi / 180 * max(math.cos(math.radians(lat)), 0.01)
    middle = min(max(lon, -170.0), 170.0)  # strips do not go over the antimeridian; those beside it are only less even
    return Regions(tuple(middle + NormalDist().inv_cdf(k / count) * _SPREAD / degree for k in range(1, count)))


def _from_meridian(lon: NDArray[np.float64], lat: NDArray[np.float64], edge: float) -> NDArray[np.float64]:
    """Angle between places and a meridian from pole to pole, radians; NaN stays NaN. Beyond a quarter turn the nearest point is a pole."""
    turn = np.radians(np.abs((lon - edge + 180.0) % 360.0 - 180.0))
    across = np.arcsin(np.clip(np.cos(np.radians(lat)) * np.sin(turn), -1.0, 1.0))
    return np.where(turn <= math.pi / 2, across, math.pi / 2 - np.radians(np.abs(lat)))
